"""What a graph takes for an image, and how images are brought to that."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERS = ("uint8", "int16", "int32", "int64", "float16", "float32", "float64")


class ImageInput:
    """The input of a graph.

    Attributes:
        size: height and width that images are resized to; None where the graph takes any.
    """

    def __init__(self, tensor: Any, place: str) -> None:
        """Look at it.

        Args:
            tensor: a `tf.Tensor`: numbers (N, height, width, 3) or (height, width, 3), or
                strings (N,) or (), each an encoded image; any of the sizes may be fixed.
            place: what messages call the model.

        Raises:
            InputError: it takes no RGB images.
        """
        self._type = tensor.dtype.name
        shape = None if tensor.shape.rank is None else tensor.shape.as_list()
        fault = _fault(self._type, shape, tensor.name)
        if fault:
            told = "?" if shape is None else ", ".join("?" if side is None else str(side) for side in shape)
            raise InputError(
                f"{place}: {tensor.name} is {self._type} ({told}); wanted (N, height, width, 3) numbers, or "
                f"(N,) strings that are encoded images. {fault}"
            )
        self._dtype = None if self._type in ("uint8", "string") else tensor.dtype.as_numpy_dtype
        self._alone = shape is not None and len(shape) in (0, 3)
        self._batch: int | None = None if self._alone or shape is None else shape[0]
        sides = shape[-3:-1] if shape and self._type != "string" else (None, None)
        self.size: tuple[int | None, int | None] | None = (sides[0], sides[1]) if any(sides) else None

    def batches(self, images: NDArray[np.uint8]) -> Iterator[tuple[Any, int]]:
        """Bring images to what the graph takes.

        Args:
            images: (N, height, width, 3) uint8 RGB.

        Yields:
            What to feed, and how many of the images it holds; others in it fill a fixed batch.
        """
        at_once = 1 if self._alone else self._batch or len(images)
        for start in range(0, len(images), at_once):
            some = images[start : start + at_once]
            yield self._fed(self._filled(some)), len(some)

    def _filled(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        short = (self._batch or 0) - len(images)
        return np.concatenate([images, np.repeat(images[-1:], short, axis=0)]) if short > 0 else images

    def _fed(self, images: NDArray[np.uint8]) -> Any:
        if self._type == "string":
            encoded = np.array([_png(image) for image in images], object)
            return encoded[0] if self._alone else encoded
        fitting = self._resized(images)
        return fitting[0] if self._alone else fitting

    def _resized(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        given = images.shape[1:3]
        height, width = (wanted or had for wanted, had in zip(self.size or given, given, strict=True))
        if (height, width) == given:
            return images if self._dtype is None else images.astype(self._dtype)
        resized = np.stack([resize(image, height, width) for image in images])
        if self._type.startswith("float"):
            return resized.astype(self._dtype)
        return np.rint(resized).astype(self._dtype or np.uint8)


def takes_images(tensor: Any) -> bool:
    """Whether a tensor can only be meant for RGB images as numbers."""
    known = tensor.shape.rank in (3, 4) and tensor.shape[-1] == 3
    return known and _fault(tensor.dtype.name, tensor.shape.as_list(), tensor.name) is None


def _fault(kind: str, shape: list[int | None] | None, name: str) -> str | None:
    """Why an input is none of RGB images; None where it is one."""
    if kind == "string" and "tf_example" in name:
        return "It takes tf.train.Examples; export the model for image tensors."
    if kind == "string":
        return None if shape is None or len(shape) <= 1 else "Export the model for image tensors."
    if kind not in _NUMBERS:
        return "Name the image's tensor as input, or export the model for image tensors."
    if shape is None:
        return None
    if len(shape) not in (3, 4):
        return "Name the image's tensor as input, or export the model for image tensors."
    if shape[-1] in (None, 3):
        return None
    if shape[-1] == 1:
        return "It is a model of grey images, and odflow gives RGB."
    first = shape[-3] == 3
    return (
        "It has the channels first; export it with the channels last." if first else "Images have 3 channels."
    )


def _png(image: NDArray[np.uint8]) -> bytes:
    """Encode an image without loss, in a form that each of TensorFlow's decoders takes."""
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def resize(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """Resize in the way of the graphs that these files were converted from.

    That is the bilinear kernel of `tf.compat.v1.image.resize_bilinear`: a pixel is read
    at its index times the scale, without the half-pixel shift, and nothing is averaged.

    Args:
        image: (H, W, C) uint8.
        height: of the result, in pixels.
        width: of the result, in pixels.

    Returns:
        (height, width, C) float32, 0 to 255.
    """
    top, bottom, down = _neighbours(image.shape[0], height)
    left, right, across = _neighbours(image.shape[1], width)
    across, down = across[:, np.newaxis], down[:, np.newaxis, np.newaxis]

    def along(rows: NDArray[np.intp]) -> NDArray[np.float32]:
        lines = image[rows].astype(np.float32)
        return lines[:, left] + (lines[:, right] - lines[:, left]) * across

    upper = along(top)
    return upper + (along(bottom) - upper) * down


def _neighbours(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The two source indices of each target index, and the weight of the second."""
    at = np.arange(new, dtype=np.float32) * np.float32(old / new)
    first = at.astype(np.intp)
    return first, np.minimum(first + 1, old - 1), (at - first).astype(np.float32)
