"""Images with their ground truth, from records or from a table beside the images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import ImageError, InputError, TableError, nearest
from odflow.formats.detections import check_pixels, read_detections
from odflow.formats.example import example_views, feature_value
from odflow.formats.image_check import Size
from odflow.formats.images import MOST_PIXELS, ImageFile, ImageSize, image_size, read_image
from odflow.formats.label_map import LabelMap
from odflow.formats.object_check import KINDS
from odflow.formats.object_classes import object_classes
from odflow.formats.record_check import image_name, kind_problems, stated_size
from odflow.formats.record_image import read_record_image
from odflow.formats.tfrecord import Records, read_records, record_files
from odflow.left_out import Faults
from odflow.reading import reading
from odflow.terminal import shown

if TYPE_CHECKING:
    import pandas as pd
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


def labelled_images_of_table(
    images: Iterable[ImageFile], annotations: Path, label_map: LabelMap, folder: Path | None = None
) -> list[LabelledImage]:
    """Put a table's boxes to their images.

    Args:
        images: all of them, boxes or not.
        annotations: the table; its columns `is_crowd` and `area` count too.
        label_map: the ids of its classes.
        folder: that the names of the images are relative to; see `read_detections`.

    Raises:
        TableError: as `read_detections` and `check_pixels`, a class that the label map lacks, rows of a file
            that is not among the images, or another size than an image has: all such images.
    """
    table = read_detections(annotations, folder)
    check_pixels(annotations, table)
    images = list(images)
    lacking = set(table["filename"]) - {image.name for image in images}
    if lacking:
        raise TableError(
            f"{annotations}: has boxes of {min(lacking)}, which is not among the images "
            f"({len(lacking)} such files).{nearest(min(lacking), (image.name for image in images))}"
        )
    _check_classes(annotations, zip(table["filename"], table["class"], strict=True), label_map)
    rows = _Rows.of_table(table, label_map)
    _check_sizes(annotations, images, rows)
    return [rows.image(image) for image in images]


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


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a table as columns, those of an image together; an image takes slices of them.

    Attributes:
        places: where the rows of each image are.
        sizes: (N, 2), width and height.
        boxes_yxyx, classes, is_crowd, area: as a `LabelledImage` has them, of N rows.
    """

    places: dict[str, slice]
    sizes: NDArray[np.int64]
    boxes_yxyx: NDArray[np.float64]
    classes: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]
    area: NDArray[np.float64] | None

    @classmethod
    def of_table(cls, table: pd.DataFrame, label_map: LabelMap) -> _Rows:
        table = table.sort_values("filename", kind="stable", ignore_index=True)
        counts = table.groupby("filename", sort=False).size()
        ends = np.cumsum(counts.to_numpy())
        names = zip(counts.index.tolist(), (ends - counts.to_numpy()).tolist(), ends.tolist(), strict=True)
        size = table[["height", "width", "height", "width"]].to_numpy(np.float64)
        return cls(
            {str(name): slice(first, end) for name, first, end in names},
            table[["width", "height"]].to_numpy(np.int64),
            table[["ymin", "xmin", "ymax", "xmax"]].to_numpy(np.float64) / size,
            np.array([label_map.ids[name] for name in table["class"].tolist()], np.int64),
            table["is_crowd"].to_numpy(bool) if "is_crowd" in table else np.zeros(len(table), bool),
            table["area"].to_numpy(np.float64) if "area" in table else None,
        )

    def image(self, image: ImageFile) -> LabelledImage:
        """An image with its rows, if it has any."""
        place = self.places.get(image.name, slice(0, 0))
        sizes: list[list[int]] = self.sizes[place][:1].tolist()
        return LabelledImage(
            image.name,
            image.path,
            None,
            self.boxes_yxyx[place],
            self.classes[place],
            self.is_crowd[place],
            None if self.area is None else self.area[place],
            (sizes[0][0], sizes[0][1]) if sizes else None,
        )


def _check_sizes(annotations: Path, images: Iterable[ImageFile], rows: _Rows) -> None:
    """See that each image has the size that its rows say, as far as its header can be read."""
    faults = Faults()
    for image in images:
        if image.name not in rows.places:
            continue
        said = sorted({(width, height) for width, height in rows.sizes[rows.places[image.name]].tolist()})
        try:
            found = image_size(image.path)
        except ImageError:  # whoever reads its pixels says why
            continue
        for width, height in said:
            if (width, height) != (found.width, found.height):
                faults.add(_wrong_size(annotations, image.name, (width, height), found))
    faults.raise_all(TableError)


def _wrong_size(annotations: Path, name: str, said: tuple[int, int], found: ImageSize) -> str:
    advice = "Give the images that were annotated."
    if found.orientation >= 5 and said == found.stored:
        advice = "EXIF turns it upright: its boxes may be of the picture as it is stored; import it again."
    return (
        f"{annotations}: {name} has {said[0]}x{said[1]} pixels, the image is {found.width}x{found.height} "
        f"when upright. {advice}"
    )


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


def _check_classes(place: Path, named: Iterable[tuple[str, str]], label_map: LabelMap) -> None:
    for image, text in named:
        if text not in label_map.ids:
            near = nearest(text.strip(), label_map.ids)
            raise TableError(
                f'{place}: {image} has class "{shown(text)}", which the label map '
                f"({len(label_map.names)} classes) lacks.{near} Add it there, or filter it out."
            )
