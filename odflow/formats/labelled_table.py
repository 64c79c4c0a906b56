"""Images with their ground truth from a table beside them, in columns: a few bytes a box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.recfunctions import repack_fields

from odflow.errors import ImageError, TableError, nearest
from odflow.formats.detections import DetectionTable, PixelCheck
from odflow.formats.images import ImageFile, ImageSize, image_size
from odflow.formats.label_map import LabelMap
from odflow.formats.labelled_images import LabelledImage
from odflow.left_out import Faults
from odflow.terminal import shown

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

# size: width and height; box: ymin xmin ymax xmax, normalised; class: an id of the label map
_ROW = np.dtype(
    [("image", "i4"), ("size", "i4", 2), ("box", "f8", 4), ("class", "i4"), ("crowd", "?"), ("area", "f8")]
)


@dataclass(frozen=True, slots=True)
class TableImages:
    """Images with the rows of a table; each is put together when its turn comes.

    Attributes:
        images: N of them.
        ends: (N,) where the rows of each end, which begin where those of the one before end.
        sizes: (N, 2), width and height in pixels; 0 of those without a row.
        rows: of all, those fields of `_ROW` that are of a box; area where the table gives it.
    """

    images: Sequence[ImageFile]
    ends: NDArray[np.int64]
    sizes: NDArray[np.int32]
    rows: NDArray[Any]

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[LabelledImage]:
        begin = 0
        for image, end, size in zip(self.images, self.ends, self.sizes, strict=True):
            yield _image(image, self.rows[begin:end], size)
            begin = end

    def bare(self) -> list[str]:
        """The names of those without a row."""
        return [image.name for image, count in zip(self.images, self._counts(), strict=True) if not count]

    def annotated(self) -> TableImages:
        """Those that have a row."""
        some = self._counts() > 0
        images = [image for image, one in zip(self.images, some, strict=True) if one]
        return TableImages(images, self.ends[some], self.sizes[some], self.rows)

    def _counts(self) -> NDArray[np.int64]:
        return np.diff(self.ends, prepend=0)


def _image(image: ImageFile, rows: NDArray[Any], size: NDArray[np.int32]) -> LabelledImage:
    """Put an image together; in arrays of its own, as workers take them."""
    return LabelledImage(
        image.name,
        image.path,
        None,
        rows["box"].copy(),
        rows["class"].astype(np.int64),
        rows["crowd"].copy(),
        rows["area"].copy() if "area" in (rows.dtype.names or ()) else None,
        (int(size[0]), int(size[1])) if len(rows) else None,
    )


def labelled_images_of_table(
    images: Sequence[ImageFile], annotations: Path, label_map: LabelMap, folder: Path | None = None
) -> TableImages:
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
    table = DetectionTable(annotations, folder)
    read = _Read(table, label_map)
    if table.mixed:
        read = _Read(table, label_map)
    places = {image.name: place for place, image in enumerate(images)}
    lacking = table.names.keys() - places.keys()
    if lacking:
        raise TableError(
            f"{annotations}: has boxes of {min(lacking)}, which is not among the images "
            f"({len(lacking)} such files).{nearest(min(lacking), places)}"
        )
    if read.stranger:
        raise _unknown_class(annotations, *read.stranger, label_map)
    of_image = np.array([places[name] for name in table.names], np.int32)[read.rows["image"]]
    order = np.argsort(of_image, kind="stable")
    ends = np.cumsum(np.bincount(of_image, minlength=len(images)))
    rows = read.rows[order]
    _check_sizes(annotations, images, ends, rows["size"])
    sizes = np.zeros((len(images), 2), np.int32)
    sizes[of_image] = read.rows["size"]
    of_box = ["box", "class", "crowd", *(["area"] if read.has_area else [])]
    return TableImages(images, ends, sizes, repack_fields(rows[of_box]))


class _Read:
    """A table that was read.

    Attributes:
        rows: in their order, each a `_ROW`, with the table's numbers of the images.
        has_area: it gives areas.
        stranger: the first image with a class that the label map lacks, and that class.
    """

    def __init__(self, table: DetectionTable, label_map: LabelMap) -> None:
        self.has_area = False
        self.stranger: tuple[str, str] | None = None
        self._ids = label_map.ids
        pixels, parts = PixelCheck(table.path), []
        for boxes, images in table:
            pixels.add(boxes)
            parts.append(self._rows(boxes, images))
        pixels.tell()
        self.rows = np.concatenate(parts)

    def _rows(self, boxes: pd.DataFrame, images: NDArray[np.int64]) -> NDArray[Any]:
        rows = np.zeros(len(boxes), _ROW)
        size = boxes[["height", "width", "height", "width"]].to_numpy(np.float64)
        rows["image"], rows["size"] = images, boxes[["width", "height"]]
        rows["box"] = boxes[["ymin", "xmin", "ymax", "xmax"]].to_numpy(np.float64) / size
        rows["class"] = self._classes(boxes)
        if "is_crowd" in boxes:
            rows["crowd"] = boxes["is_crowd"].to_numpy(bool)
        if "area" in boxes:
            self.has_area = True
            rows["area"] = boxes["area"].to_numpy(np.float64)
        return rows

    def _classes(self, boxes: pd.DataFrame) -> NDArray[np.int32]:
        """Their ids; 0 for those that the label map lacks."""
        import pandas as pd

        codes, names = pd.factorize(boxes["class"])
        for number, name in enumerate(names):
            if name not in self._ids and self.stranger is None:
                self.stranger = str(boxes["filename"].iloc[int((codes == number).argmax())]), str(name)
        return np.array([self._ids.get(name, 0) for name in names], np.int32)[codes]


def _unknown_class(annotations: Path, image: str, name: str, label_map: LabelMap) -> TableError:
    return TableError(
        f'{annotations}: {image} has class "{shown(name)}", which the label map '
        f"({len(label_map.names)} classes) lacks.{nearest(name.strip(), label_map.ids)} "
        "Add it there, or filter it out."
    )


def _check_sizes(
    annotations: Path, images: Sequence[ImageFile], ends: NDArray[np.int64], sizes: NDArray[np.int32]
) -> None:
    """See that each image has the size that its rows say, as far as its header can be read.

    Args:
        annotations: the table, for the message.
        images, ends: as `TableImages` has them.
        sizes: of all rows, in the order of the images.
    """
    faults, begin = Faults(), 0
    for image, end in zip(images, ends, strict=True):
        said = np.unique(sizes[begin:end], axis=0).tolist()
        begin = end
        if not said:
            continue
        try:
            is_of = image_size(image.path)
        except ImageError:  # whoever reads its pixels says why
            continue
        for width, height in said:
            if (width, height) != (is_of.width, is_of.height):
                faults.add(_wrong_size(annotations, image.name, (width, height), is_of))
    faults.raise_all(TableError)


def _wrong_size(annotations: Path, name: str, said: tuple[int, int], found: ImageSize) -> str:
    advice = "Give the images that were annotated."
    if found.orientation >= 5 and said == found.stored:
        advice = "EXIF turns it upright: its boxes may be of the picture as it is stored; import it again."
    return (
        f"{annotations}: {name} has {said[0]}x{said[1]} pixels, the image is {found.width}x{found.height} "
        f"when upright. {advice}"
    )
