"""The Object Detection API's pipeline.config: read it, write it, list what it sets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from odflow.errors import ConfigError
from odflow.formats.config_text import read_text
from odflow.formats.prototext import raise_faults, read
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig
from odflow.odapi.schema_check import schema_faults
from odflow.reading import reads
from odflow.terminal import shown

_PLACEHOLDER = re.compile("PATH_TO_BEE?_CONFIGURED")
"""What the API's sample configs write where a path of the user's belongs; one of them misspells it."""

_CONFIG = cast(Descriptor, TrainEvalPipelineConfig.DESCRIPTOR)

MAX_BYTES = 2**20
"""Above what any config has; texts that are wrong in each line are still told of within seconds."""


@reads("a pipeline.config", ConfigError)
def read_pipeline_config(path: Path) -> TrainEvalPipelineConfig:
    """Read a pipeline.config in protobuf text form.

    Args:
        path: the file; UTF-8.

    Returns:
        The config. Fields that the file leaves out have the API's defaults.

    Raises:
        ConfigError: the file cannot be read, is not text, or has syntax errors, unknown
            fields, values of the wrong type, fields set twice, or texts whose backslashes begin
            escapes that were not meant: one line for each, with file, line and proto path.
    """
    path = Path(path)
    text = read_text(path, "a pipeline.config", MAX_BYTES)
    if not text.strip():
        raise ConfigError(f"{path}: is empty. Give a pipeline.config.")
    reading = read(path, text, lambda entries: sum(1 for _ in schema_faults(entries, _CONFIG)))
    faults = list(schema_faults(reading.entries, _CONFIG)) if reading.whole else []
    known = {(line, _field_of(message)) for line, message in faults}
    raise_faults(
        path, [*(one for one in reading.faults if (one.line, _field_of(one.message)) not in known), *faults]
    )
    try:
        return text_format.Parse(text, TrainEvalPipelineConfig())
    except text_format.ParseError as error:
        said = re.sub(r"^\d+:\d+ : ", "", str(error))
        raise ConfigError(f"{path}:{error.GetLine() or 1}: {shown(said)}.") from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as protobuf text ({shown(str(error))}).") from None


def _field_of(message: str) -> str:
    """The field that a fault is of: the schema knows better what it wants there than the grammar does."""
    return message.partition(" is ")[0]


def pipeline_config_text(config: TrainEvalPipelineConfig) -> str:
    """Write a config in protobuf text form.

    The same config gives the same text, and `read_pipeline_config` gives an equal
    config back.
    """
    return text_format.MessageToString(config, as_utf8=True)


def unfilled_paths(config: TrainEvalPipelineConfig) -> list[str]:
    """The strings that still hold `PATH_TO_BE_CONFIGURED`.

    Returns:
        Their proto paths, as ``train_input_reader.tf_record_input_reader.input_path[0]``.
    """
    strings = (found for path, value in _leaves(config) for found in _strings(path, value))
    return [path for path, text in strings if _PLACEHOLDER.search(text)]


def set_fields(config: TrainEvalPipelineConfig) -> list[str]:
    """The fields that a config sets, also those that it sets to their defaults.

    Returns:
        Dotted proto paths of all fields that hold no message and of the messages that
        are set to nothing, in the order of the field numbers. Repeated messages have
        an index; repeated scalars and maps are one field.

    >>> config = TrainEvalPipelineConfig()
    >>> config.model.ssd.num_classes = 3
    >>> config.train_config.data_augmentation_options.add().random_horizontal_flip.SetInParent()
    >>> set_fields(config)
    ['model.ssd.num_classes', 'train_config.data_augmentation_options[0].random_horizontal_flip']
    """
    return [path for path, _ in _leaves(config)]


def _leaves(message: Message, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each set field that holds no message, and each message without a set field."""
    for field, value in message.ListFields():
        path = prefix + field.name
        if isinstance(value, Message):
            inner = [(path, value)]
        elif field.message_type is not None and not isinstance(value, Mapping):
            inner = [(f"{path}[{i}]", one) for i, one in enumerate(value)]
        else:
            yield path, value
            continue
        for place, one in inner:
            if one.ListFields():
                yield from _leaves(one, f"{place}.")
            else:
                yield place, one


def _strings(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from _strings(f'{path}["{key}"]', value[key])
    elif isinstance(value, Sequence):
        for i, one in enumerate(value):
            yield from _strings(f"{path}[{i}]", one)
