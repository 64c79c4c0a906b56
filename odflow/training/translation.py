"""From a pipeline.config of the Object Detection API to what this room trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from odflow.odapi.section import Coverage, Section
from odflow.training.augmentation_config import augmentations
from odflow.training.optimization_config import optimizer
from odflow.training.settings import Model, Settings, Training
from odflow.training.ssd.config import read_ssd

ARCHITECTURES: dict[str, Callable[[Section], Model]] = {"ssd": read_ssd}
"""The kinds of `model`, and what reads each."""


def translate(config: Any, source: str) -> tuple[Settings, Coverage]:
    """Translate a pipeline.config.

    Args:
        config: a TrainEvalPipelineConfig.
        source: its file name, for messages.

    Returns:
        The settings, and what became of each field that the config sets.

    Raises:
        ConfigError: the config asks for another kind of detector than odflow
            trains; the message names the field and what would work.
    """
    coverage = Coverage(source)
    root = Section(config, "", coverage)
    if config.HasField("graph_rewriter"):
        root.unsupported("graph_rewriter", "quantisation-aware training is not built")
    model = _model(root.section("model"))
    reader = _outside_training(root)
    return Settings(model, _training(root.section("train_config"), reader)), coverage


def _model(section: Section) -> Model:
    kind = section.choice("model")
    if kind not in ARCHITECTURES:
        raise section.refuse_choice("model", kind, ARCHITECTURES)
    return ARCHITECTURES[kind](section.section(kind))


def _training(train: Section, reader: Section) -> Training:
    _where_training_runs(train)
    return Training(
        batch_size=train.positive("batch_size"),
        num_steps=train.positive("num_steps"),
        optimizer=optimizer(train),
        augmentations=augmentations(train),
        fine_tune_type=_fine_tune_type(train),
        max_boxes=train["max_number_of_boxes"],
        shuffle_buffer=reader["shuffle_buffer_size"] if reader["shuffle"] else 1,
    )


def _fine_tune_type(train: Section) -> str:
    """What a fine-tune checkpoint gives: classification, detection or full."""
    kind = str(train["fine_tune_checkpoint_type"])
    if not kind:
        return "detection" if train["from_detection_checkpoint"] else "classification"
    train.honour("from_detection_checkpoint")
    kind = "full" if kind == "fine_tune" else kind
    if kind not in ("classification", "detection", "full"):
        raise train.refuse("fine_tune_checkpoint_type", kind, "classification, detection or full")
    return kind


def _where_training_runs(train: Section) -> None:
    train.honour("fine_tune_checkpoint")
    for name in (
        "sync_replicas",
        "startup_delay_steps",
        "replicas_to_aggregate",
        "use_bfloat16",
        "unpad_groundtruth_tensors",
        "load_all_detection_checkpoint_vars",
        "fine_tune_checkpoint_version",
        "keep_checkpoint_every_n_hours",
    ):
        if train.has(name):
            train.skip(name, "odflow trains in one process and decides this itself")
    for name in ("freeze_variables", "update_trainable_variables"):
        if getattr(train.message, name):
            train.unsupported(name, "all variables are trained")
    if train.message.add_regularization_loss:
        train.honour("add_regularization_loss")


def _outside_training(root: Section) -> Section:
    """Fields that the stage's own inputs stand in for, or that other stages decide."""
    root.skip("eval_config", "the evaluate stage decides this")
    root.skip("eval_input_reader", "the evaluate stage is given its own inputs")
    reader = root.section("train_input_reader")
    root.skip("train_input_reader", "the stage's inputs hold")
    reader.honour("label_map_path", "tf_record_input_reader")
    if reader.message.load_instance_masks:
        reader.unsupported("load_instance_masks", "boxes only")
    return reader
