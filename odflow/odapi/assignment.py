"""Set a field of a config by its dotted path."""

from __future__ import annotations

import re
from typing import Any

from google.protobuf.message import Message

from odflow.errors import ConfigError, nearest

STEP = re.compile(r"(?P<name>\w+)(?:\[(?P<index>\d+)\])?")


def set_field(config: Message, path: str, value: Any) -> None:
    """Set one field; messages on the way to it are made.

    Args:
        config: the message to change.
        path: such as ``train_config.batch_size`` or
            ``eval_input_reader[0].label_map_path``; an index may be one past the end.
        value: a scalar; a repeated scalar field becomes a list of this one.

    Raises:
        ConfigError: no such field, or the value does not fit it.
    """
    *way, last = path.split(".")
    message = config
    for step in way:
        message = _enter(message, step, path)
    field = _field(message, last, path)
    try:
        if field.is_repeated:
            del getattr(message, field.name)[:]
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{path}: {value!r} does not fit ({error}).") from error


def _enter(message: Message, step: str, path: str) -> Any:
    matched = STEP.fullmatch(step)
    field = _field(message, matched["name"] if matched else step, path)
    if field.message_type is None:
        raise ConfigError(f"{path}: {step} holds a plain value, it has no fields.")
    inner = getattr(message, field.name)
    if not field.is_repeated:
        inner.SetInParent()
        return inner
    index = int(matched["index"] or 0) if matched else 0
    if index > len(inner):
        raise ConfigError(f"{path}: {step} is beyond the {len(inner)} there are.")
    return inner.add() if index == len(inner) else inner[index]


def _field(message: Message, name: str, path: str) -> Any:
    known = message.DESCRIPTOR.fields_by_name
    if name not in known:
        raise ConfigError(
            f'{path}: "{name}" is no field of {message.DESCRIPTOR.name}.' + nearest(name, list(known))
        )
    return known[name]
