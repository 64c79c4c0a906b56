"""Images with their ground truth, from records; `labelled_table` has those of a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError, TableError, nearest
from odflow.formats.example import example_views, feature_value
from odflow.formats.image_check import Size
from odflow.formats.images import MOST_PIXELS, read_image
from odflow.formats.label_map import LabelMap
from odflow.formats.object_check import KINDS
from odflow.formats.object_classes import object_classes
from odflow.formats.record_check import image_name, kind_problems, stated_size
from odflow.formats.record_image import read_record_image
from odflow.formats.tfrecord import Records, read_records, record_files
from odflow.reading import reading
from odflow.terminal import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """One image and the N objects in it.

    Attributes:
        name: as tables hold it.
        path: the file, or the file of records.
        data: the encoded image; None where `path` is the image.
        boxes_yxyx: (N, 4) float64, ymin xmin ymax xmax, normalised.
        classes: (N,) int64, ids of the label map.
        is_crowd: (N,) bool.
        area: (N,) pixels, where it is given.
        size: width and height in pixels, as the table or the record has them; None where it has not.
    """

    name: str
    path: Path
    data: bytes | None
    boxes_yxyx: NDArray[np.float64]
    classes: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]
    area: NDArray[np.float64] | None
    size: tuple[int, int] | None = None

    def read(self, most_pixels: int = MOST_PIXELS) -> NDArray[np.uint8]:
        """Decode the image: a file as `read_image` does, the picture of a record as TensorFlow does.

        Args:
            most_pixels: of the image, by its header.

        Raises:
            ImageError: it cannot be decoded, has more pixels, or another size than its record says.
        """
        if self.data is None:
            return read_image(self.path, most_pixels)
        stated = Size(*self.size) if self.size else None
        return read_record_image(self.path / self.name, self.data, stated, most_pixels)


def labelled_images_of_records(
    records: Records, label_map: LabelMap, *, drop_unknown: bool = False
) -> Iterator[LabelledImage]:
    """Read the examples of records.

    Args:
        records: a file, a folder, or several.
        label_map: the ids of the classes. An object's text decides, and where that is empty,
            its label.
        drop_unknown: leave out objects whose class the label map lacks, as training does.

    Raises:
        InputError: no file, a damaged one, an example without an image or with features of
            another kind, or a class that the label map lacks. The message names file, record
            and image.
    """
    for file in record_files(records):
        for number, payload in enumerate(read_records(file)):
            place = f"{file}: record {number}{image_name(payload)}"
            with reading(place, "a tf.train.Example"):
                try:
                    image = _of_example(file, payload, label_map, drop_unknown)
                except InputError as error:
                    raise type(error)(f"{place}: {error}") from None
            yield image


def _of_example(file: Path, payload: bytes, label_map: LabelMap, drop_unknown: bool) -> LabelledImage:
    views = example_views(memoryview(payload))
    for problem in kind_problems(views, KINDS):
        raise InputError(problem)

    def values(key: str) -> Any:
        return feature_value(views[key]) if key in views else []

    def numbers(key: str, kind: type) -> Any:
        found = values(f"image/object/{key}")
        return np.zeros(0, kind) if isinstance(found, list) else found.astype(kind)

    if len(values("image/encoded")) != 1:
        raise InputError(f"holds {len(values('image/encoded'))} images in image/encoded; wanted: one.")
    corners = [numbers(f"bbox/{key}", np.float64) for key in ("ymin", "xmin", "ymax", "xmax")]
    texts, labels = values("image/object/class/text"), numbers("class/label", np.int64).tolist()
    found = object_classes(texts, labels, label_map.ids)
    if len({len(column) for column in (*corners, found)}) != 1:
        raise InputError("has box and class lists of different lengths.")
    classes = [_known(one, label_map, drop_unknown) for one in found]
    kept = np.array([one is not None for one in classes], np.bool_)
    crowd, area = numbers("is_crowd", np.bool_), numbers("area", np.float64)
    names = [name for key in ("image/filename", "image/source_id") for name in values(key) if name]
    return LabelledImage(
        names[0].decode("utf-8", "replace") if names and isinstance(names[0], bytes) else "",
        file,
        values("image/encoded")[0],
        np.column_stack(corners)[kept],
        np.array([one for one in classes if one is not None], np.int64),
        crowd[kept] if len(crowd) == len(kept) else np.zeros(kept.sum(), np.bool_),
        area[kept] if len(area) == len(kept) else None,
        stated_size(views),
    )


def _known(found: int | str, label_map: LabelMap, drop_unknown: bool) -> int | None:
    """The id of an object's class; None for one to leave out."""
    if isinstance(found, int) and found in label_map.names:
        return found
    if drop_unknown and isinstance(found, str):
        return None
    if isinstance(found, str):
        near = nearest(found.strip(), label_map.ids)
        raise TableError(
            f'has class "{shown(found)}", which the label map ({len(label_map.names)} classes) lacks.{near} '
            "Add it there, or filter it out."
        )
    raise InputError(f"has the class id {found}, which the label map lacks. Add it there.")
