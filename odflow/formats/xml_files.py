"""XML of annotation tools, whatever encoding it is written in."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from odflow.errors import InputError
from odflow.formats.text_files import encoding_by_mark, line_of

_DECLARED = re.compile(rb"""^\s*<\?xml\s[^>]{0,200}?\bencoding\s*=\s*["']\s*([!-~]{1,40}?)\s*["']""")

_NO_CHARSETS = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
"""Text codecs of Python's that no tool writes files in; some take time without bound."""

_WIDER = {
    "big5": "cp950",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
}
"""What Windows writes under these names: the same, and more characters (as browsers read them)."""


@dataclass(frozen=True, slots=True)
class XmlTree:
    """A parsed file.

    Attributes:
        root: its element.
        items: the elements of the name that was asked for, but those inside another one, each
            after the number of the line where it begins.
    """

    root: Element
    items: list[tuple[int, Element]]


def parse_xml(data: bytes, place: str, item: str) -> XmlTree:
    """Parse XML that declares nothing: entities can blow up and read other files.

    It is read in the encoding that its byte order mark tells, else the one that it declares: any
    that Python knows. One that declares an unknown encoding, or that is not in the declared one,
    is read where it is UTF-8.

    Args:
        data: of the whole file.
        place: what messages call it.
        item: the name of the elements to list.

    Raises:
        InputError: not XML, has a DOCTYPE, or is in another encoding. The message has the line.
    """
    builder, depth = TreeBuilder(), 0
    items: list[tuple[int, Element]] = []
    parser = expat.ParserCreate("utf-8")  # whatever is declared

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        element = builder.start(name, attributes)
        depth += name == item
        if name == item and depth == 1:
            items.append((parser.CurrentLineNumber, element))

    def end(name: str) -> None:
        nonlocal depth
        builder.end(name)
        depth -= name == item

    def refuse(*_: object) -> NoReturn:
        raise InputError(f"{place}: has a DOCTYPE, which annotations do not need. Remove it.")

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(_decode(data, place).encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        reason = expat.errors.messages[error.code]
        raise InputError(f"{place}:{error.lineno}: is not XML ({reason}).") from None
    return XmlTree(builder.close(), items)


def _decode(data: bytes, place: str) -> str:
    marked = encoding_by_mark(data) or _without_mark(data)
    found = _DECLARED.match(data[:400])
    declared = found.group(1).decode("ascii") if found and not marked else ""
    known = _python_name(declared)
    faults: list[int] = []
    for encoding in [marked] if marked else _possible(known):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as error:
            faults.append(line_of(error, encoding))
    said = f'the encoding that it declares ("{declared}")' if known else "UTF-8"
    if declared and not known:
        said += f', and the encoding that it declares ("{declared}") is unknown'
    raise InputError(f"{place}:{faults[0]}: is not in {said}. Save it as UTF-8.")


def _without_mark(data: bytes) -> str | None:
    """What the zero bytes around the first `<` tell."""
    for start, encoding in (
        (b"<\0\0\0", "utf-32-le"),
        (b"\0\0\0<", "utf-32-be"),
        (b"<\0", "utf-16-le"),
        (b"\0<", "utf-16-be"),
    ):
        if data.startswith(start):
            return encoding
    return None


def _possible(known: str) -> list[str]:
    """The encodings to try; bytes that can be read as ASCII are no UTF-16, whatever they declare."""
    if not known or known.startswith(("utf-16", "utf-32")):
        return ["utf-8"]
    return list(dict.fromkeys([known, _WIDER.get(known, known), "utf-8"]))


def _python_name(declared: str) -> str:
    """What Python calls an encoding; empty where it knows none of the name."""
    for name in (declared, declared.lower().removeprefix("x-"), declared.lower().replace("windows-", "cp")):
        if _is_charset(name):
            return codecs.lookup(name).name
    return "cp932" if declared.lower() == "windows-31j" else ""


def _is_charset(name: str) -> bool:
    """Whether Python reads text in it; `hex`, `zip` and their like turn bytes into bytes."""
    try:
        b"a".decode(name)
    except UnicodeError:
        pass
    except LookupError:
        return False
    return codecs.lookup(name).name.replace("_", "-") not in _NO_CHARSETS
