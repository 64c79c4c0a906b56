"""A scene in Blender: things fall, and a camera looks at where they come to rest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray
from PIL import Image

from odflow.heads.render.materials import ground_material, plain_material, sky
from odflow.heads.render.models import Model, capsules_model
from odflow.heads.render.recipe import FIGURE, Light, Recipe, Settings, View
from odflow.heads.render.sight import Camera, Instance

_GROUND_SIDE = 60.0  # metres
_LENS, _SENSOR = 40.0, 36.0  # millimetres; the sensor's longer side
_QUALITY = 92  # of JPEG
_FRAMES = 120  # at most, 24 a second
_STILL = 5  # frames without motion end a fall
_MOTION = 2e-3  # metres, or what an axis turns by, between two frames


class Scene:
    """What is in Blender for one picture; leaving its `with` removes it, the models stay."""

    def __init__(self, settings: Settings, models: Mapping[str, Model], recipe: Recipe) -> None:
        """Put everything into Blender and let it fall."""
        self._kept = _all_data()
        self._recipe = recipe
        ground = _add_ground(recipe)
        things = [_add_thing(models[thing.label], thing) for thing in recipe.things]
        bodies = [(thing, "CONVEX_HULL", "ACTIVE") for thing in things]
        ids = {label: number for number, label in enumerate(settings.classes, 1)}
        self.labels = [thing.label for thing in recipe.things]
        shapes = [models[label] for label in self.labels]
        if recipe.figure is not None:
            model = capsules_model(recipe.figure.capsules)
            things.append(
                _add(FIGURE, model.mesh, [plain_material(c, 0.7, 0.0) for c in recipe.figure.colors])
            )
            bodies.append((things[-1], "MESH", "PASSIVE"))
            self.labels.append(FIGURE)
            shapes.append(model)
        poses = _fall([(ground, "BOX", "PASSIVE"), *bodies])[1:]
        for thing, pose in zip(things, poses, strict=True):
            thing.matrix_world = Matrix(pose)
        self.instances = [
            Instance(model, np.array(pose), ids[label])
            for model, pose, label in zip(shapes, poses, self.labels, strict=True)
        ]
        self.camera = _add_camera(recipe.view, settings.width, settings.height)
        _add_light(recipe.light)
        bpy.context.scene.world = sky(recipe.light.sky)

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *error: object) -> None:
        bpy.data.batch_remove(_all_data() - self._kept)

    def render(self, path: Path) -> None:
        """Write the picture, in the form that its name says.

        Blender's own file tells how long it took: it would be another each time.
        """
        scene = bpy.context.scene
        scene.cycles.seed = self._recipe.noise_seed
        with TemporaryDirectory() as folder:
            scene.render.filepath = f"{folder}/picture"
            bpy.ops.render.render(write_still=True)
            with Image.open(scene.render.filepath) as picture:
                pixels = picture.convert("RGB")
        pixels.save(path, quality=_QUALITY)


def prepare(settings: Settings, threads: int) -> None:
    """Empty Blender, and set what all pictures share."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.threads_mode, render.threads = "FIXED", threads
    render.resolution_x, render.resolution_y = settings.width, settings.height
    render.resolution_percentage = 100
    render.use_file_extension = False
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    render.image_settings.compression = 0  # only passed on
    cycles.device = "CPU"
    cycles.samples = settings.samples
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = False  # takes longer than the picture at these sizes
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 2, 1, 1
    cycles.use_light_tree = False  # for many lamps; there is one
    cycles.caustics_reflective = cycles.caustics_refractive = False
    scene.view_settings.view_transform = "Standard"


def _all_data() -> set[Any]:
    kinds = ("objects", "meshes", "materials", "lights", "cameras", "worlds", "collections")
    return {one for kind in kinds for one in getattr(bpy.data, kind)}


