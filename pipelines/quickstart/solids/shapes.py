"""The solids: their meshes, poses and materials."""

from __future__ import annotations

import math
import random

import bpy

# isort: split
import bmesh  # these two can be imported only after bpy
from mathutils import Euler, Matrix, Quaternion, Vector

from solids.shader import Color, Shader, hsv

CLASSES = ("cube", "sphere", "cone", "torus")


def solid_material(rng: random.Random) -> bpy.types.Material:
    """Return a lively colour, sometimes patterned, as matt paint, gloss, or metal."""
    shader = Shader("solid")
    hue, saturation, value = rng.random(), rng.uniform(0.35, 0.95), rng.uniform(0.45, 0.95)
    if rng.random() < 0.12:
        saturation *= 0.1  # white, grey or black
    color = hsv(hue, saturation, value)
    other = hsv(hue + rng.choice((0.0, 0.08, 0.5)), saturation * 0.6, value * rng.uniform(0.5, 0.8))
    shader.feed(shader.surface, Base_Color=color)
    pattern = rng.choices(("plain", "stripes", "speckle", "checker"), (60, 14, 14, 12))[0]
    if pattern != "plain":
        shader.feed(shader.surface, Base_Color=patterned(shader, rng, pattern, color, other))
    finish = rng.choices(("matt", "gloss", "metal"), (45, 40, 15))[0]
    roughness = {"matt": (0.6, 0.95), "gloss": (0.12, 0.35), "metal": (0.25, 0.5)}[finish]
    shader.feed(shader.surface, Roughness=rng.uniform(*roughness))
    shader.feed(shader.surface, Metallic=float(finish == "metal"))
    return shader.material


def patterned(
    shader: Shader, rng: random.Random, pattern: str, color: Color, other: Color
) -> bpy.types.NodeSocket:
    """Return the colour of a two-coloured solid, in the unit coordinates of its mesh."""
    where = shader.coordinates(rng)
    if pattern == "checker":
        texture = shader.node("TexChecker", Vector=where, Color1=color, Color2=other)
        shader.feed(texture, Scale=rng.uniform(3.5, 6))
        return texture.outputs["Color"]
    if pattern == "stripes":
        wave = shader.node("TexWave", Vector=where, Scale=rng.uniform(1, 2), Distortion=0.0)
        return shader.blend(wave.outputs["Fac"], color, other)
    speckle = shader.node("TexNoise", Vector=where, Scale=rng.uniform(5, 9), Detail=2.0)
    return shader.blend(speckle.outputs[0], color, other)


def solid_mesh(name: str, rng: random.Random) -> bpy.types.Mesh:
    """Return a mesh of the class `name` that fits a sphere of diameter 1 around the origin."""
    add = bpy.ops.mesh
    if name == "cube":
        add.primitive_cube_add()
    elif name == "sphere":
        add.primitive_uv_sphere_add(segments=64, ring_count=32)
    elif name == "cone":
        add.primitive_cone_add(vertices=96, depth=rng.uniform(1.7, 2.6))
    else:
        add.primitive_torus_add(minor_radius=rng.uniform(0.28, 0.45), major_segments=64, minor_segments=32)
    mesh = bpy.context.object.data
    bpy.data.objects.remove(bpy.context.object)
    if name == "cube":
        round_edges(mesh, rng.uniform(0.02, 0.16))
    mesh.transform(Matrix.Scale(0.5 / max(vertex.co.length for vertex in mesh.vertices), 4))
    mesh.shade_smooth()
    mesh.set_sharp_from_angle(angle=math.radians(35))
    return mesh


def round_edges(mesh: bpy.types.Mesh, offset: float) -> None:
    """Bevel all edges of `mesh` in place."""
    work = bmesh.new()
    work.from_mesh(mesh)
    bmesh.ops.bevel(work, geom=work.edges[:], offset=offset, segments=3, profile=0.5, affect="EDGES")
    work.to_mesh(mesh)
    work.free()


def pose(name: str, mesh: bpy.types.Mesh, rng: random.Random) -> Quaternion:
    """Return a rotation: mostly standing or lying as the class can, sometimes any at all."""
    yaw = Quaternion((0, 0, 1), rng.uniform(0, math.tau))
    draw = rng.random()
    if draw < 0.2:
        return Euler([rng.uniform(0, math.tau) for _ in range(3)]).to_quaternion()
    if name == "torus" and draw < 0.55:
        return yaw @ Quaternion((1, 0, 0), math.pi / 2)
    if name == "cone" and draw < 0.5:
        rim = max(mesh.vertices, key=lambda vertex: vertex.co.xy.length).co
        slant = math.atan2(rim.xy.length, 2 * abs(rim.z))
        return yaw @ Quaternion((1, 0, 0), math.pi / 2 + slant)
    return yaw


def recognisable(name: str, turn: Quaternion, towards: Vector) -> bool:
    """Tell whether the class shows from `towards`: a cone's base is a disc, a torus's side a bar."""
    facing = (turn @ Vector((0, 0, 1))).dot(towards)
    if name == "cone":
        return -0.3 < facing < 0.9
    return name != "torus" or abs(facing) > 0.35


def add_solid(spot: Vector, size: float, eye: Vector, rng: random.Random) -> bpy.types.Object:
    """Put a solid on the ground at `spot`, to be seen from `eye`.

    `size` is the diameter of the sphere around the solid; all are in scene units.
    """
    name = rng.choice(CLASSES)
    mesh = solid_mesh(name, rng)
    turn = pose(name, mesh, rng)
    while not recognisable(name, turn, (eye - spot).normalized()):
        turn = pose(name, mesh, rng)
    lowest = min((turn @ vertex.co).z for vertex in mesh.vertices)
    mesh.materials.append(solid_material(rng))
    solid = bpy.data.objects.new(name, mesh)
    place = Vector((spot.x, spot.y, -lowest * size))
    solid.matrix_world = Matrix.LocRotScale(place, turn, Vector((size, size, size)))
    bpy.context.scene.collection.objects.link(solid)
    return solid
