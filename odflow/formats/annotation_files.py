"""Which annotation file belongs to which image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from odflow.formats.folder_walk import FolderWalk
from odflow.formats.image_names import same_letters
from odflow.formats.images import ImageFile


@dataclass(frozen=True, slots=True)
class AnnotationFiles:
    """Images and their annotation files.

    Attributes:
        files: the file of each image that has one, by the image's name.
        shared: files that fit several images, and the names of these; no image has them.
        left: the other files, sorted.
    """

    files: dict[str, Path]
    shared: dict[Path, list[str]]
    left: list[Path]


def pair_files(
    folder: Path,
    suffix: str,
    images: Iterable[ImageFile],
    folders: Mapping[str, Sequence[str]],
    unread: Iterable[ImageFile] = (),
) -> AnnotationFiles:
    """Find the file of each image.

    That of `a/b.jpg` is `a/b` with the suffix; or, where a folder of the image is called as the
    keys of `folders`, the one in the folder that belongs to it (`images/b.jpg`: `labels/b.txt`);
    or `b` with the suffix in the folder itself, unless it is some other image's. A name with the same
    letters and accents in another Unicode form is taken where none is exactly so.

    Args:
        folder: of the annotation files. It may be the data set's, which holds the images too.
        suffix: ".xml", in small letters; files may have it in capital ones.
        images: all that there are.
        folders: what folders of annotations are called, by the name of the images' in small letters.
        unread: images that are told of elsewhere, and left out: their files are not `left`.
    """
    images = list(images)
    found = dict(_walk(Path(folder), suffix))
    found = {same_letters(key): path for key, path in found.items()} | found
    fits: dict[Path, list[str]] = {}
    for image in images:
        _take(fits, _beside(found, Path(folder), image, folders), image)
    taken = set(fits)
    paired = {name for names in fits.values() for name in names}
    for image in images:
        path = _by_stem(found, image)
        if image.name not in paired and path not in taken:
            _take(fits, path, image)
    files = {names[0]: path for path, names in fits.items() if len(names) == 1}
    shared = {path: names for path, names in fits.items() if len(names) > 1}
    theirs = {_beside(found, Path(folder), one, folders) or _by_stem(found, one) for one in unread}
    return AnnotationFiles(files, shared, sorted(set(found.values()) - set(fits) - theirs))


def _beside(
    found: Mapping[str, Path], folder: Path, image: ImageFile, folders: Mapping[str, Sequence[str]]
) -> Path | None:
    keys = list(_keys(folder, image, folders))
    return next((found[key] for key in (*keys, *map(same_letters, keys)) if key in found), None)


def _by_stem(found: Mapping[str, Path], image: ImageFile) -> Path | None:
    stem = PurePosixPath(_key(image.name)).name
    return found.get(stem) or found.get(same_letters(stem))


def _take(fits: dict[Path, list[str]], path: Path | None, image: ImageFile) -> None:
    if path is not None:
        fits.setdefault(path, []).append(image.name)


def _key(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _keys(folder: Path, image: ImageFile, folders: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Where its file may lie, relative to the folder, without suffix."""
    names = [image.name]
    path = image.path.absolute()
    if path.is_relative_to(folder.absolute()):
        names.append(path.relative_to(folder.absolute()).as_posix())
    for name in names:
        parts = PurePosixPath(_key(name)).parts
        yield "/".join(parts)
        for at in reversed(range(len(parts) - 1)):
            for beside in folders.get(parts[at].lower(), ()):
                yield "/".join((*parts[:at], beside, *parts[at + 1 :]))


def _walk(folder: Path, suffix: str) -> Iterator[tuple[str, Path]]:
    """Every file with the suffix, by its key; hidden files and folders are passed over."""
    for at in FolderWalk(folder):
        for file in () if at.hidden else at.files:
            if file.lower().endswith(suffix) and not file.startswith("."):
                yield (at.prefix + file)[: -len(suffix)], Path(at.path, file)