def _add(name: str, data: Any, materials: Sequence[Any] = ()) -> Any:
    thing = bpy.data.objects.new(name, data)
    for place, material in enumerate(materials):
        if len(data.materials) <= place:
            data.materials.append(material)
        thing.material_slots[place].link = "OBJECT"  # models are shared, colours are not
        thing.material_slots[place].material = material
    bpy.context.scene.collection.objects.link(thing)
    return thing


def _add_thing(model: Model, thing: Any) -> Any:
    materials = [] if model.has_materials else [plain_material(thing.color, thing.roughness, thing.metallic)]
    added = _add(thing.label, model.mesh, materials)
    added.location, added.rotation_euler, added.scale = thing.place, thing.rotation, [thing.size] * 3
    return added


def _add_ground(recipe: Recipe) -> Any:
    half = _GROUND_SIDE / 2
    mesh = bpy.data.meshes.new("ground")
    mesh.from_pydata([(-half, -half, 0), (half, -half, 0), (half, half, 0), (-half, half, 0)], [], [range(4)])
    return _add("ground", mesh, [ground_material(recipe.ground)])


def _fall(bodies: Sequence[tuple[Any, str, str]]) -> list[NDArray[np.float64]]:
    """Let rigid bodies fall until nothing moves; gives their poses, (4, 4) each."""
    scene = bpy.context.scene
    bpy.ops.rigidbody.world_add()
    scene.rigidbody_world.collection = bpy.data.collections.new("bodies")
    scene.rigidbody_world.point_cache.frame_end = _FRAMES
    for body, shape, kind in bodies:
        with bpy.context.temp_override(object=body, active_object=body):
            bpy.ops.rigidbody.object_add(type=kind)
        body.rigid_body.collision_shape = shape
        body.rigid_body.friction = 0.8
        body.rigid_body.restitution = 0.1
        body.rigid_body.linear_damping = 0.1
        body.rigid_body.angular_damping = 0.5
        body.rigid_body.use_margin = True
        body.rigid_body.collision_margin = 0.0
    scene.frame_set(1)
    poses, still = _poses(bodies), 0
    for frame in range(2, _FRAMES + 1):
        scene.frame_set(frame)
        before, poses = poses, _poses(bodies)
        moved = max(float(np.abs(a - b).max()) for a, b in zip(before, poses, strict=True))
        still = still + 1 if moved < _MOTION else 0
        if still == _STILL:
            break
    bpy.ops.rigidbody.world_remove()
    scene.frame_set(1)
    return poses


def _poses(bodies: Sequence[tuple[Any, str, str]]) -> list[NDArray[np.float64]]:
    graph = bpy.context.evaluated_depsgraph_get()
    return [np.array(body.evaluated_get(graph).matrix_world) for body, _, _ in bodies]


def _add_camera(view: View, width: int, height: int) -> Camera:
    lens = bpy.data.cameras.new("camera")
    lens.lens, lens.sensor_width, lens.sensor_fit = _LENS, _SENSOR, "AUTO"
    added = _add("camera", lens)
    offset = view.distance * _towards(view.elevation, view.azimuth)
    turn = (-offset).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    added.matrix_world = Matrix.Translation(Vector(view.target) + offset) @ turn
    bpy.context.scene.camera = added
    focal = _LENS / _SENSOR * max(width, height)
    return Camera(np.array(added.matrix_world), width, height, focal)


def _add_light(light: Light) -> None:
    towards = _towards(light.elevation, light.azimuth)
    lamp = bpy.data.lights.new("light", light.kind.upper())
    if light.kind == "sun":
        lamp.energy = 1 + 2.2 * light.strength
        lamp.angle = math.radians(0.5 + 10 * light.softness)
    else:
        lamp.energy = 250 + 450 * light.strength
        lamp.size = 0.5 + 3 * light.softness
    added = _add("light", lamp)
    added.matrix_world = (
        Matrix.Translation(5 * towards) @ (-towards).to_track_quat("-Z", "Y").to_matrix().to_4x4()
    )


def _towards(elevation: float, azimuth: float) -> Any:
    flat = math.cos(elevation)
    return Vector((flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)))
