"""Rendering a scene twice: as a picture, and as numbers that tell whose each pixel is."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from PIL import Image

from solids.scene import Settings
from solids.shader import Shader

MIN_PIXELS = 60  # with fewer pixels visible, a solid counts as hidden
MIN_SHARE = 0.3  # and so with less than this of the pixels it would show alone


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Blender, which reports each saved file on the process's standard output."""
    sys.stdout.flush()
    kept, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(null)


def render(path: Path) -> np.ndarray:
    """Render the scene to a PNG at `path`; return (height, width, 3) uint8 RGB."""
    bpy.context.scene.render.filepath = str(path)
    with quiet():
        bpy.ops.render.render(write_still=True)
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def set_up(settings: Settings) -> None:
    """Set what the picture and the numbers have in common."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.seed = 0
    scene.render.threads_mode, scene.render.threads = "FIXED", settings.threads
    scene.render.resolution_x, scene.render.resolution_y = settings.width, settings.height
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"
    scene.render.dither_intensity = 0.0
    scene.cycles.max_bounces = 2
    scene.cycles.use_light_tree = False  # one lamp needs no tree
    scene.cycles.denoising_prefilter, scene.cycles.denoising_quality = "NONE", "FAST"


def set_up_numbers() -> None:
    """Make every surface glow with its object's pass_index / 255, one sample a pixel, unfiltered."""
    scene = bpy.context.scene
    shader = Shader("number")
    index = shader.node("ObjectInfo").outputs["Object Index"]
    scaled = shader.node("Math")
    scaled.operation = "MULTIPLY"
    shader.tree.links.new(index, scaled.inputs[0])
    scaled.inputs[1].default_value = 1 / 255
    glow = shader.node("Emission", Strength=scaled.outputs[0])
    output = shader.tree.nodes["Material Output"]
    shader.feed(output, Surface=glow.outputs[0])
    scene.view_layers[0].material_override = shader.material
    scene.view_settings.view_transform = "Raw"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.cycles.filter_width = 0.01  # the pixel's centre and nothing around it
    scene.render.film_transparent = True  # no sky behind a solid that is rendered alone


def set_up_picture(settings: Settings) -> None:
    """Undo `set_up_numbers`: real materials, filtered and denoised."""
    scene = bpy.context.scene
    scene.view_layers[0].material_override = None
    scene.view_settings.view_transform = "Standard"
    scene.cycles.samples, scene.cycles.use_denoising = settings.samples, True
    scene.cycles.filter_width = 1.5
    scene.render.film_transparent = False


def visible_masks(
    solids: list[bpy.types.Object], ground: bpy.types.Object, scratch: Path
) -> list[np.ndarray]:
    """Return a (height, width) bool mask of visible pixels per solid.

    Takes hidden solids (see MIN_PIXELS and MIN_SHARE) out of the scene and out of `solids`, the
    most hidden first, since those behind it may then show enough.
    """
    for number, solid in enumerate(solids, start=1):
        solid.pass_index = number
    alone = {solid.name: pixels_alone(solid, [*solids, ground], scratch) for solid in solids}
    while True:
        numbers = render(scratch)[..., 0]
        masks = [numbers == solid.pass_index for solid in solids]
        shares = [
            mask.sum() / alone[solid.name] if mask.sum() >= MIN_PIXELS else 0.0
            for solid, mask in zip(solids, masks, strict=True)
        ]
        if not solids or min(shares) >= MIN_SHARE:
            return masks
        bpy.data.objects.remove(solids.pop(shares.index(min(shares))))


def pixels_alone(solid: bpy.types.Object, everything: list[bpy.types.Object], scratch: Path) -> int:
    """Count the pixels of the frame that `solid` would cover if nothing stood before it."""
    for thing in everything:
        thing.hide_render = thing != solid
    count = int((render(scratch)[..., 0] == solid.pass_index).sum())
    for thing in everything:
        thing.hide_render = False
    return count


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return xmin, ymin, xmax, ymax of the True pixels; the last two are exclusive."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
