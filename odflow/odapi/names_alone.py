"""Configs that carry no path of the machine that made them."""

from __future__ import annotations

from pathlib import PurePath

from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig


def with_names_alone(config: TrainEvalPipelineConfig) -> TrainEvalPipelineConfig:
    """Shorten the paths of a config to the names of their files.

    Args:
        config: is not changed.

    Returns:
        A copy whose checkpoint, label maps and records are said by name; what still is
        PATH_TO_BE_CONFIGURED stays so.
    """
    short = TrainEvalPipelineConfig()
    short.CopyFrom(config)
    train = short.train_config
    if train.fine_tune_checkpoint:
        train.fine_tune_checkpoint = _name(train.fine_tune_checkpoint)
    readers = [short.train_input_reader] if short.HasField("train_input_reader") else []
    for reader in [*readers, *short.eval_input_reader]:
        if reader.label_map_path:
            reader.label_map_path = _name(reader.label_map_path)
        if reader.HasField("tf_record_input_reader"):
            records = reader.tf_record_input_reader.input_path
            records[:] = [_name(path) for path in records]
    return short


def _name(path: str) -> str:
    return path if "PATH_TO_BE" in path else PurePath(path).name
