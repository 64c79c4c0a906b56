"""Set a field of a config by its dotted path."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from google.protobuf import text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from odflow.errors import ConfigError, nearest
from odflow.formats.escapes import advice, unescape
from odflow.formats.prototext import read
from odflow.odapi.schema_check import schema_faults
from odflow.terminal import shown

STEP = re.compile(r"(?P<name>\w+)(?:\[(?P<index>[0-9]{1,6})\])?")


def set_field(config: Message, path: str, value: Any) -> None:
    """Set one field; messages on the way to it are made.

    Args:
        config: the message to change.
        path: such as ``train_config.batch_size`` or
            ``eval_input_reader[0].label_map_path``; an index may be one past the end.
        value: a scalar, or its text as it stands in a config (``"8"``, ``"true"``,
            ``"SIGMOID"``); for a list field one value or a sequence of them, which
            replace what it held; for a message its text in braces
            (``"{ random_horizontal_flip {} }"``), which replaces it.

    Raises:
        ConfigError: no such field, or the value does not fit it.
    """
    *way, last = path.split(".")
    message = config
    for step in way:
        message = _enter(message, step, path)
    matched = STEP.fullmatch(last)
    field = _field(message, matched["name"] if matched else last, path)
    if matched and matched["index"]:
        _set_element(message, field, int(matched["index"]), path, value)
        return
    read = _read(message, field, path, value)
    message.ClearField(field.name)
    message.MergeFrom(read)


def _set_element(message: Message, field: FieldDescriptor, index: int, path: str, value: Any) -> None:
    if not field.is_repeated:
        raise ConfigError(f"{shown(path)}: {field.name} is no list; leave the [{index}] out.")
    _refuse_map(field, path)
    values = getattr(message, field.name)
    if index > len(values):
        raise ConfigError(f"{shown(path)}: {field.name}[{index}] is beyond the {len(values)} there are.")
    new = getattr(_read(message, field, path, value), field.name)
    kept = list(values)
    kept[index : index + 1] = new
    message.ClearField(field.name)
    getattr(message, field.name).extend(kept)


def _read(message: Message, field: FieldDescriptor, path: str, value: Any) -> Message:
    """A message of the same kind that holds the field alone."""
    several = field.is_repeated and isinstance(value, Sequence) and not isinstance(value, str)
    values = list(value) if several else [value]
    texts = [_text(field, one, path) for one in values]
    try:
        for text in texts:
            why = _fault(message, field, text)
            if why:
                raise ConfigError(f"{shown(path)}: {_short(value)} does not fit ({why}).")
        return text_format.Parse("\n".join(texts), type(message)())
    except (text_format.ParseError, ValueError, OverflowError, RecursionError) as error:
        why = re.sub(r"^\d+:\d+ : ", "", shown(str(error)))
        raise ConfigError(f"{shown(path)}: {_short(value)} does not fit ({why}).") from error


def _fault(message: Message, field: FieldDescriptor, text: str) -> str:
    """What is wrong with an entry in protobuf text form; empty when nothing is."""
    reading = read(Path(field.name), text)
    found = [*reading.faults, *schema_faults(reading.entries, cast(Descriptor, message.DESCRIPTOR))]
    if found:
        return found[0].message.removesuffix(".")
    return "" if len(reading.entries) == 1 else "it sets more than one field"


def _text(field: FieldDescriptor, value: Any, path: str) -> str:
    """One entry in protobuf text form."""
    if field.message_type is not None:
        return f"{field.name} {value}"
    if field.cpp_type != FieldDescriptor.CPPTYPE_STRING:
        return f"{field.name}: {str(value).lower() if isinstance(value, bool) else value}"
    if not isinstance(value, str):
        raise ConfigError(f"{shown(path)}: {_short(value)} is no text. Put it in quotes.")
    written = value.replace("\\", "\\\\")
    odd = unescape(written).odd
    if odd:
        raise ConfigError(f"{shown(path)}: {_short(value)} does not fit ({odd}). {advice(value)}")
    return f"{field.name}: " + '"' + written.replace('"', '\\"') + '"'


def _short(value: Any) -> str:
    return shown(reprlib.repr(value))


def _refuse_map(field: Any, path: str) -> None:
    if field.message_type.GetOptions().map_entry if field.message_type is not None else False:
        raise ConfigError(f"{shown(path)}: {field.name} is a map; give it whole, as {{ key: value: }}.")


def _enter(message: Message, step: str, path: str) -> Any:
    matched = STEP.fullmatch(step)
    field = _field(message, matched["name"] if matched else step, path)
    if field.message_type is None:
        raise ConfigError(f"{shown(path)}: {step} holds a plain value, it has no fields.")
    _refuse_map(field, path)
    inner = getattr(message, field.name)
    if not field.is_repeated:
        inner.SetInParent()
        return inner
    index = int(matched["index"] or 0) if matched else 0
    if index > len(inner):
        raise ConfigError(f"{shown(path)}: {step} is beyond the {len(inner)} there are.")
    return inner.add() if index == len(inner) else inner[index]


def _field(message: Message, name: str, path: str) -> Any:
    known = message.DESCRIPTOR.fields_by_name
    if not name.isascii() or name not in known:  # protobuf's own look-up fails on half characters
        raise ConfigError(
            f'{shown(path)}: "{shown(name)}" is no field of {message.DESCRIPTOR.name}.'
            + nearest(name, list(known))
        )
    return known[name]
