"""Masks of COCO's instance annotations: JSON with polygons, and run lengths for crowds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odflow.errors import InputError
from odflow.formats.image_names import name_inside
from odflow.formats.mask_classes import BACKGROUND
from odflow.formats.masks import (
    UNCOVERED,
    EncodedMask,
    MaskSet,
    check_size,
    encode_mask,
    first_lines,
    mask_key,
)
from odflow.formats.pose_annotations import read_json
from odflow.formats.regions import checked_rle, paint, polygons_rle
from odflow.reading import reads

if TYPE_CHECKING:
    from odflow.formats.regions import Rle


@reads("a COCO file of masks")
def coco_masks(path: Path) -> MaskSet:
    """Take a COCO file: every image that it lists is annotated, with objects or without.

    Raises:
        InputError: no such file, no JSON, not of COCO's form, or an annotation of an image or a
            class that the file lacks.
    """
    data = read_json(path)
    try:
        return _mask_set(path, data)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError) as error:
        reason = f"lacks {error}" if isinstance(error, KeyError) else f"is of another form ({error})"
        raise InputError(
            f"{path}: {reason}. Wanted: COCO's images, annotations with segmentation, and categories."
        ) from None


@dataclass(frozen=True, slots=True)
class CocoMask:
    """The objects of one image of a COCO file; each its id, its class number and its segmentation.

    `size` is width and height as the file has them; None where it has none.
    """

    path: Path
    name: str
    size: tuple[int, int] | None
    objects: tuple[tuple[object, int, Any], ...]

    @property
    def place(self) -> str:
        """The file, and the image in it."""
        return f"{self.path}: {self.name}"

    def read(self, size: tuple[int, int], numbers: Mapping[int, int]) -> EncodedMask:
        """Draw it, see `Mask`."""
        check_size(self.place, self.size or size, size)
        width, height = size
        objects = ((numbers[number], rle) for number, rle in self._objects(width, height))
        return encode_mask(paint(objects, numbers[UNCOVERED], height=height, width=width))

    def _objects(self, width: int, height: int) -> Iterator[tuple[int, Rle]]:
        for identity, number, segmentation in self.objects:
            try:
                if isinstance(segmentation, list):
                    yield number, polygons_rle(segmentation, height, width)
                else:
                    yield number, checked_rle(segmentation, height, width)
            except InputError as error:
                raise InputError(f"{self.place}: annotation {identity} has {error}.") from None


def _mask_set(path: Path, data: Any) -> MaskSet:
    classes = {int(one["id"]): str(one["name"]) for one in data["categories"]}
    objects: dict[Any, list[tuple[object, int, Any]]] = {one["id"]: [] for one in data["images"]}
    problems = []
    for one in data["annotations"]:
        if one["image_id"] not in objects or one["category_id"] not in classes:
            lacks = f"image {one['image_id']}, category {one['category_id']}"
            problems.append(f"{path}: annotation {one.get('id')} is of {lacks}, which the file lacks.")
        elif one["segmentation"]:
            objects[one["image_id"]].append((one.get("id"), int(one["category_id"]), one["segmentation"]))
    masks: dict[str, CocoMask] = {}
    for image in data["images"]:
        said = str(image["file_name"])
        name = name_inside(said)
        if name is None:
            problems.append(f"{path}: has an image {said!r:.200}; wanted a name inside the images folder.")
            continue
        if mask_key(name) in masks:
            problems.append(
                f"{path}: {name} and {masks[mask_key(name)].name} have one name without extension."
            )
        size = (int(image["width"]), int(image["height"])) if "width" in image else None
        masks[mask_key(name)] = CocoMask(path, name, size, tuple(objects[image["id"]]))
    if problems:
        raise InputError(*first_lines(problems))
    return MaskSet({UNCOVERED: BACKGROUND, **classes}, masks)
