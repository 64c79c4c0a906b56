"""Give a field the text that was written where it wants a text, and YAML made something else of it.

YAML reads the class names `no`, `007`, `12:30:45` and `null` as false, 7, 45045 and nothing.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Collection, Iterator, Mapping
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union

from odflow.graph.document import Address


def as_wanted(annotation: Any, value: Any, texts: Mapping[Address, str], address: Address) -> Any:
    """Put the written texts into a value, wherever the annotation takes a text and not the value itself.

    Args:
        annotation: of the field.
        value: what YAML made of it: dicts, lists, scalars.
        texts: how scalars that are no texts were written.
        address: of the value.

    Returns:
        The value; a new one where something has changed.
    """
    kinds = list(members(annotation))
    if isinstance(value, dict):
        inner = [typing.get_args(member)[1:2] for member in kinds if _is(member, Mapping)]
        of = inner[0][0] if inner and inner[0] else None
        return {key: as_wanted(of, item, texts, (*address, key)) for key, item in value.items()}
    if isinstance(value, list):
        items = [typing.get_args(member)[:1] for member in kinds if _is(member, Collection)]
        of = items[0][0] if items and items[0] else None
        return [as_wanted(of, item, texts, (*address, index)) for index, item in enumerate(value)]
    text = texts.get(address)
    if text is None or any(_takes(member, value) for member in kinds):
        return value
    return text if any(_wants_text(member, value, text) for member in kinds) else value


def _takes(member: Any, value: Any) -> bool:
    """Whether a value is of a type as it is."""
    if typing.get_origin(member) is Literal:
        return any(type(one) is type(value) and one == value for one in typing.get_args(member))
    if value is None or isinstance(value, bool):
        return member in (type(value), Any)
    return member in (type(value), Any) or (member is float and isinstance(value, int))


def _wants_text(member: Any, value: Any, text: str) -> bool:
    if typing.get_origin(member) is Literal:
        return text in typing.get_args(member)
    if isinstance(member, type) and issubclass(member, PurePath):
        return value is not None  # null names no file
    return member is str


def _is(member: Any, kind: type) -> bool:
    origin = typing.get_origin(member)
    return isinstance(origin, type) and issubclass(origin, kind)


def members(annotation: Any) -> Iterator[Any]:
    """The types of a union, without their marks; NoneType is one of them."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from members(typing.get_args(annotation)[0])
    elif origin in (Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from members(member)
    else:
        yield annotation
