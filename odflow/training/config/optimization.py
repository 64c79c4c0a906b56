"""Translate the optimizer of a pipeline.config and its learning rate."""

from __future__ import annotations

from odflow.odapi.section import Section
from odflow.training.settings import LearningRate, Optimizer

NO_OPTIMIZER = Optimizer("none", LearningRate("constant", 0.0))
"""Of a config that cannot be trained."""


def optimizer(train: Section, averages_used: bool) -> Optimizer:
    """Read `train_config.optimizer`.

    Args:
        train: the train_config.
        averages_used: `eval_config.use_moving_averages`. The API gathers averages without it too,
            but evaluates and exports the weights themselves.

    Returns:
        The optimizer with its schedule.

    Raises:
        ConfigError: an optimizer or a schedule that odflow does not have.
    """
    section = train.section("optimizer")
    kinds = {"momentum_optimizer": "momentum", "adam_optimizer": "adam", "rms_prop_optimizer": "rms_prop"}
    field = section.choice("optimizer")
    if field not in kinds:
        raise section.refuse_choice("optimizer", field, kinds)
    chosen = section.section(field)
    averaged = bool(section["use_moving_average"])
    section.skip("moving_average_decay", "no average is kept")
    if averaged and not averages_used:
        section.skip("use_moving_average", "eval_config.use_moving_averages is false, so no average is used")
    return Optimizer(
        kind=kinds[field],
        learning_rate=_learning_rate(chosen.section("learning_rate")),
        momentum=0.0 if field == "adam_optimizer" else chosen["momentum_optimizer_value"],
        decay=chosen["decay"] if field == "rms_prop_optimizer" else 0.0,
        epsilon=1e-8 if field == "momentum_optimizer" else chosen["epsilon"],
        clip_norm=train["gradient_clipping_by_norm"],
        average_decay=section["moving_average_decay"] if averaged and averages_used else 0.0,
    )


def _learning_rate(section: Section) -> LearningRate:
    readers = {
        "constant_learning_rate": _constant,
        "cosine_decay_learning_rate": _cosine,
        "exponential_decay_learning_rate": _exponential,
        "manual_step_learning_rate": _manual_step,
    }
    kind = section.choice("learning_rate")
    if kind not in readers:
        raise section.refuse_choice("learning_rate", kind, readers)
    return readers[kind](section.section(kind))


def _constant(section: Section) -> LearningRate:
    return LearningRate("constant", section["learning_rate"])


def _cosine(section: Section) -> LearningRate:
    warmup, hold, total = section["warmup_steps"], section["hold_base_rate_steps"], section["total_steps"]
    if total < max(warmup, 1):  # the hold may be cut short, as in the API
        raise section.refuse("total_steps", total, f"at least {max(warmup, 1)}, the steps of the warm-up")
    return LearningRate(
        "cosine",
        section["learning_rate_base"],
        total_steps=total,
        warmup_rate=section["warmup_learning_rate"],
        warmup_steps=warmup,
        hold_steps=hold,
    )


def _exponential(section: Section) -> LearningRate:
    return LearningRate(
        "exponential",
        section["initial_learning_rate"],
        warmup_rate=section["burnin_learning_rate"],
        warmup_steps=section["burnin_steps"],
        decay_steps=section["decay_steps"],
        decay_factor=section["decay_factor"],
        staircase=section["staircase"],
        least=section["min_learning_rate"],
    )


def _manual_step(section: Section) -> LearningRate:
    steps = [(part["step"], part["learning_rate"]) for part in section.sections("schedule")]
    if [step for step, _ in steps] != sorted({step for step, _ in steps}):
        raise section.refuse("schedule", "not in the order of its steps", "every step above the one before")
    if section["warmup"] and not (steps and steps[0][0]):
        raise section.refuse(
            "warmup", "true without a first step to rise to", "a schedule from a step above 0"
        )
    return LearningRate(
        "manual_step",
        section["initial_learning_rate"],
        boundaries=tuple(step for step, _ in steps),
        rates=tuple(rate for _, rate in steps),
        warmup=section["warmup"],
    )
