"""One image and its mask as a training example, under Model Garden's keys.

Keys: official/vision/dataloaders/segmentation_input.py. It takes the mask for one channel of
8 bits, of exactly the image's height and width.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from odflow.formats.example import example_pieces

if TYPE_CHECKING:
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
