"""COCO keypoints: JSON with `images`, `annotations` and `categories` that name the joints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from odflow.errors import InputError
from odflow.formats.pose_annotations import AnnotatedPeople, PoseFormat, gather_people, read_json
from odflow.reading import reads

if TYPE_CHECKING:
    from numpy.typing import NDArray


@reads("a COCO file of keypoints")
def read_coco_keypoints(path: Path) -> AnnotatedPeople:
    """Read the people of a COCO file, with their boxes and areas; crowds are left out and told.

    The joints are those that the file's category names. Of several categories with keypoints
    it is the one called person.

    Raises:
        InputError: no such file, no JSON, or not of COCO's form.
    """
    data = read_json(path)
    if not isinstance(data, dict) or not all(
        isinstance(data.get(name), list) for name in ("images", "annotations", "categories")
    ):
        raise InputError(f"{path}: is no COCO file; wanted lists of images, annotations and categories.")
    category = _category(path, data["categories"])
    images = {image["id"]: image for image in data["images"] if _is_known(image)}
    joints = tuple(str(joint) for joint in category["keypoints"])
    if len(set(joints)) < len(joints):
        raise InputError(
            f"{path}: the keypoints of its category have names that come twice; wanted each once."
        )

    def image(one: dict[str, Any]) -> str | None:
        return images[one["image_id"]]["file_name"] if one["category_id"] == category["id"] else None

    def person(one: dict[str, Any]) -> tuple[dict[str, object], NDArray[np.float64]]:
        return _person(one, images[one["image_id"]], len(joints))

    return gather_people(path, PoseFormat("annotations", joints, image, person), data["annotations"])


def _is_known(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), (int, str))


def _category(path: Path, categories: list[Any]) -> dict[str, Any]:
    known = [one for one in categories if _is_known(one) and isinstance(one.get("keypoints"), list)]
    chosen = known if len(known) == 1 else [one for one in known if one.get("name") == "person"]
    if len(chosen) != 1:
        raise InputError(
            f"{path}: {len(known)} categories have keypoints, {len(chosen)} called person; wanted one. "
            "COCO's person_keypoints_*.json has it."
        )
    return dict(chosen[0])


def _person(
    one: dict[str, Any], image: dict[str, Any], count: int
) -> tuple[dict[str, object], NDArray[np.float64]]:
    if one.get("iscrowd"):
        raise InputError("it is a crowd")
    keypoints = np.asarray(one["keypoints"], np.float64)
    if keypoints.shape != (3 * count,):
        raise InputError(f"it has {keypoints.size} numbers in keypoints; wanted {3 * count}")
    if not ((keypoints[2::3] == 0) | (keypoints[2::3] == 1) | (keypoints[2::3] == 2)).all():
        raise InputError("a joint has another visibility than 0, 1 or 2")
    xmin, ymin, width, height = (float(side) for side in one["bbox"])
    facts: dict[str, object] = {
        "width": _side(image.get("width")),
        "height": _side(image.get("height")),
        "xmin": xmin,
        "ymin": ymin,
        "xmax": xmin + width,
        "ymax": ymin + height,
        "area": float(one.get("area", np.nan)),
    }
    return facts, keypoints.reshape(count, 3)


def _side(value: Any) -> float:
    """A side of an image in pixels; NaN where the file has something else, which counts as not given."""
    number = float(value) if type(value) in (int, float) else np.nan
    return number if number > 0 else np.nan
