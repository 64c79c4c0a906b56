"""The usual script: Blender renders scenes of four things each, Cycles as it comes; no physics, no labels.

Usage: python benchmarks/render_peer.py COUNT OUT
"""

import math
import random
import sys

import bpy

SHAPES = ("cube", "uv_sphere", "cone", "cylinder")


def main(count: int, out: str) -> None:
    for number in range(count):
        draw = random.Random(number)
        bpy.ops.wm.read_factory_settings(use_empty=True)
        bpy.ops.mesh.primitive_plane_add(size=60)
        for shape in SHAPES:
            place = (draw.uniform(-1, 1), draw.uniform(-1, 1), 0.4)
            getattr(bpy.ops.mesh, f"primitive_{shape}_add")(location=place, scale=(0.35, 0.35, 0.35))
            colour(bpy.context.object, draw)
        bpy.ops.object.light_add(type="SUN", rotation=(0.5, 0.3, 0))
        bpy.context.object.data.energy = 3
        bpy.ops.object.camera_add(location=(0, -5, 2.5), rotation=(math.radians(66), 0, 0))
        render(bpy.context.object, f"{out}/{number:06}.png")


def colour(thing: object, draw: random.Random) -> None:
    material = bpy.data.materials.new("colour")
    material.use_nodes = True
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = (draw.random(), draw.random(), draw.random(), 1)
    thing.data.materials.append(material)


def render(camera: object, path: str) -> None:
    scene = bpy.context.scene
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.cycles.samples = 16
    scene.cycles.use_denoising = False
    scene.render.resolution_x, scene.render.resolution_y = 320, 240
    scene.render.filepath = path
    bpy.ops.render.render(write_still=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
