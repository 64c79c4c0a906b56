r"""Names of images as tables and lists hold them: relative to their folder, POSIX, each in one form.

`./a.jpg`, `.//a.jpg` and `a.jpg/` are `a.jpg`. Which spelling of a name is right, `A.JPG` or
`a.jpg`, an accent as a letter of its own or not, its folder says: see `FolderNames`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

_OUTSIDE = re.compile(r"^\Z|^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|\Z)|\0")

_LONGEST = 4096  # characters: no system takes a longer path
_MOST_ALIKE = 16  # folders on the way to a file that are looked into, where none is called exactly so


def leaves_folder(name: str) -> bool:
    """Tell whether a name from a table or list would lead out of its folder.

    >>> [leaves_folder(name) for name in ("a/b.jpg", "a/../../b.jpg", "/etc/passwd", "..b.jpg")]
    [False, True, True, False]
    """
    return _OUTSIDE.search(name) is not None


def name_inside(name: object) -> str | None:
    """Bring a name from a table or list to its one form.

    Args:
        name: as it was written.

    Returns:
        The name; None for what is no name of a file inside a folder: no text, half a character in
        it, empty, or leading out.

    >>> [name_inside(name) for name in ("./a.jpg", "x//a.jpg", "a.jpg/", "../a.jpg", ".", 7)]
    ['a.jpg', 'x/a.jpg', 'a.jpg', None, None, None]
    """
    if not isinstance(name, str) or leaves_folder(name) or not is_utf8(name):
        return None
    inside = PurePosixPath(name).as_posix()
    return None if inside == "." else inside


def is_utf8(name: str) -> bool:
    r"""Tell whether a text can be written: bytes of a name that are not UTF-8 are halves of characters.

    >>> is_utf8("ü.jpg"), is_utf8("\udcfc.jpg")
    (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def list_fault(name: str) -> str | None:
    r"""Why a line of a list cannot hold a name; None where it can.

    >>> list_fault("a b.jpg"), list_fault(" a.jpg"), list_fault("a\nb.jpg")
    (None, 'begins or ends with a blank', 'holds a line end')
    """
    if not is_utf8(name):
        return "is not UTF-8"
    if "\n" in name or "\r" in name:
        return "holds a line end"
    if name != name.strip():
        return "begins or ends with a blank"
    if name.startswith(("#", "\ufeff")):
        return "begins with # or a byte order mark"
    return None if name_inside(name) == name else "is no name inside a folder"


def alike(name: str) -> str:
    """What names have in common that differ in nothing but the case of letters and the form of accents.

    >>> alike("A/Bü.JPG") == alike("a/bu\u0308.jpg")
    True
    """
    return same_letters(same_letters(name).casefold())


def same_letters(name: str) -> str:
    """What names have in common that differ in the Unicode form of accents alone: macOS takes them apart."""
    return unicodedata.normalize("NFC", name)


def first_alike(names: Iterable[str]) -> dict[str, str]:
    """For each name the first of all that are `alike`: itself, where no other is.

    >>> first_alike(["b.jpg", "a.jpg", "A.jpg"])
    {'A.jpg': 'A.jpg', 'a.jpg': 'A.jpg', 'b.jpg': 'b.jpg'}
    """
    first: dict[str, str] = {}
    return {name: first.setdefault(alike(name), name) for name in sorted(set(names))}


class FolderNames:
    """The files of a folder by the names that its listings give them, whatever way they are asked for.

    File systems may take `A.JPG` for `a.jpg`, and either form of an accent; then both names are
    one picture. Each folder is listed once, when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        """Look at nothing yet.

        Args:
            folder: that names are relative to.
        """
        self._folder = Path(folder)
        self._listings: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> str | None:
        """The file that a name means.

        Args:
            name: as `name_inside` gives it.

        Returns:
            Its name as the folder has it: of all that are alike the one that is the same file (the
            first, where several are), or the only one that has the same letters and accents in another
            Unicode form. None where there is no such file.
        """
        if len(name) > _LONGEST:
            return None
        there, spellings = _is_file(self._folder / name), self._alike(name)
        if there and spellings in ([], [name]):  # a folder that cannot be listed has no spellings
            return name
        if there:
            return min((one for one in spellings if _is_same(self._folder, one, name)), default=name)
        equal = [one for one in spellings if same_letters(one) == same_letters(name)]
        return equal[0] if len(equal) == 1 and _is_file(self._folder / equal[0]) else None

    def below(self, name: str) -> str | None:
        r"""The file that a name means which may be absolute, hold `\` or have blanks around it.

        Returns:
            As `find`, of the name or else of the longest end of it that is a file.
        """
        inside = name_inside(name)
        found = self.find(inside) if inside else None
        if found or "\0" in name or len(name) > _LONGEST or not is_utf8(name):
            return found
        parts = [part for part in name.strip().replace("\\", "/").split("/") if part not in ("", ".")]
        ends = ("/".join(parts[start:]) for start in range(len(parts)) if ".." not in parts[start:])
        return next(filter(None, (self.find(end) for end in ends if not leaves_folder(end))), None)

    def _alike(self, name: str) -> list[str]:
        """The names in the folder, of whatever there is, that are alike; of its folders the right ones."""
        found = [""]
        *folders, last = name.split("/")
        for part in folders:
            found = [one for parent in found for one in self._inside(parent, part, exactly=True)][
                :_MOST_ALIKE
            ]
        return [one for parent in found for one in self._inside(parent, last)]

    def _inside(self, parent: str, name: str, *, exactly: bool = False) -> list[str]:
        """What a folder has that is alike; only what is called exactly so, where that is enough."""
        if parent not in self._listings:
            self._listings[parent] = _listing(self._folder / parent)
        found = self._listings[parent].get(alike(name), [])
        found = [name] if exactly and name in found else found
        return [f"{parent}/{one}" if parent else one for one in found]


def names_below(names: Iterable[str], images: Path | FolderNames) -> dict[str, str]:
    """Bring names of a table to those that the folder of the images has.

    Names may be absolute, begin with the folder's own name, hold `\\` as on Windows, or have blanks
    around them. The longest end of such a name that is a file in the folder is taken, in the
    spelling that the folder has.

    Args:
        names: of images.
        images: the folder; or what is known of it, where there are many calls.

    Returns:
        What they become; not those that are right but for their form (see `name_inside`), and not
        those that no file is found for.
    """
    known = images if isinstance(images, FolderNames) else FolderNames(images)
    found = ((name, known.below(name)) for name in names if isinstance(name, str))
    return {name: better for name, better in found if better not in (None, name_inside(name))}


def merge_alike(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Find the names in a folder that are one file and differ in case or Unicode form alone.

    Args:
        folder: that they are relative to.
        names: each once.

    Returns:
        For each that is another's file: the first name of that file.
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(alike(name), []).append(name)
    merged: dict[str, str] = {}
    for group in groups.values():
        for at, name in enumerate(group[1:], 1):
            first = next((one for one in group[:at] if _is_same(folder, one, name)), None)
            if first is not None:
                merged[name] = first
    return merged


def _listing(folder: Path) -> dict[str, list[str]]:
    listing: dict[str, list[str]] = {}
    try:
        found = [path.name for path in folder.iterdir()]
    except (OSError, ValueError):
        return {}
    for name in found:
        listing.setdefault(alike(name), []).append(name)
    return listing


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_same(folder: Path, one: str, other: str) -> bool:
    try:
        return (folder / one).samefile(folder / other)
    except OSError:
        return False
