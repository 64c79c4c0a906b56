"""A process that has Blender, and renders the pictures whose numbers it is sent.

`python -m odflow.heads.render.scene_process` reads a line of JSON, an `Order`, and then numbers
of pictures, a line each, until its input ends. To each number it answers a line of JSON: what
is in the picture, once picture and mask are written, or the error. Blender itself prints to
standard output; that goes to standard error, and the answers to where it was.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from odflow.errors import InputError
from odflow.heads.render.recipe import FIGURE, Recipe, Settings, draw_recipe


def main() -> int:
    """Serve until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        _serve(sys.stdin, answers)
    except InputError as error:
        _answer(answers, {"wrong_input": str(error)})
        return error.exit_code
    return 0


def _serve(orders: TextIO, answers: TextIO) -> None:
    from odflow.heads.render.models import load_models
    from odflow.heads.render.scene import prepare

    order = json.loads(orders.readline())
    settings = Settings(**order["settings"])
    prepare(settings, order["threads"])
    models = load_models(settings.objects)
    for line in orders:
        number = int(line)
        made = render(settings, models, draw_recipe(settings, number), _paths(order, settings, number))
        _answer(answers, {"number": number, **made})


def render(
    settings: Settings, models: Mapping[str, Any], recipe: Recipe, paths: tuple[Path, Path]
) -> dict[str, Any]:
    """Write the picture and the mask of a scene.

    Args:
        settings: of the run.
        models: of its classes, from `load_models`.
        recipe: of the scene.
        paths: of the picture and of the mask.

    Returns:
        Plain values: `boxes`, each as `labels.Box` with its `label`, and `joints`, name to
        x y v, or None where no figure is labelled.
    """
    from PIL import Image

    from odflow.heads.render.labels import boxes_of, mask_of
    from odflow.heads.render.scene import Scene
    from odflow.heads.render.sight import look

    with Scene(settings, models, recipe) as scene:
        seen = look(scene.camera, scene.instances)
        boxes = boxes_of(seen, settings.min_visible)
        mask = mask_of(seen, boxes, [instance.class_id for instance in scene.instances])
        Image.fromarray(mask).save(paths[1], format="PNG")
        scene.render(paths[0])
        labelled = [{**asdict(box), "label": scene.labels[box.instance]} for box in boxes]
        has_figure = any(box["label"] == FIGURE for box in labelled)
        return {"boxes": labelled, "joints": _joints(scene, recipe, seen) if has_figure else None}


def _joints(scene: Any, recipe: Recipe, seen: Any) -> dict[str, tuple[float, float, int]]:
    import numpy as np

    from odflow.heads.render.figure import joint_depth
    from odflow.heads.render.labels import visibility_of
    from odflow.heads.render.sight import hidden_by

    assert recipe.figure is not None
    points = recipe.figure.joints
    body = scene.labels.index(FIGURE)
    depths = {joint: joint_depth(joint) for joint in points}
    hidden = hidden_by(scene.instances[body], points, depths, scene.camera)
    projected = scene.camera.project(np.stack(list(points.values()))).tolist()
    places = {joint: (x, y, ahead) for joint, (x, y, ahead) in zip(points, projected, strict=True)}
    told = visibility_of(places, hidden, seen.instances == body)
    return {joint: (*places[joint][:2], told[joint]) for joint in points}


def _paths(order: Mapping[str, Any], settings: Settings, number: int) -> tuple[Path, Path]:
    images, masks = Path(order["images"]), Path(order["masks"])
    return images / settings.picture_name(number), masks / settings.mask_name(number)


def _answer(answers: TextIO, value: Mapping[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
