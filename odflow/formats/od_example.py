"""One image and its boxes as the Object Detection API's training example.

Keys: object_detection/g3doc/using_your_own_dataset.md and data_decoders/tf_example_decoder.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from odflow.errors import TableError
from odflow.formats.encoding import EncodedImage
from odflow.formats.example import example_pieces
from odflow.formats.numbers import FAR, column_numbers
from odflow.ops.boxes import to_normalized

if TYPE_CHECKING:
    import pandas as pd

    from odflow.formats.example import Value

EXTRAS = {
    "area": "float32",
    "is_crowd": "int64",
    "difficult": "int64",
    "group_of": "int64",
    "weight": "float32",
}
"""Optional columns of a table that an example holds as image/object/NAME, and their types."""


@dataclass(frozen=True, slots=True)
class Boxes:
    """The N boxes of one image, or of many.

    Attributes:
        image_sizes: (N, 2) int64, width and height of the box's image in pixels.
        corners: (N, 4) float32, xmin ymin xmax ymax, shares of the image in [0, 1].
        texts: N class names.
        labels: (N,) int64, ids of the label map.
        extras: (N,) of each of `EXTRAS` that is there.
    """

    image_sizes: NDArray[np.int64]
    corners: NDArray[np.float32]
    texts: NDArray[np.object_]
    labels: NDArray[np.int64]
    extras: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: Sequence[int] | NDArray[Any]) -> Boxes:
        """Some of the boxes, by their row numbers or a mask."""
        extras = {name: values[rows] for name, values in self.extras.items()}
        return Boxes(self.image_sizes[rows], self.corners[rows], self.texts[rows], self.labels[rows], extras)


def boxes_of_table(table: pd.DataFrame, ids: Mapping[str, int]) -> Boxes:
    """Take the boxes out of a table, row by row.

    Args:
        table: as `read_detections` gives it; its columns of `EXTRAS` are taken too.
        ids: the id of every class in it.

    Raises:
        TableError: an optional column that holds something else than numbers.
    """
    sizes = table[["width", "height"]].to_numpy("int64")
    return Boxes(
        sizes,
        to_normalized(table[["xmin", "ymin", "xmax", "ymax"]].to_numpy(), sizes),
        table["class"].to_numpy(object),
        np.array([ids[name] for name in table["class"]], np.int64),
        {name: _numbers(table, name, kind) for name, kind in EXTRAS.items() if name in table},
    )


def _numbers(table: pd.DataFrame, column: str, kind: str) -> NDArray[Any]:
    given = table[column]
    numbers = column_numbers(given.astype("int64") if given.dtype.kind == "b" else given)
    bad = ~(np.abs(numbers) <= FAR * FAR)  # NaN too
    if bad.any():
        name, found = table[["filename", column]].iloc[int(bad.argmax())]
        raise TableError(f'{name}: {column} is "{found}"; wanted a number, or no such column.')
    return numbers.astype(kind)


def detection_example(name: str, image: EncodedImage, boxes: Boxes) -> list[bytes]:
    """Write the example of one image, in pieces for `write_records`.

    Args:
        name: its file name, as the table has it; also its source_id.
        image: its bytes; key/sha256 is their digest.
        boxes: any number of them.

    Raises:
        TableError: the table gives the image another size than it has.
    """
    for width, height in boxes.image_sizes.tolist():
        if (width, height) != (image.width, image.height):
            raise TableError(
                f"{name}: the table has {width}x{height} pixels, the image is {image.width}x{image.height} "
                "when upright. Detect or import it again."
            )
    xmin, ymin, xmax, ymax = boxes.corners.T
    features: dict[str, Value] = {
        "image/height": np.array([image.height]),
        "image/width": np.array([image.width]),
        "image/filename": [name.encode()],
        "image/source_id": [name.encode()],
        "image/key/sha256": [sha256(image.data).hexdigest().encode()],
        "image/encoded": [image.data],
        "image/format": [image.format.encode()],
        "image/object/bbox/xmin": xmin,
        "image/object/bbox/xmax": xmax,
        "image/object/bbox/ymin": ymin,
        "image/object/bbox/ymax": ymax,
        "image/object/class/text": [text.encode() for text in boxes.texts],
        "image/object/class/label": boxes.labels,
    }
    features |= {f"image/object/{extra}": values for extra, values in boxes.extras.items()}
    return example_pieces(features)
