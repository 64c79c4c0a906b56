"""From a pipeline.config of the Object Detection API to what this room trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from odflow.odapi.section import Coverage, Section
from odflow.training.center_net.config import read_center_net
from odflow.training.config.augmentation import augmentations
from odflow.training.config.optimization import NO_OPTIMIZER, optimizer
from odflow.training.config.reader import read_reader
from odflow.training.faster_rcnn.config import read_faster_rcnn
from odflow.training.faster_rcnn.settings import FasterRcnnModel
from odflow.training.settings import DetectionModel, DetectorSettings, Reader, Training
from odflow.training.ssd.config import read_ssd

ARCHITECTURES: dict[str, Callable[[Section], DetectionModel]] = {
    "ssd": read_ssd,
    "faster_rcnn": read_faster_rcnn,
    "center_net": read_center_net,
}
"""The kinds of `model`, and what reads each."""


def translate(
    config: Any, source: str, *, to_train: bool = True, inputs: bool = True
) -> tuple[DetectorSettings, Coverage]:
    """Translate a pipeline.config; TensorFlow is not needed, and it takes milliseconds.

    Args:
        config: a TrainEvalPipelineConfig.
        source: its file name, for messages.
        to_train: the detector shall be trained; else what only training asks for (an optimizer, losses,
            batches) is no error, and `Coverage.untrainable` has it.
        inputs: without `to_train`: records and checkpoints of a kind that odflow does not read are
            an error nevertheless.

    Returns:
        The settings, and what became of each field that the config sets.

    Raises:
        ConfigError: the config asks for another kind of detector than odflow
            trains; the message names the fields and what would work.
    """
    coverage = Coverage(source, collects=True)
    root = Section(config, "", coverage)
    if config.graph_rewriter.HasField("quantization"):
        raise root.section("graph_rewriter").refuse(
            "quantization",
            "set",
            "no graph_rewriter: train in float32, and let export write an int8 TFLite file "
            "(formats: [tflite_int8])",
        )
    root.honour("graph_rewriter")
    model = _model(root.section("model"))
    _evaluation(root)
    reader = root.section("train_input_reader")
    train = root.section("train_config")
    if inputs and not to_train:
        start, records = _fine_tune_type(train), read_reader(reader, train)
    else:
        start = train.to_train(lambda: _fine_tune_type(train), "full")
        records = reader.to_train(lambda: read_reader(reader, train), Reader())
    averages_used = bool(config.eval_config.use_moving_averages)
    training = replace(_training(train, averages_used), fine_tune_type=start, reader=records)
    reader.to_train(lambda: _check_masks(model, training, reader), None)
    if to_train:
        coverage.check_trainable()
    return DetectorSettings(model, training), coverage


def _check_masks(model: DetectionModel, training: Training, reader: Section) -> None:
    if isinstance(model, FasterRcnnModel) and model.masks and not training.reader.masks:
        raise reader.refuse(
            "load_instance_masks",
            "false",
            "true, since number_of_stages: 3 learns masks; or number_of_stages: 2 for boxes alone",
        )


def _model(section: Section) -> DetectionModel:
    kind = section.choice("model")
    if kind not in ARCHITECTURES:
        raise section.refuse_choice("model", kind, ARCHITECTURES)
    return ARCHITECTURES[kind](section.section(kind))


def _training(train: Section, averages_used: bool) -> Training:
    """How is trained, but for what it starts from and how records are read."""
    _where_training_runs(train)
    return Training(
        batch_size=train.to_train(lambda: train.positive("batch_size"), 1),
        num_steps=train["num_steps"],
        optimizer=train.to_train(lambda: optimizer(train, averages_used), NO_OPTIMIZER),
        augmentations=augmentations(train),
        freeze_variables=tuple(train["freeze_variables"]),
        update_trainable_variables=tuple(train["update_trainable_variables"]),
        bias_grad_multiplier=train["bias_grad_multiplier"],
        add_regularization_loss=train["add_regularization_loss"],
    )


def _fine_tune_type(train: Section) -> str:
    """What a fine-tune checkpoint gives: classification, detection or full."""
    kind = str(train["fine_tune_checkpoint_type"])
    if kind:
        train.honour("from_detection_checkpoint")
    else:
        kind = "detection" if train["from_detection_checkpoint"] else "classification"
    everything = train["load_all_detection_checkpoint_vars"]
    if kind == "fine_tune":  # CenterNet's word for it
        kind = "detection"
    if kind not in ("classification", "detection", "full"):
        raise train.refuse("fine_tune_checkpoint_type", kind, "classification, detection or full")
    return "full" if everything and kind == "detection" else kind


def _where_training_runs(train: Section) -> None:
    """Fields that tell how the API's own loop worked, or that stand for what this one does anyway."""
    train.honour("fine_tune_checkpoint", "retain_original_images")
    for name in ("sync_replicas", "startup_delay_steps", "replicas_to_aggregate"):
        train.skip(name, "the train stage's strategy decides this; replicas step together")
    for name in ("batch_queue_capacity", "num_batch_queue_threads", "prefetch_queue_capacity"):
        train.skip(name, "the reader adapts to the machine")
    for name in ("fine_tune_checkpoint_version", "run_fine_tune_checkpoint_dummy_computation"):
        train.skip(name, "any kind of checkpoint is recognised, and all that fits is loaded")
    train.skip("use_bfloat16", "meant for TPUs; the train stage's precision decides this")
    train.skip("unpad_groundtruth_tensors", "boxes are never padded before they are matched")
    train.skip("keep_checkpoint_every_n_hours", "the train stage's checkpoint_steps decides this")
    train.skip("summarize_gradients", "TensorBoard gets the losses and the learning rate")
    train.skip("retain_original_image_additional_channels", "pictures have three channels")
    for name in ("merge_multiple_label_boxes", "use_multiclass_scores"):
        if getattr(train.message, name):
            train.unsupported(name, "every box has one class")
        else:
            train.honour(name)


def _evaluation(root: Section) -> None:
    """What the evaluate stage, and the evaluation while training, do by themselves."""
    evaluation = root.section("eval_config")
    root.skip("eval_config", "the evaluate stage decides this")
    others = [name for name in evaluation.message.metrics_set if name != "coco_detection_metrics"]
    if others:
        evaluation.unsupported(
            "metrics_set", f"the evaluate stage computes COCO's box metrics, not {others[0]}"
        )
    else:
        evaluation.honour("metrics_set")
    evaluation.honour("use_moving_averages")  # no average is kept where none is used
    root.skip("eval_input_reader", "the stages are given their own inputs")
