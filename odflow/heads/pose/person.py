"""One person and the image around as a training example: the API's keys, and a few for poses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from odflow.errors import InputError
from odflow.formats.example import decode_example, example_pieces
from odflow.formats.keypoints import joints_of
from odflow.ops.boxes import to_normalized

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from odflow.formats.encoding import EncodedImage
    from odflow.formats.example import Value

SCALE = 200.0
"""Pixels of body height that are a scale of 1, as MPII has it."""

CLASS = "person"
_BOX = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class Person:
    """A person of a table of keypoints; all in pixels of the image.

    Attributes:
        filename: the image's name, relative to the images folder.
        number: of the person within the image.
        width: of the image; None where unknown.
        height: of the image; None where unknown.
        joints: (K, 3) float32 x y v.
        box_xyxy: (4,) float64, annotated or else around the labelled joints.
        center: (2,) float64 x y, annotated or else of the box.
        scale: body height / 200, annotated or else of the box's longer side.
        head_size: 0 where unknown.
    """

    filename: str
    number: int
    width: int | None
    height: int | None
    joints: NDArray[np.float32]
    box_xyxy: NDArray[np.float64]
    center: NDArray[np.float64]
    scale: float
    head_size: float

    @property
    def fault(self) -> str | None:
        """Why nothing can be learnt from the person; None when something can."""
        if not (self.joints[:, 2] > 0).any():
            return "no joint is labelled"
        reach = np.ptp(self.joints[self.joints[:, 2] > 0, :2], axis=0).max()
        if max(self.scale * SCALE, float(reach)) < 1:
            return "the crop around the joints is smaller than a pixel"
        return None


def people_of_table(frame: pd.DataFrame, joints: Sequence[str]) -> Iterator[Person]:
    """Take the people out of a table, row by row, and fill in what it leaves open.

    Args:
        frame: as `read_keypoints` gives it.
        joints: names, K.
    """
    columns = ("width", "height", *_BOX, "center_x", "center_y", "scale", "head_size")
    none = np.full(len(frame), np.nan)
    facts = np.column_stack([frame.get(name, none) for name in columns])
    rows = zip(frame["filename"], frame["person"], facts, joints_of(frame, joints), strict=True)
    for filename, number, (width, height, *rest), xyv in rows:
        box, (x, y, scale, head_size) = _box(np.array(rest[:4]), xyv), rest[4:]
        center = np.array([x, y])
        yield Person(
            str(filename),
            int(number),
            None if np.isnan(width) else int(width),
            None if np.isnan(height) else int(height),
            xyv,
            box,
            center if np.isfinite(center).all() else (box[:2] + box[2:]) / 2,
            float(scale) if scale > 0 else float((box[2:] - box[:2]).max()) / SCALE,
            float(head_size) if head_size > 0 else 0.0,
        )


def _box(annotated: NDArray[np.float64], joints: NDArray[np.float32]) -> NDArray[np.float64]:
    """Zeros for a person with neither box nor labelled joint."""
    if (annotated[2:] > annotated[:2]).all():
        return annotated
    there = joints[joints[:, 2] > 0, :2].astype(np.float64)
    return np.concatenate([there.min(axis=0), there.max(axis=0)]) if len(there) else np.zeros(4)


def encode(person: Person, image: EncodedImage, joints: Sequence[str]) -> list[bytes]:
    """Write the example of a person, in pieces for `write_records`.

    Positions are shares of the image's width and height. Those of joints and of the centre
    stay outside [0, 1] where they are; the box ends at the image's border.

    Args:
        person: one without fault.
        image: the whole image.
        joints: names, K.

    Raises:
        InputError: the table gives the image another size than it has.
    """
    size = np.array([image.width, image.height])
    if (person.width or image.width, person.height or image.height) != (image.width, image.height):
        raise InputError(f"{person.width}x{person.height} pixels, the image is {image.width}x{image.height}")
    xmin, ymin, xmax, ymax = to_normalized(person.box_xyxy[None], size)[0]
    x, y = (person.joints[:, :2] / size).astype(np.float32).T
    center_x, center_y = person.center / size
    name = person.filename.encode()
    features: dict[str, Value] = {
        "image/height": np.array([image.height]),
        "image/width": np.array([image.width]),
        "image/filename": [name],
        "image/source_id": [name],
        "image/key/sha256": [sha256(image.data).hexdigest().encode()],
        "image/encoded": [image.data],
        "image/format": [image.format.encode()],
        "image/object/bbox/xmin": _floats(xmin),
        "image/object/bbox/xmax": _floats(xmax),
        "image/object/bbox/ymin": _floats(ymin),
        "image/object/bbox/ymax": _floats(ymax),
        "image/object/class/text": [CLASS.encode()],
        "image/object/class/label": np.array([1]),
        "image/object/keypoint/x": x,
        "image/object/keypoint/y": y,
        "image/object/keypoint/visibility": person.joints[:, 2].astype(np.int64),
        "image/object/keypoint/text": [joint.encode() for joint in joints],
        "image/object/center/x": _floats(center_x),
        "image/object/center/y": _floats(center_y),
        "image/object/scale": _floats(person.scale),
        "image/object/head_size": _floats(person.head_size),
        "image/object/person": np.array([person.number]),
    }
    return example_pieces(features)


def decode(data: bytes) -> tuple[Person, bytes, list[str]]:
    """Read what `encode` wrote.

    Returns:
        The person, whose box ends at the image's border, the image's bytes, the joints' names.

    Raises:
        InputError: not the example of a person; the message names what it lacks.
    """
    features = decode_example(data)

    def of(key: str) -> NDArray[np.float64]:
        return np.asarray(features[f"image/{key}"], np.float64)

    try:
        size = np.concatenate([of("width"), of("height")])
        xyv = np.column_stack([of(f"object/keypoint/{axis}") for axis in ("x", "y", "visibility")])
        person = Person(
            bytes(features["image/filename"][0]).decode(),
            int(of("object/person")[0]),
            int(size[0]),
            int(size[1]),
            (xyv * [*size, 1]).astype(np.float32),
            np.concatenate([of(f"object/bbox/{side}") for side in _BOX]) * np.tile(size, 2),
            np.concatenate([of("object/center/x"), of("object/center/y")]) * size,
            float(of("object/scale")[0]),
            float(of("object/head_size")[0]),
        )
        names = [bytes(joint).decode() for joint in features["image/object/keypoint/text"]]
        return person, bytes(features["image/encoded"][0]), names
    except (KeyError, IndexError) as error:
        raise InputError(f"not the example of a person: {error}. Give what pose.records wrote.") from None


def _floats(value: float) -> NDArray[np.float32]:
    return np.array([value], np.float32)
