"""Images with their ground truth, from records or from a table beside the images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import ImageError, InputError, TableError, nearest
from odflow.formats.detections import read_detections
from odflow.formats.example import decode_example
from odflow.formats.images import ImageFile, ImageSize, image_size, open_image, upright_rgb
from odflow.formats.label_map import LabelMap
from odflow.formats.tfrecord import read_records, record_files
from odflow.left_out import Faults

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
        size: width and height in pixels, as the table has them; None where it has no row.
    """

    name: str
    path: Path
    data: bytes | None
    boxes_yxyx: NDArray[np.float64]
    classes: NDArray[np.int64]
    is_crowd: NDArray[np.bool_]
    area: NDArray[np.float64] | None
    size: tuple[int, int] | None = None

    def read(self) -> NDArray[np.uint8]:
        """Decode the image as `read_image` does.

        Raises:
            ImageError: it cannot be decoded.
        """
        place = self.path if self.data is None else self.path / self.name
        with open_image(place, self.data) as image:
            return np.asarray(upright_rgb(image))


def labelled_images_of_table(
    images: Iterable[ImageFile], annotations: Path, label_map: LabelMap
) -> list[LabelledImage]:
    """Put a table's boxes to their images.

    Args:
        images: all of them, boxes or not.
        annotations: the table; its columns `is_crowd` and `area` count too.
        label_map: the ids of its classes.

    Raises:
        TableError: as `read_detections`, a class that the label map lacks, rows of a file
            that is not among the images, or another size than an image has: all such images.
    """
    table = read_detections(annotations)
    images = list(images)
    lacking = set(table["filename"]) - {image.name for image in images}
    if lacking:
        raise TableError(
            f"{annotations}: has boxes of {min(lacking)}, which is not among the images "
            f"({len(lacking)} such files).{nearest(min(lacking), (image.name for image in images))}"
        )
    _check_classes(annotations, zip(table["filename"], table["class"], strict=True), label_map)
    rows = {str(name): group for name, group in table.groupby("filename")}
    _check_sizes(annotations, [image for image in images if image.name in rows], rows)
    none = table.iloc[:0]
    return [_of_rows(image, rows.get(image.name, none), label_map) for image in images]


def labelled_images_of_records(path: Path, label_map: LabelMap) -> Iterator[LabelledImage]:
    """Read the examples of a file of records, or of all files of a folder.

    Args:
        path: the file or the folder.
        label_map: the ids of the classes. A class's text decides, where there is one, and
            else its label.

    Raises:
        InputError: no file, a damaged one, an example without an image or with a class that
            the label map lacks. The message names file and image.
    """
    for file in record_files(path):
        for payload in read_records(file):
            yield _of_example(file, payload, label_map)


def _of_rows(image: ImageFile, rows: pd.DataFrame, label_map: LabelMap) -> LabelledImage:
    size = rows[["height", "width", "height", "width"]].to_numpy(np.float64)
    return LabelledImage(
        image.name,
        image.path,
        None,
        rows[["ymin", "xmin", "ymax", "xmax"]].to_numpy(np.float64) / size,
        np.array([label_map.ids[name] for name in rows["class"]], np.int64),
        rows["is_crowd"].to_numpy(bool) if "is_crowd" in rows else np.zeros(len(rows), bool),
        rows["area"].to_numpy(np.float64) if "area" in rows else None,
        (int(rows["width"].iloc[0]), int(rows["height"].iloc[0])) if len(rows) else None,
    )


def _check_sizes(annotations: Path, images: Iterable[ImageFile], rows: Mapping[str, pd.DataFrame]) -> None:
    """See that each image has the size that its rows say, as far as its header can be read."""
    faults = Faults()
    for image in images:
        there = rows[image.name]
        said = sorted(set(zip(there["width"].tolist(), there["height"].tolist(), strict=True)))
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


def _of_example(file: Path, payload: bytes, label_map: LabelMap) -> LabelledImage:
    try:
        features = decode_example(payload)
    except InputError as error:
        raise InputError(f"{file}: holds a record that is {error}") from None

    def numbers(key: str, convert: Callable[[Any], Any]) -> Any:
        return convert(np.asarray(features.get(f"image/object/{key}", [])))

    def texts(key: str) -> list[str]:
        return [text.decode("utf-8", "replace") for text in features.get(key, []) if isinstance(text, bytes)]

    name = (texts("image/filename") or texts("image/source_id") or [""])[0]
    encoded = features.get("image/encoded")
    if not isinstance(encoded, list) or not encoded:
        raise InputError(f"{file}: the example {name!r} holds no image (image/encoded).")
    corners = [numbers(f"bbox/{key}", np.float64) for key in ("ymin", "xmin", "ymax", "xmax")]
    classes = _class_ids(
        file, name, texts("image/object/class/text"), numbers("class/label", np.int64), label_map
    )
    if len({len(values) for values in (*corners, classes)}) != 1:
        raise InputError(f"{file}: the example {name!r} has box and class lists of different lengths.")
    crowd, area = numbers("is_crowd", np.bool_), numbers("area", np.float64)
    return LabelledImage(
        name,
        file,
        encoded[0],
        np.column_stack(corners),
        classes,
        crowd if len(crowd) == len(classes) else np.zeros(len(classes), np.bool_),
        area if len(area) == len(classes) else None,
    )


def _class_ids(
    file: Path, name: str, texts: list[str], labels: NDArray[np.int64], label_map: LabelMap
) -> NDArray[np.int64]:
    if texts:
        _check_classes(file, ((name, text) for text in texts), label_map)
        return np.array([label_map.ids[text] for text in texts], np.int64)
    unknown = sorted(set(labels.tolist()) - set(label_map.names))
    if unknown:
        raise InputError(
            f"{file}: {name} has the class id {unknown[0]}, which the label map lacks. Add it there."
        )
    return labels


def _check_classes(place: Path, named: Iterable[tuple[str, str]], label_map: LabelMap) -> None:
    for image, text in named:
        if text not in label_map.ids:
            near = nearest(text, label_map.ids)
            raise TableError(
                f'{place}: {image} has class "{text}", which the label map '
                f"({len(label_map.names)} classes) lacks.{near} Add it there, or filter it out."
            )
