"""Which files of a folder are images, and which look like some and are left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from odflow.errors import InputError
from odflow.formats.folder_walk import FolderWalk
from odflow.formats.image_forms import (
    START,
    SUFFIXES,
    image_format,
    is_image_name,
    other_form,
    suffix_of,
)
from odflow.formats.image_list import read_image_list
from odflow.formats.image_names import list_fault, merge_alike
from odflow.left_out import LeftOut
from odflow.regular import kind_of

_WANTED = "Give a folder with JPEG, PNG, BMP or WebP files."


@dataclass(frozen=True, slots=True)
class ImageFile:
    """One image: its name as tables hold it (relative, POSIX) and where it lies."""

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class ImageSearch:
    """What was found in a folder.

    Attributes:
        images: sorted by name.
        left_out: a kind each of what a person may hold for images of the folder too:
            `images_of_other_forms`, `images_hidden`, `links_broken`, `images_no_files` (pipes,
            sockets, devices), `folders_linked` (those not entered), `folders_unreadable`,
            `images_with_unfit_names` (see `list_fault`), `images_named_twice`
            (see `merge_alike`). For `Job.leave_out`.
    """

    images: list[ImageFile]
    left_out: tuple[LeftOut, ...] = ()


def find_images(folder: Path, root: Path | None = None) -> list[ImageFile]:
    """The images that `search_images` finds.

    Raises:
        InputError: as there.
    """
    return search_images(folder, root).images


def search_images(folder: Path, root: Path | None = None) -> ImageSearch:
    """Find the images of a folder, or those that a list file names.

    Args:
        folder: a folder, searched with all folders in it (hidden files and folders are
            passed over; linked folders are entered, each folder once, under its own name
            where it has one, and never one that holds the link), or a text file with one
            image a line; blank lines and lines that start with # are passed over, and so
            is a name that was there before.
        root: the folder that the lines of a list are relative to, the list's own if left
            out. A line may hold an absolute path below it.

    Returns:
        The images, sorted by name. From a folder: each file that begins as an image does
        or is called like one (so that a damaged one is missed by nobody); beside them what
        was left out. A list leaves nothing out.

    Raises:
        InputError: no such folder or list, no image in it (the message says what there is
            instead), a line that names no file or one outside the root. The message names file
            and line.
    """
    if not Path(folder).is_dir():
        return ImageSearch(_listed(Path(folder), root))
    walk = _Walk(Path(folder))
    images = walk.sorted_images()
    left_out = tuple(walk.left_out())
    if not images:
        raise InputError(_nothing(folder, left_out))
    return ImageSearch(images, left_out)


def check_images(folder: Path, root: Path | None = None) -> None:
    """Make sure that there are images, without looking at more of a folder than it takes.

    Args:
        folder: as `search_images` takes it.
        root: as there.

    Raises:
        InputError: as there.
    """
    if not Path(folder).is_dir():
        _listed(Path(folder), root)
        return
    if not any(_images_by_name(Path(folder))):
        search_images(folder)


def image_bytes(folder: Path, names: Iterable[str] | None = None) -> int:
    """The size of images in bytes, without opening one.

    Args:
        folder: where they are.
        names: relative to it; None for all files that are called like images.
    """
    if names is None:
        found = ((at.path, name) for at in FolderWalk(folder, once=True) for name in at.files)
        places = (Path(at, name) for at, name in found if is_image_name(name))
    else:
        places = (folder / name for name in names)
    total = 0
    for place in places:
        with suppress(OSError):
            total += place.stat().st_size
    return total


def _images_by_name(folder: Path) -> Iterator[Path]:
    """What is called like an image and is a file, without opening one."""
    for at in FolderWalk(folder, once=True):
        if not at.hidden:
            called_so = (
                name for name in at.files if suffix_of(name) in SUFFIXES and not name.startswith(".")
            )
            yield from filter(Path.is_file, (Path(at.path, name) for name in called_so))


def _listed(path: Path, root: Path | None) -> list[ImageFile]:
    base = path.parent if root is None else Path(root)
    found = [ImageFile(name, base / name) for name in read_image_list(path, base)]
    if not found:
        raise InputError(f"{path}: names no image. Wanted: one image a line, relative to {base}.")
    return sorted(found, key=lambda image: image.name)


def _nothing(folder: Path, left_out: tuple[LeftOut, ...]) -> str:
    if not left_out:
        return f"{folder}: holds no image. {_WANTED}"
    return f"{folder}: holds no image that can be taken: " + " ".join(map(str, left_out))


@dataclass
class _Walk:
    """One walk through a folder; what is passed over is kept by name."""

    folder: Path
    forms: dict[str, str] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    no_files: dict[str, str] = field(default_factory=dict)
    linked: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unfit: dict[str, str] = field(default_factory=dict)
    twice: dict[str, str] = field(default_factory=dict)

    def sorted_images(self) -> list[ImageFile]:
        """The images by name, each file under one of the names that are alike."""
        images = {image.name: image for image in self.images()}
        self.twice = merge_alike(self.folder, images)
        return [images[name] for name in sorted(images) if name not in self.twice]

    def images(self) -> Iterator[ImageFile]:
        """The images, in any order."""
        walk = FolderWalk(self.folder, once=True, cannot_list=self._cannot_list)
        for at in walk:
            for file in at.files:
                name = at.prefix + file
                if at.hidden or file.startswith("."):
                    self._hide(at.prefix, file)
                elif self._is_image(f"{at.path}/{file}", name) and self._fits(name):
                    yield ImageFile(name, Path(at.path, file))
        self.linked = walk.passed

    def left_out(self) -> Iterator[LeftOut]:
        """What the walk passed over, the kinds that there are."""
        forms = ", ".join(sorted(set(self.forms.values())))
        kinds = ", ".join(sorted(set(self.no_files.values())))
        faults = " or ".join(sorted(set(self.unfit.values())))
        for name, what, names, advice in (
            (
                "images_of_other_forms",
                f"images left out, of forms that are not read: {forms}",
                self.forms,
                "Convert them to JPEG or PNG.",
            ),
            ("images_hidden", "images left out, which are hidden by a dot", self.hidden, ""),
            ("links_broken", "images left out, which are links to nowhere", self.broken, ""),
            ("images_no_files", f"images left out, which are no regular files: {kinds}", self.no_files, ""),
            (
                "folders_linked",
                "linked folders not entered: hidden, entered under another name, or holding the link",
                self.linked,
                "",
            ),
            ("folders_unreadable", "folders left out, which cannot be listed", self.unreadable, ""),
            (
                "images_with_unfit_names",
                f"images left out, whose names no list can hold: one {faults}",
                self.unfit,
                "Rename them.",
            ),
            ("images_named_twice", "names left out, which are other names' files", self.twice, ""),
        ):
            if names:
                yield LeftOut(name, len(names), what, sorted(names), advice)

    def _is_image(self, path: str, name: str) -> bool:
        if not os.path.isfile(path):  # noqa: PTH113 -- a pipe would block, a link may lead nowhere
            if is_image_name(name):
                self._leave(path, name)
            return False
        if suffix_of(name) in SUFFIXES:
            return True
        start = _start(path)
        form = other_form(start, name)
        if form:
            self.forms[name] = form
        return image_format(start) is not None

    def _leave(self, path: str, name: str) -> None:
        try:
            self.no_files[name] = kind_of(os.stat(path).st_mode)  # noqa: PTH116 -- a text
        except OSError:
            self.broken.append(name)

    def _fits(self, name: str) -> bool:
        fault = list_fault(name)
        if fault:
            self.unfit[name] = fault
        return fault is None

    def _hide(self, before: str, file: str) -> None:
        # macOS writes a ._FILE beside each file on foreign disks
        if is_image_name(file) and not file.startswith("._"):
            self.hidden.append(before + file)

    def _cannot_list(self, error: OSError) -> None:
        self.unreadable.append(str(Path(error.filename).relative_to(self.folder)))


def _start(path: str) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a third of the time that an opened Path takes
    except OSError:
        return b""
    try:
        return os.read(file, START)
    except OSError:
        return b""
    finally:
        os.close(file)
