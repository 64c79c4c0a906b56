"""The ground: a plane with one of a few painted patterns.

Patterns are (TEXELS, TEXELS) float32 arrays in [0, 1], painted once: the procedural textures of
Blender are computed again for every light path, which took most of the time of a picture.
"""

from __future__ import annotations

import colorsys
import math
import random
from collections.abc import Callable

import bpy
import numpy as np
from PIL import Image

from solids.shader import Shader

TEXELS = 768  # the side of the texture
TILE_UNITS = 16.0  # how far it reaches, in scene units; solids are about 1 to 2 units large


def noise(rng: np.random.Generator, *, coarse: int = 6, stretch: int = 1) -> np.ndarray:
    """Stains, as on concrete, sand or a meadow; `coarse` blobs a side, longer by `stretch`."""
    total = np.zeros((TEXELS, TEXELS), np.float32)
    for octave in range(6):
        cells = coarse * 2**octave
        grid = rng.random((max(cells // stretch, 2), cells), np.float32) - 0.5
        layer = Image.fromarray(grid).resize((TEXELS, TEXELS), Image.Resampling.BICUBIC)
        total += np.asarray(layer) / 1.7**octave
    return np.clip(total + 0.5, 0, 1)


def stains(rng: np.random.Generator) -> np.ndarray:
    """Noise of a random coarseness."""
    return noise(rng, coarse=int(rng.integers(4, 30)))


def bricks(rng: np.random.Generator) -> np.ndarray:
    """Bricks in shifted rows, or square tiles, each of its own shade; joints are 0."""
    rows, tiled = int(rng.integers(12, 34)), rng.random() < 0.4
    down, across = np.mgrid[0 : rows : TEXELS * 1j, 0 : rows : TEXELS * 1j].astype(np.float32)
    if not tiled:
        across = across / 2 + 0.5 * (np.floor(down) % 2)
    joint = rng.uniform(0.03, 0.07)
    inside = (down % 1 > joint) & (across % 1 > (joint if tiled else joint / 2))
    shades = rng.uniform(0.55, 1, (rows + 2, rows + 2)).astype(np.float32)
    return inside * shades[down.astype(int), across.astype(int)]


def checker(rng: np.random.Generator) -> np.ndarray:
    """A checkerboard floor."""
    cells = np.linspace(0, rng.uniform(10, 26), TEXELS).astype(int)
    return ((cells[:, None] + cells[None, :]) % 2).astype(np.float32)


def wood(rng: np.random.Generator) -> np.ndarray:
    """Long wavy bands, like the grain of a table top."""
    across = np.linspace(0, rng.uniform(50, 130), TEXELS, dtype=np.float32)
    return 0.5 + 0.5 * np.sin(across + rng.uniform(4, 14) * noise(rng, coarse=8, stretch=4))


def cobbles(rng: np.random.Generator) -> np.ndarray:
    """Rounded cells: the distance to the nearest of jittered points."""
    cells = int(rng.integers(16, 44))
    points = rng.uniform(0.1, 0.9, (2, cells + 3, cells + 3)).astype(np.float32)
    down, across = np.mgrid[0 : cells : TEXELS * 1j, 0 : cells : TEXELS * 1j].astype(np.float32)
    row, column = down.astype(int), across.astype(int)
    nearest = np.full((TEXELS, TEXELS), 9.0, np.float32)
    for shift in np.ndindex(3, 3):
        jitter = points[:, row + shift[0], column + shift[1]]
        away = np.hypot(row + shift[0] - 1 + jitter[0] - down, column + shift[1] - 1 + jitter[1] - across)
        np.minimum(nearest, away, out=nearest)
    return np.clip(1.25 - nearest * 1.4, 0, 1)


GROUNDS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    stains, bricks, checker, wood, cobbles,
)  # fmt: skip


def ground_image(rng: random.Random) -> bpy.types.Image:
    """Paint one of GROUNDS in two related, muted colours, with a fine grain."""
    numbers = np.random.default_rng(rng.getrandbits(64))
    hue, saturation, value = rng.random(), rng.uniform(0.05, 0.45), rng.uniform(0.45, 0.85)
    dark = colorsys.hsv_to_rgb(hue, saturation, value * rng.uniform(0.5, 0.85))
    light = colorsys.hsv_to_rgb((hue + rng.uniform(-0.08, 0.08)) % 1, saturation * 0.7, value)
    pattern = rng.choice(GROUNDS)(numbers)[..., None]
    pixels = np.ones((TEXELS, TEXELS, 4), np.float32)
    pixels[..., :3] = np.array(dark) + pattern * (np.array(light) - np.array(dark))
    pixels[..., :3] *= 0.82 + 0.3 * noise(numbers, coarse=40)[..., None]
    image = bpy.data.images.new("ground", TEXELS, TEXELS)
    image.pixels.foreach_set(np.clip(pixels, 0, 1).ravel())
    image.update()
    return image


def ground_material(rng: random.Random) -> bpy.types.Material:
    """Return a matt material with one picture to TILE_UNITS of ground, mirrored beyond."""
    shader = Shader("ground")
    source = shader.node("TexCoord").outputs["Object"]
    scale = (1 / TILE_UNITS, 1 / TILE_UNITS, 1.0)
    where = shader.node("Mapping", Vector=source, Location=(0.5, 0.5, 0.0), Scale=scale)
    texture = shader.node("TexImage", Vector=where.outputs["Vector"])
    texture.image, texture.extension = ground_image(rng), "MIRROR"
    matt = shader.node("BsdfDiffuse", Color=texture.outputs["Color"])
    shader.feed(shader.tree.nodes["Material Output"], Surface=matt.outputs[0])
    return shader.material


def add_ground(rng: random.Random) -> bpy.types.Object:
    """Lay a plane, turned at random, that fills every view `add_camera` can give."""
    bpy.ops.mesh.primitive_plane_add(size=200, rotation=(0, 0, rng.uniform(0, math.tau)))
    ground = bpy.context.object
    ground.data.materials.append(ground_material(rng))
    return ground
