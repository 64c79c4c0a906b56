"""Whether annotations and images are of one data set, and which images of it are chosen."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from odflow.errors import InputError, nearest
from odflow.formats.annotations import Annotations
from odflow.formats.image_forms import is_image_name
from odflow.formats.image_list import list_lines
from odflow.formats.image_names import name_inside, same_letters
from odflow.formats.images import ImageFile
from odflow.left_out import SHOWN, Faults, first_names
from odflow.terminal import shown

_MISMATCH = 0.1
"""The share of the images, and of the annotations, below which those that fit do so by chance."""


def check_match(
    annotations: Annotations, images: Sequence[ImageFile], place: Path, *, all_meant: bool
) -> None:
    """Make sure that the annotations are those of the images.

    Args:
        annotations: what there is.
        images: all that there are.
        place: of the annotations.
        all_meant: whether all images are to be imported; not some that a list names.

    Raises:
        InputError: no image has an annotation; or, where all are meant, less than a tenth of the
            images have one, and less than a tenth of the annotations an image.
    """
    what, strangers = annotations.what, annotations.strangers
    names = sorted(image.name for image in images)
    there = annotations.known.intersection(names)
    bare = [name for name in names if name not in there]
    few = len(there) < _MISMATCH * len(names) and len(there) < _MISMATCH * (len(there) + len(strangers))
    if there and not (all_meant and few):
        return
    holds = f" {len(strangers)} are for other images: {first_names(strangers)}." if strangers else ""
    advice = " An image_list takes these images alone." if there else ""
    raise InputError(
        f"{place}: has no {what} for {bare[0]} ({len(bare)} of {len(names)} images lack theirs). "
        f"Wanted: one named like the image.{holds or _contents(place)}{advice}"
    )


def choose_images(
    image_list: Path, images: Sequence[ImageFile], folder: Path
) -> tuple[list[ImageFile], Faults]:
    """Take the images that a list names, with or without extension.

    Args:
        image_list: the file, a name a line.
        images: all that there are.
        folder: of the images, for messages.

    Returns:
        The images in the order in which they came, and the lines that fit none, or several.

    Raises:
        InputError: the list cannot be read, or names nothing.
    """
    known: dict[str, list[ImageFile]] = {}
    for image in images:
        known.setdefault(str(PurePosixPath(image.name).with_suffix("")), []).append(image)
    known |= {image.name: [image] for image in images}
    lettered = {same_letters(name): fitting for name, fitting in known.items()}
    chosen, faults = set(), Faults()
    for place, line in list_lines(image_list):
        name = name_inside(line) or line
        fitting = known.get(name) or lettered.get(same_letters(name), [])
        if len(fitting) == 1:
            chosen.add(fitting[0].name)
        elif fitting:
            both = " and ".join(image.name for image in fitting[:2])
            faults.add(f'{place}: "{line}" fits {both}. Add the extension.')
        else:
            near = nearest(line, known) if len(faults.lines) < SHOWN else ""  # it takes long
            faults.add(f'{place}: {folder} has no image "{shown(line)[:100]}".{near}')
    if not chosen and not faults.lines:
        raise InputError(f"{image_list}: names no image. Wanted: one a line.")
    return [image for image in images if image.name in chosen], faults


def _contents(place: Path) -> str:
    """What a folder holds beside images."""
    names = (name for _, _, files in os.walk(place) for name in files if not is_image_name(name))
    kinds = Counter(Path(name).suffix.lower() for name in names).most_common(3)
    return f" It holds {', '.join(f'{number} {kind}' for kind, number in kinds if kind)}." if kinds else ""
