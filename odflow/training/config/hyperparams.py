"""Translate `Hyperparams` of a pipeline.config: what a set of layers shares."""

from __future__ import annotations

from odflow.odapi.section import Section
from odflow.training.settings import BatchNorm, Hyperparams, Initializer

ACTIVATIONS = {0: "none", 1: "relu", 2: "relu6", 3: "swish"}
"""`Hyperparams.Activation` to the name in `Hyperparams.activation`."""

MODES = ("fan_in", "fan_out", "fan_avg")
"""`VarianceScalingInitializer.Mode`, in its order."""


def hyperparams(section: Section) -> Hyperparams:
    """Read a `Hyperparams` message, with the API's defaults where it is not set.

    Args:
        section: the message, for instance `conv_hyperparams`.

    Returns:
        What its layers share.

    Raises:
        ConfigError: group normalization, which the API's TF2 layers do not have either.
    """
    section.honour("op")
    if section.has("regularize_depthwise"):
        section.skip(
            "regularize_depthwise", "the API's TF2 layers regularize depthwise kernels by themselves"
        )
    return Hyperparams(
        activation=ACTIVATIONS[section["activation"]],
        batch_norm=_batch_norm(section),
        initializer=_initializer(section.section("initializer")),
        l1_weight=_regularizer(section, "l1_regularizer"),
        l2_weight=_regularizer(section, "l2_regularizer"),
        force_use_bias=section["force_use_bias"],
    )


def _batch_norm(section: Section) -> BatchNorm | None:
    kind = section.choice("normalizer_oneof")
    if kind == "group_norm":
        raise section.refuse("group_norm", "set", "batch_norm, or no normalization")
    if not kind:
        return None
    norm = section.section(kind)
    return BatchNorm(
        momentum=norm["decay"],
        epsilon=norm["epsilon"],
        center=norm["center"],
        scale=norm["scale"],
        train=norm["train"],
        synchronized=kind == "sync_batch_norm",
    )


def _regularizer(section: Section, kind: str) -> float:
    regularizer = section.section("regularizer")
    return regularizer.section(kind)["weight"] if regularizer.choice("regularizer_oneof") == kind else 0.0


def _initializer(section: Section) -> Initializer | None:
    kind = section.choice("initializer_oneof")
    if not kind:
        return None
    if kind == "keras_initializer_by_name":
        return Initializer(section[kind])
    values = section.section(kind)
    if kind == "variance_scaling_initializer":
        return Initializer(
            "variance_scaling",
            factor=values["factor"],
            mode=MODES[values["mode"]],
            uniform=values["uniform"],
        )
    return Initializer(kind.removesuffix("_initializer"), mean=values["mean"], stddev=values["stddev"])
