"""Names of images: list files, and names that may not lead out of their folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from odflow.errors import InputError
from odflow.formats.text_files import encoding_by_mark, lines_of

_OUTSIDE = re.compile(r"^$|^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\0")


def read_image_list(path: Path, root: Path) -> list[str]:
    """Read the image names of a list file, in its order, each once.

    Args:
        path: a text file as `find_images` takes it.
        root: the folder that holds the images.

    Returns:
        Names relative to `root`, POSIX.

    Raises:
        InputError: as `find_images`.
    """
    names = (_listed(place, line, Path(root)) for place, line in list_lines(path))
    return list(dict.fromkeys(names))


def list_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Read the lines of a list file that name something, each after its place, `file:line`.

    Raises:
        InputError: the file cannot be read or is not text in UTF-8 (or what its byte order mark says).
    """
    try:
        data = Path(path).read_bytes()
        lines = lines_of(data.decode(encoding_by_mark(data) or "utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Give a folder or a list file."
        ) from None
    except UnicodeDecodeError:
        raise InputError(
            f"{path}: is no list of images (not UTF-8 text). Wanted: one image a line."
        ) from None
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield f"{path}:{number}", line.strip()


def write_image_list(path: Path, names: Iterable[str]) -> None:
    """Write a list file, one name a line.

    Raises:
        InputError: a name that a line of a list cannot hold.
    """
    names = list(names)
    for name in names:
        if name.splitlines() != [name] or name != name.strip() or name.startswith("#"):
            raise InputError(f"{name!r}: a line of a list cannot hold this name. Rename the image.")
    Path(path).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def leaves_folder(name: str) -> bool:
    """Tell whether a name from a table or list would lead out of its folder.

    >>> [leaves_folder(name) for name in ("a/b.jpg", "a/../../b.jpg", "/etc/passwd", "..b.jpg")]
    [False, True, True, False]
    """
    return _OUTSIDE.search(name) is not None


def _listed(place: str, line: str, root: Path) -> str:
    name = line
    if Path(line).is_absolute():
        if not Path(line).is_relative_to(root.absolute()):
            raise InputError(f"{place}: {line} lies outside {root}. Give root, the folder of the images.")
        name = Path(line).relative_to(root.absolute()).as_posix()
    if leaves_folder(name):
        raise InputError(f"{place}: {line} leads out of {root}. Name an image inside it.")
    name = Path(name).as_posix()
    if not (root / name).is_file():
        raise InputError(f"{place}: no such image: {root / name}. Lines are relative to {root}.")
    return name
