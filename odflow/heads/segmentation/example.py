"""One image and its mask as a training example, under Model Garden's keys.

Keys: official/vision/dataloaders/segmentation_input.py. It takes the mask for one channel of
8 bits, of exactly the image's height and width.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError
from odflow.formats.example import decode_example, example_pieces, example_views
from odflow.formats.images import open_image
from odflow.formats.record_check import stated_size
from odflow.formats.record_image import read_record_image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from odflow.formats.encoding import EncodedImage
    from odflow.formats.masks import EncodedMask


def encode(name: str, image: EncodedImage, mask: EncodedMask) -> list[bytes]:
    """Write the example of an image, in pieces for `write_records`.

    Args:
        name: of the image's file, relative to the images folder; also its source_id.
        image: its bytes.
        mask: of the same size.
    """
    return example_pieces(
        {
            "image/height": np.array([image.height]),
            "image/width": np.array([image.width]),
            "image/filename": [name.encode()],
            "image/source_id": [name.encode()],
            "image/key/sha256": [sha256(image.data).hexdigest().encode()],
            "image/encoded": [image.data],
            "image/format": [image.format.encode()],
            "image/segmentation/class/encoded": [mask.data],
            "image/segmentation/class/format": [b"png"],
        }
    )


@dataclass(frozen=True)
class Labelled:
    """An image and its mask, as an example holds them.

    Attributes:
        name: of the image's file.
        image: (height, width, 3) uint8 RGB.
        mask: (height, width) uint8 class numbers, 255 where ignored.
    """

    name: str
    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def decode(data: bytes, place: str) -> Labelled:
    """Read what `encode` wrote.

    Args:
        data: a serialized tf.train.Example.
        place: what messages call it.

    Raises:
        InputError: not the example of an image with a mask; the message says what it lacks.
        ImageError: image or mask is damaged.
    """
    try:
        features = decode_example(data)
    except InputError as error:
        raise InputError(f"{place}: {error}") from None

    def of(key: str) -> Any:
        found = features.get(f"image/{key}")
        if found is None or not len(found):
            raise InputError(f"{place}: has no image/{key}. Give what segmentation.records wrote.")
        return found[0]

    name = bytes(of("filename")).decode(errors="replace")
    where = Path(f"{place} ({name})")
    image = read_record_image(where, of("encoded"), stated_size(example_views(memoryview(data))))
    with open_image(where, of("segmentation/class/encoded")) as opened:
        mask = np.asarray(opened)
    if mask.dtype != np.uint8 or mask.shape != image.shape[:2]:
        raise InputError(
            f"{where}: its mask is {mask.dtype} {mask.shape}, its image {image.shape}; wanted: uint8 of the "
            "image's height and width. Give what segmentation.records wrote."
        )
    return Labelled(name, image, mask)
