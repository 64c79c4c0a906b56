"""List files: names of images, one a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from odflow.errors import InputError
from odflow.formats.image_names import FolderNames, list_fault, name_inside
from odflow.formats.text_files import encoding_by_mark, line_of, lines_of
from odflow.reading import reads
from odflow.regular import read_regular
from odflow.terminal import shown


@reads("a list of images")
def read_image_list(path: Path, root: Path) -> list[str]:
    """Read the image names of a list file, in its order, each once.

    Args:
        path: a text file as `find_images` takes it.
        root: the folder that holds the images.

    Returns:
        Names relative to `root` in one form, spelled as the folder has them; see `FolderNames`.

    Raises:
        InputError: as `find_images`.
    """
    known = FolderNames(root)
    names = (_listed(place, line, Path(root), known) for place, line in list_lines(path))
    return list(dict.fromkeys(names))


def listed_names(path: Path) -> list[str]:
    """Read the names of a list file without a look at the images, in its order, each once.

    Returns:
        Names in one form, see `name_inside`.

    Raises:
        InputError: as `list_lines`, or a line that is no name inside a folder.
    """
    names = []
    for place, line in list_lines(path):
        name = name_inside(line)
        if name is None:
            raise InputError(f"{place}: {shown(line)[:200]}: wanted a name inside the images folder.")
        names.append(name)
    return list(dict.fromkeys(names))


def list_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Read the lines of a list file that name something, each after its place, `file:line`.

    Raises:
        InputError: the file cannot be read or is not text in UTF-8 (or what its byte order mark says).
    """
    try:
        data = read_regular(path)
        lines = lines_of(data.decode(encoding_by_mark(data) or "utf-8"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}). Give a folder or a list file."
        ) from None
    except UnicodeDecodeError as error:
        at = line_of(error, encoding_by_mark(data) or "utf-8")
        raise InputError(
            f"{path}:{at}: is no list of images (not UTF-8 text). Wanted: one image a line."
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
        fault = list_fault(name)
        if fault:
            raise InputError(
                f"{path}: a line of a list cannot hold this name, which {fault}: {shown(name)[:200]}. "
                "Rename the image."
            )
    text = "".join(f"{name}\n" for name in names)
    Path(path).write_text(text, encoding="utf-8", newline="\n")


def _listed(place: str, line: str, root: Path, known: FolderNames) -> str:
    name = line
    if Path(line).is_absolute():
        if not Path(line).is_relative_to(root.absolute()):
            raise InputError(
                f"{place}: {shown(line)[:200]} lies outside {root}. Give root, the folder of the images."
            )
        name = Path(line).relative_to(root.absolute()).as_posix()
    inside = name_inside(name)
    if inside is None:
        raise InputError(f"{place}: {shown(line)[:200]} leads out of {root}. Name an image inside it.")
    found = known.find(inside) or known.find(inside.replace("\\", "/"))
    if found is None:
        raise InputError(
            f"{place}: no such image: {root / shown(inside)[:200]}. Lines are relative to {root}."
        )
    return found
