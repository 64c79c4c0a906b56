"""A scene drawn at random: ground, camera, light, and solids in view."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from pathlib import Path

import bpy

# isort: split
from mathutils import Matrix, Quaternion, Vector  # can be imported only after bpy

from solids.ground import add_ground
from solids.shader import hsv
from solids.shapes import add_solid

SENSOR_MM = 36.0


@dataclass(frozen=True)
class Settings:
    """What all pictures of one run share. Sizes are in pixels."""

    out: Path
    seed: int
    width: int
    height: int
    samples: int
    quality: int
    threads: int


def build(settings: Settings, rng: random.Random) -> tuple[list[bpy.types.Object], bpy.types.Object]:
    """Replace whatever Blender holds by a new scene; return its solids and its ground."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    ground = add_ground(rng)
    camera = add_camera(rng)
    add_light(rng)
    return add_solids(camera, settings, rng), ground


def draw_direction(rng: random.Random, lowest: float, highest: float) -> Vector:
    """Return a unit vector that points anywhere around, `lowest` to `highest` degrees up."""
    turn, rise = rng.uniform(0, math.tau), math.radians(rng.uniform(lowest, highest))
    return Vector((math.cos(turn) * math.cos(rise), math.sin(turn) * math.cos(rise), math.sin(rise)))


def add_camera(rng: random.Random) -> bpy.types.Object:
    """Aim a camera at about the origin, from high enough that no horizon shows."""
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.sensor_width = SENSOR_MM
    camera.data.lens = rng.uniform(38, 55)
    towards = draw_direction(rng, 27, 60)
    look = (-towards).to_track_quat("-Z", "Y")
    look = look @ Quaternion((0, 0, 1), math.radians(rng.uniform(-6, 6)))
    place = towards * rng.uniform(6.5, 9.0) * camera.data.lens / 45
    camera.matrix_world = Matrix.LocRotScale(place, look, None)
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera


def add_light(rng: random.Random) -> None:
    """Add a sky of one colour, and a sun or a large lamp."""
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("sky")
    scene.world.use_nodes = True
    sky = scene.world.node_tree.nodes["Background"]
    sky.inputs["Color"].default_value = hsv(rng.choice((0.58, 0.6, 0.1)), rng.uniform(0, 0.3), 1.0)
    sky.inputs["Strength"].default_value = rng.uniform(0.35, 0.75)
    kind = rng.choices(("SUN", "AREA"), (65, 35))[0]
    lamp = bpy.data.lights.new("lamp", kind)
    lamp.color = hsv(rng.choice((0.09, 0.12, 0.6)), rng.uniform(0, 0.25), 1.0)[:3]
    towards = draw_direction(rng, 32, 75)
    if kind == "SUN":
        lamp.energy, lamp.angle = rng.uniform(2.0, 3.6), math.radians(rng.uniform(1, 10))
    else:
        lamp.energy, lamp.size = rng.uniform(900, 1500), rng.uniform(1, 4)
    light = bpy.data.objects.new("lamp", lamp)
    light.visible_camera = False
    look = (-towards).to_track_quat("-Z", "Y")
    light.matrix_world = Matrix.LocRotScale(towards * 9, look, None)
    scene.collection.objects.link(light)


def ground_at(camera: bpy.types.Object, across: float, down: float, aspect: float) -> Vector:
    """Return the ground point seen at a place of the picture, both in [0, 1] from top left."""
    reach = SENSOR_MM / camera.data.lens
    ray = Vector(((across - 0.5) * reach, (0.5 - down) * reach * aspect, -1.0))
    ray = camera.matrix_world.to_3x3() @ ray
    start = camera.matrix_world.translation
    return start - ray * (start.z / ray.z)


def add_solids(camera: bpy.types.Object, settings: Settings, rng: random.Random) -> list[bpy.types.Object]:
    """Stand one to seven solids in view, apart from each other, some close behind others."""
    wanted = rng.choices(range(1, 8), (8, 14, 20, 20, 16, 12, 10))[0]
    solids: list[bpy.types.Object] = []
    for _ in range(200):
        if len(solids) == wanted:
            break
        aspect = settings.height / settings.width
        spot = ground_at(camera, rng.uniform(0.08, 0.92), rng.uniform(0.2, 0.95), aspect)
        size = rng.uniform(0.8, 2.1)
        if solids and rng.random() < 0.4:
            near = rng.choice(solids)
            away = Vector((1, 0, 0)) @ Matrix.Rotation(rng.uniform(0, math.tau), 3, "Z")
            spot = near.location + away * (size + near.scale.x) / 2 * rng.uniform(1.0, 1.25)
        if fits(spot, size, camera, solids, settings):
            solids.append(add_solid(spot, size, camera.matrix_world.translation, rng))
    return solids


def fits(
    spot: Vector, size: float, camera: bpy.types.Object, solids: list[bpy.types.Object],
    settings: Settings,
) -> bool:  # fmt: skip
    """Tell whether a solid there touches no other, is mostly in the frame, and has a good size."""
    flat = Vector((spot.x, spot.y, 0.0))
    for other in solids:
        gap = (flat - Vector((other.location.x, other.location.y, 0.0))).length
        if gap < (size + other.scale.x) / 2 * 0.97:
            return False
    seen = camera.matrix_world.inverted() @ (flat + Vector((0, 0, size * 0.35)))
    focal = settings.width * camera.data.lens / SENSOR_MM
    pixels = focal * size / -seen.z
    across, down = abs(seen.x) * focal / -seen.z, abs(seen.y) * focal / -seen.z
    inside = across < settings.width / 2 - pixels * 0.3 and down < settings.height / 2 - pixels * 0.3
    return inside and settings.width * 0.14 < pixels < settings.width * 0.37
