"""Meshes to fill scenes with, in Blender: primitives, and what files hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector
from mathutils.bvhtree import BVHTree
from numpy.typing import NDArray

from odflow.errors import InputError
from odflow.heads.render.figure import Capsule

_CREASE = 0.6  # radians: edges above it stay sharp where a mesh is shaded smoothly
_RING = 16  # corners of a capsule's cross-section

_ADD = {
    "cube": lambda: bpy.ops.mesh.primitive_cube_add(),
    "sphere": lambda: bpy.ops.mesh.primitive_uv_sphere_add(segments=48, ring_count=24),
    "cone": lambda: bpy.ops.mesh.primitive_cone_add(vertices=48),
    "cylinder": lambda: bpy.ops.mesh.primitive_cylinder_add(vertices=48),
    "torus": lambda: bpy.ops.mesh.primitive_torus_add(
        major_segments=48, minor_segments=20, minor_radius=0.35
    ),
    "monkey": lambda: bpy.ops.mesh.primitive_monkey_add(),
}


@dataclass(frozen=True)
class Model:
    """A mesh that objects of a class are instances of.

    Attributes:
        mesh: Blender's.
        tree: finds what a ray hits, in the mesh's own space.
        corners: (V, 3) float64, its vertices.
        has_materials: whether it brings its own colours.
    """

    mesh: Any
    tree: Any
    corners: NDArray[np.float64]
    has_materials: bool = False


def load_models(objects: Mapping[str, str]) -> dict[str, Model]:
    """Make or read the model of each class, its middle at the origin and its longest side 1.

    Args:
        objects: class to primitive or path.

    Raises:
        InputError: a file that cannot be read or holds no mesh.
    """
    return {label: _unit_model(label, source) for label, source in objects.items()}


def capsules_model(capsules: Sequence[Capsule]) -> Model:
    """Make one mesh of capsules, in the space that they are in; materials by their parts."""
    vertices: list[NDArray[np.float64]] = []
    faces: list[list[int]] = []
    parts: list[int] = []
    for capsule in capsules:
        first = sum(map(len, vertices))
        corners, rings = _capsule(capsule)
        vertices.append(corners)
        for face in _faces(rings):
            faces.append([first + corner for corner in face])
            parts.append(capsule.part)
    mesh = bpy.data.meshes.new("figure")
    mesh.from_pydata(np.concatenate(vertices).tolist(), [], faces)
    mesh.polygons.foreach_set("material_index", parts)
    mesh.shade_smooth()
    return _model(mesh)


def _model(mesh: Any, has_materials: bool = False) -> Model:
    corners = _corners(mesh)
    faces = [tuple(polygon.vertices) for polygon in mesh.polygons]
    return Model(mesh, BVHTree.FromPolygons(corners.tolist(), faces), corners, has_materials)


def _corners(mesh: Any) -> NDArray[np.float64]:
    corners = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.vertices.foreach_get("co", corners)
    return corners.reshape(-1, 3).astype(np.float64)


def _unit_model(label: str, source: str) -> Model:
    mesh = _primitive(source) if source in _ADD else _read(label, Path(source))
    corners = _corners(mesh)
    low, high = corners.min(axis=0), corners.max(axis=0)
    longest = float((high - low).max())
    if longest <= 0:
        raise InputError(f"{source}: the mesh of {label} has no extent. Give one with faces.")
    mesh.transform(Matrix.Scale(1 / longest, 4) @ Matrix.Translation(Vector(-(low + high) / 2)))
    mesh.use_fake_user = True
    return _model(mesh, has_materials=any(mesh.materials))


def _primitive(name: str) -> Any:
    _ADD[name]()
    made = bpy.context.object
    mesh = made.data
    bpy.data.objects.remove(made)
    mesh.shade_smooth()
    mesh.set_sharp_from_angle(angle=_CREASE)
    return mesh


def _read(label: str, path: Path) -> Any:
    """All meshes of a file as one, modifiers applied."""
    before = set(bpy.data.objects)
    try:
        _import(path)
    except (RuntimeError, OSError, ValueError, ImportError) as error:  # what Blender's readers raise
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: Blender cannot read this model ({reason}).") from None
    found = sorted((one for one in bpy.data.objects if one not in before), key=lambda one: str(one.name))
    bpy.context.view_layer.update()
    graph = bpy.context.evaluated_depsgraph_get()
    handles = {bone.custom_shape for one in found if one.pose for bone in one.pose.bones}
    meshes = []
    for one in found:
        if one.type == "MESH" and not one.hide_render and one not in handles:
            mesh = bpy.data.meshes.new_from_object(one.evaluated_get(graph), depsgraph=graph)
            mesh.transform(one.matrix_world)
            meshes.append(mesh)
    joined = _joined(label, meshes)
    for one in found:
        bpy.data.objects.remove(one)
    if not joined.polygons:
        raise InputError(f"{path}: holds no mesh with faces. Give a model that does.")
    if path.suffix.lower() == ".obj":
        joined.materials.clear()  # they lie in other files
    return joined


def _import(path: Path) -> None:
    form = path.suffix.lower()
    if form == ".blend":
        bpy.context.preferences.filepaths.use_scripts_auto_execute = False
        with bpy.data.libraries.load(str(path), link=False) as (inside, wanted):
            wanted.objects = inside.objects
        for one in wanted.objects:
            bpy.context.scene.collection.objects.link(one)
    elif form == ".obj":
        bpy.ops.wm.obj_import(filepath=str(path))
    else:
        bpy.ops.import_scene.gltf(filepath=str(path), disable_bone_shape=True)


def _joined(label: str, meshes: Sequence[Any]) -> Any:
    import bmesh

    together = bmesh.new()
    joined = bpy.data.meshes.new(label)
    for mesh in meshes:
        indices = np.empty(len(mesh.polygons), np.int32)
        mesh.polygons.foreach_get("material_index", indices)
        mesh.polygons.foreach_set("material_index", indices + len(joined.materials))
        for material in mesh.materials or [None]:
            joined.materials.append(material)
        together.from_mesh(mesh)
    loose = [corner for corner in together.verts if not corner.link_faces]  # nobody sees them
    bmesh.ops.delete(together, geom=loose, context="VERTS")
    together.to_mesh(joined)
    together.free()
    return joined


def _capsule(capsule: Capsule) -> tuple[NDArray[np.float64], int]:
    """The corners of a capsule, ring after ring from its start to its end; and how many rings."""
    axis = capsule.end - capsule.start
    length = float(np.linalg.norm(axis))
    along = axis / length
    across = np.cross(along, (1.0, 0, 0) if abs(along[0]) < 0.9 else (0, 1.0, 0))
    across /= np.linalg.norm(across)
    other = np.cross(along, across)
    tilts = np.linspace(-np.pi / 2, np.pi / 2, 10)[1:-1]  # rings of both round ends
    heights = np.sin(tilts) * capsule.radius + np.where(tilts > 0, length, 0)
    turns = np.linspace(0, 2 * np.pi, _RING, endpoint=False)
    around = np.outer(np.cos(turns), across) + np.outer(np.sin(turns), other)
    rings = heights[:, None, None] * along + (np.cos(tilts) * capsule.radius)[:, None, None] * around
    return (capsule.start + rings).reshape(-1, 3), len(tilts)


def _faces(rings: int) -> list[list[int]]:
    """Quads between rings, and a polygon over each end; outward."""
    faces = [list(range(_RING))[::-1], [(rings - 1) * _RING + corner for corner in range(_RING)]]
    for ring in range(rings - 1):
        for corner in range(_RING):
            following = (corner + 1) % _RING
            low, high = ring * _RING, (ring + 1) * _RING
            faces.append([low + corner, low + following, high + following, high + corner])
    return faces
