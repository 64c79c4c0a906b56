"""The Object Detection API's pipeline.config: read it, write it, list what it sets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from google.protobuf import message_factory, text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from odflow.errors import ConfigError, nearest
from odflow.formats.prototext import Entry, parse
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig

_PLACEHOLDER = re.compile("PATH_TO_BEE?_CONFIGURED")
"""What the API's sample configs write where a path of the user's belongs; one of them misspells it."""

_CONFIG = cast(Descriptor, TrainEvalPipelineConfig.DESCRIPTOR)
_WANTED = {
    FieldDescriptor.CPPTYPE_STRING: "text in quotes",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_FLOAT: "a number",
    FieldDescriptor.CPPTYPE_INT32: "a whole number",
    FieldDescriptor.CPPTYPE_UINT32: "a whole number, 0 or more",
}


def read_pipeline_config(path: Path) -> TrainEvalPipelineConfig:
    """Read a pipeline.config in protobuf text form.

    Args:
        path: the file; UTF-8.

    Returns:
        The config. Fields that the file leaves out have the API's defaults.

    Raises:
        ConfigError: the file cannot be read, is not text, has a syntax error (the
            first is named), or has unknown fields, values of the wrong type or
            fields set twice (one line for each, with file, line and proto path).
    """
    text = _text(Path(path))
    try:
        entries = parse(Path(path), text)
        problems = dict.fromkeys(_problems(f"{path}", entries, _CONFIG, ""))  # a list repeats its field
    except RecursionError:
        raise ConfigError(f"{path}: its messages are nested too deeply to be read.") from None
    except ValueError as error:
        raise ConfigError(f"{path}: cannot be read as protobuf text ({error}).") from None
    if problems:
        raise ConfigError("\n".join(problems))
    try:
        return text_format.Parse(text, TrainEvalPipelineConfig())
    except text_format.ParseError as error:
        raise ConfigError(_explain(f"{path}", entries, error)) from None


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


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}). Give a pipeline.config.") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{data[error.start]:02x}"
        raise ConfigError(
            f"{path}:{line}: found {found}, wanted UTF-8 text. Save the file as UTF-8."
        ) from None


def _problems(source: str, entries: list[Entry], message: Descriptor, place: str) -> Iterator[str]:
    """What the schema has against the fields of a message, one line each."""
    taken: dict[str, Entry] = {}
    for entry in entries:
        at, path = f"{source}:{entry.line}:", f"{place}.{entry.name}".lstrip(".")
        field = message.fields_by_name.get(entry.name)
        if field is None:
            near = nearest(entry.name, message.fields_by_name)
            yield f'{at} field "{entry.name}" is unknown in {place or "a pipeline.config"}.{near}'
            continue
        first = taken.setdefault(_slot(field, entry), entry)
        if first is not entry:
            yield f"{at} {path} is set, but line {first.line} has set {first.name}. Keep one of them."
        if not isinstance(entry.value, str) and field.message_type is not None:
            yield from _problems(source, entry.value, field.message_type, path)
        elif not _fits(message, field, entry.value):
            yield f"{at} {path} is {_found(entry.value)}; wanted: {_wanted(field, entry.value)}"


def _slot(field: FieldDescriptor, entry: Entry) -> str:
    """What only one entry of a message may take: the field, or the oneof that it is part of."""
    if field.containing_oneof is not None:
        return field.containing_oneof.full_name
    return field.name if field.has_presence else f"{id(entry)}"


def _fits(message: Descriptor, field: FieldDescriptor, value: str | list[Entry]) -> bool:
    """Whether protobuf takes the value; numbers and strings that lack or have quotes come out as they are."""
    if not isinstance(value, str) or field.message_type is not None:
        return False
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return True
    try:
        text_format.Parse(f"{field.name}: {value}", message_factory.GetMessageClass(message)())
    except text_format.ParseError:
        return False
    return True


def _found(value: str | list[Entry]) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else "a message { }"


def _wanted(field: FieldDescriptor, value: str | list[Entry]) -> str:
    if field.message_type is not None:
        return f"a message {{ }} with {', '.join(field.message_type.fields_by_name) or 'nothing in it'}."
    if field.enum_type is not None:
        names = list(field.enum_type.values_by_name)
        return f"one of {', '.join(names)}.{nearest(value, names) if isinstance(value, str) else ''}"
    return f"{_WANTED[field.cpp_type]}."


def _explain(source: str, entries: list[Entry], error: text_format.ParseError) -> str:
    """Name the field that protobuf's own reader stopped at: a string without quotes, or a number in them."""
    line = error.GetLine() or 1
    said = re.sub(r"^\d+:\d+ : ", "", str(error)).replace("\n", " ")
    here = list(_scalars_at(line, entries, _CONFIG, ""))
    for path, field, value in sorted(here, key=lambda found: found[2] not in said):
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
            return f"{source}:{line}: {path} is {value}; wanted: text in quotes."
        wanted = _wanted(field, value).rstrip(".")
        return f"{source}:{line}: {path} is {_found(value)}, in quotes; wanted: {wanted}, without them."
    return f"{source}:{line}: {said}"


def _scalars_at(
    line: int, entries: list[Entry], message: Descriptor, place: str
) -> Iterator[tuple[str, FieldDescriptor, str]]:
    for entry in entries:
        field, path = message.fields_by_name[entry.name], f"{place}.{entry.name}".lstrip(".")
        if isinstance(entry.value, str):
            if entry.line == line:
                yield path, field, entry.value
        elif field.message_type is not None:
            yield from _scalars_at(line, entry.value, field.message_type, path)


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
