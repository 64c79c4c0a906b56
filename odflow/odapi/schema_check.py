"""What a schema has against the fields of a text in protobuf's form, with lines and proto paths."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from google.protobuf import message_factory, text_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from odflow.errors import nearest
from odflow.formats.escapes import advice, unescape
from odflow.formats.prototext import Entry, Fault
from odflow.terminal import shown

PATTERNS = ("freeze_variables", "update_trainable_variables")
r"""Fields of regular expressions: protobuf's reader for Python leaves ``\d`` and ``\.`` there as they are."""

_WANTED = {
    FieldDescriptor.CPPTYPE_STRING: "text in quotes",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
    FieldDescriptor.CPPTYPE_FLOAT: "a number",
    FieldDescriptor.CPPTYPE_INT32: "a whole number",
    FieldDescriptor.CPPTYPE_UINT32: "a whole number, 0 or more",
}
_LAST = {FieldDescriptor.CPPTYPE_INT32: 2**31 - 1, FieldDescriptor.CPPTYPE_UINT32: 2**32 - 1}
_LARGEST_FLOAT = 3.4028235677973366e38  # half a step above the largest of 32 bits
_PLAIN = {
    FieldDescriptor.CPPTYPE_BOOL: re.compile("true|false"),
    FieldDescriptor.CPPTYPE_FLOAT: re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE]-?[0-9]+)?"),
    FieldDescriptor.CPPTYPE_INT32: re.compile("-?(0|[1-9][0-9]{0,8})"),
    FieldDescriptor.CPPTYPE_UINT32: re.compile("0|[1-9][0-9]{0,8}"),
}
_DIGITS = re.compile(r"-?\d+")
_LONGEST = 60


@dataclass(frozen=True)
class _Level:
    """A message that holds the fields in question: its path, its type, its first line."""

    path: str
    type: Descriptor
    line: int

    def inside(self, name: str) -> str:
        return f"{self.path}.{name}".lstrip(".")


MOST_FAULTS = 100
"""Faults that are looked for: each takes a search for the nearest name."""


def schema_faults(entries: Sequence[Entry], message: Descriptor) -> Iterator[Fault]:
    """Find unknown fields, fields set twice, and values that do not fit: the first `MOST_FAULTS`.

    Args:
        entries: of the whole text.
        message: what they shall be.
    """
    return islice(_faults(entries, (_Level("", message, 1),)), MOST_FAULTS)


def _faults(entries: Sequence[Entry], way: tuple[_Level, ...]) -> Iterator[Fault]:
    taken: dict[str, Entry] = {}
    closed: dict[str, Entry] = {}
    here = way[-1]
    for entry in entries:
        path, field = here.inside(entry.name), here.type.fields_by_name.get(entry.name)
        if field is None:
            near = _misplaced(entry.name, closed, way) or nearest(entry.name, here.type.fields_by_name)
            where = here.path or "a pipeline.config"
            yield Fault(entry.line, f'field "{shown(entry.name)}" is unknown in {where}.{near}')
            continue
        first = taken.setdefault(_slot(field, entry), entry)
        if first is not entry:
            set_by = f"line {first.line} has set {first.name}"
            yield Fault(entry.line, f"{path} is set, but {set_by}. Keep one of them.")
        if not isinstance(entry.value, str) and field.message_type is not None:
            closed[entry.name] = entry
            yield from _faults(entry.value, (*way, _Level(path, field.message_type, entry.line)))
            continue
        wrong = _wrong(here.type, field, entry)
        if wrong:
            yield Fault(entry.line, f"{path}{wrong}")


def _misplaced(name: str, closed: Mapping[str, Entry], way: tuple[_Level, ...]) -> str:
    """Say that a bracket is missing or one too many, where a message around or before has the field."""
    here = way[-1]
    for outer in reversed(way[:-1]):
        if name in outer.type.fields_by_name:
            own, holder = here.path.rpartition(".")[2], outer.path or "The config itself"
            return f" {holder} has it: is a }} missing that closes {own} (line {here.line})?"
    for entry in reversed(list(closed.values())):
        inner = here.type.fields_by_name[entry.name].message_type
        if inner is not None and name in inner.fields_by_name:
            holder = here.inside(entry.name)
            return f" {holder} has it, and is closed in line {entry.end}: is that }} one too many?"
    return ""


def _slot(field: FieldDescriptor, entry: Entry) -> str:
    """What only one entry of a message may take: the field, or the oneof that it is part of."""
    if field.containing_oneof is not None:
        return field.containing_oneof.full_name
    return field.name if field.has_presence else f"{id(entry)}"


def _wrong(message: Descriptor, field: FieldDescriptor, entry: Entry) -> str:
    """What is wrong with a value, to stand after its path; empty when nothing is."""
    value = entry.value
    if not isinstance(value, str) or field.message_type is not None:
        return f" is {_found(value)}; wanted: {_wanted(field, value)}"
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _wrong_text(field, entry) if entry.quoted else f" is {_cut(value)}; wanted: text in quotes."
    if entry.quoted and not entry.bare:
        wanted = _wanted(field, value).rstrip(".")
        return f" is {_found(value)}, in quotes; wanted: {wanted}, without them."
    if not _is_read(message, field, value):
        return f" is {_found(value)}; wanted: {_wanted(field, value)}"
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT and _overflows(value):
        return f" is {_found(value)}; wanted: a number of at most 3.4e38."
    return ""


def _wrong_text(field: FieldDescriptor, entry: Entry) -> str:
    text = unescape(entry.raw)
    fault = text.odd or (field.name not in PATTERNS and text.unknown)
    return f": {fault}. {advice(entry.raw)}" if fault else ""


def _is_read(message: Descriptor, field: FieldDescriptor, value: str) -> bool:
    """Whether protobuf takes a number, a name of an enum, true or false."""
    if field.enum_type is not None and value.isascii() and value in field.enum_type.values_by_name:
        return True
    plain = _PLAIN.get(field.cpp_type)  # what nearly all configs hold is quickly seen
    if plain and plain.fullmatch(value):
        return True
    try:
        text_format.Parse(f"{field.name}: {value}", message_factory.GetMessageClass(message)())
    except (text_format.ParseError, ValueError, OverflowError):
        return False
    return True


def _overflows(value: str) -> bool:
    try:
        number = float(value.lower().rstrip("f"))
    except ValueError:  # hexadecimal, or inf
        return False
    return "inf" not in value.lower() and abs(number) >= _LARGEST_FLOAT and not math.isnan(number)


def _found(value: str | list[Entry]) -> str:
    return json.dumps(_cut(value), ensure_ascii=False) if isinstance(value, str) else "a message { }"


def _cut(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."


def _wanted(field: FieldDescriptor, value: str | list[Entry]) -> str:
    if field.message_type is not None:
        return f"a message {{ }} with {', '.join(field.message_type.fields_by_name) or 'nothing in it'}."
    if field.enum_type is not None:
        names = list(field.enum_type.values_by_name)
        return f"one of {', '.join(names)}.{nearest(value, names) if isinstance(value, str) else ''}"
    last = _LAST.get(field.cpp_type)
    if last and isinstance(value, str) and _DIGITS.fullmatch(value) and _is_large(value, last):
        least = -last - 1 if field.cpp_type == FieldDescriptor.CPPTYPE_INT32 else 0
        return f"a whole number from {least} to {last}."
    return f"{_WANTED[field.cpp_type]}."


def _is_large(digits: str, last: int) -> bool:
    return len(digits) > 12 or abs(int(digits)) > last
