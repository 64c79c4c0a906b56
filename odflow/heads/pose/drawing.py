"""Pictures of people with their skeletons drawn on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from odflow.heads.pose.skeleton import Skeleton

LEFT, RIGHT, MIDDLE = "#ff9f1c", "#18b7f0", "#35c759"
"""The person's own left and right, and what is neither."""

_EDGE = "#23272e"  # around lines and dots, so that they show on anything


def draw_skeletons(
    picture: NDArray[np.uint8], persons: Iterable[NDArray[Any]], skeleton: Skeleton, *, least: float = 0.0
) -> Image.Image:
    """Draw the skeletons of people on a picture of them.

    Args:
        picture: (height, width, 3) uint8 RGB; not written to.
        persons: (K, 3) x y score each, pixels; the last one is drawn on top. A joint with
            NaN or a score of 0 is not drawn, and no limb to it.
        skeleton: the joints and limbs.
        least: joints below this score are not drawn either.

    Returns:
        A picture of the same size.
    """
    drawn = Image.fromarray(picture).copy()
    draw, width = ImageDraw.Draw(drawn), max(2, round(max(picture.shape[:2]) / 160))
    for joints in persons:
        shown = np.isfinite(joints).all(axis=1) & (joints[:, 2] > 0) & (joints[:, 2] >= least)
        places = {
            name: (float(joint[0]), float(joint[1]))
            for name, joint, here in zip(skeleton.joints, joints, shown, strict=True)
            if here
        }
        _draw_one(draw, places, skeleton, width)
    return drawn


def colour(skeleton: Skeleton, *joints: str) -> str:
    """The colour of a joint or limb, by the side of the person that it is on."""
    left, right = ({pair[side] for pair in skeleton.pairs} for side in (0, 1))
    on_left, on_right = bool(left & {*joints}), bool(right & {*joints})
    if on_left == on_right:
        return MIDDLE
    return LEFT if on_left else RIGHT


def _draw_one(
    draw: ImageDraw.ImageDraw, places: dict[str, tuple[float, float]], skeleton: Skeleton, width: int
) -> None:
    limbs = [limb for limb in skeleton.limbs if limb[0] in places and limb[1] in places]
    for limb in limbs:
        draw.line([places[limb[0]], places[limb[1]]], fill=_EDGE, width=width + 2)
    for limb in limbs:
        draw.line([places[limb[0]], places[limb[1]]], fill=colour(skeleton, *limb), width=width)
    for name, (x, y) in places.items():
        corners = (x - width, y - width, x + width, y + width)
        draw.ellipse(corners, fill=colour(skeleton, name), outline=_EDGE)
