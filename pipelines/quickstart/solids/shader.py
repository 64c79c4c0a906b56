"""Materials: colours, and a short way to build the nodes of one."""

from __future__ import annotations

import colorsys
import math
import random

import bpy

Color = tuple[float, float, float, float]


def hsv(hue: float, saturation: float, value: float) -> Color:
    """Return a linear RGBA colour; all arguments in [0, 1], `value` as seen on a screen."""
    red, green, blue = (part**2.2 for part in colorsys.hsv_to_rgb(hue % 1.0, saturation, value))
    return red, green, blue, 1.0


class Shader:
    """A new material with one Principled BSDF, and a short way to add nodes in front of it."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.surface = self.tree.nodes["Principled BSDF"]

    def node(self, kind: str, **inputs: object) -> bpy.types.Node:
        """Add a `ShaderNode<kind>`; an input is a value or the socket that feeds it."""
        node = self.tree.nodes.new("ShaderNode" + kind)
        self.feed(node, **inputs)
        return node

    def feed(self, node: bpy.types.Node, **inputs: object) -> None:
        """Set inputs by name; an underscore in the name stands for a space."""
        for name, value in inputs.items():
            socket = node.inputs[name.replace("_", " ")]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            else:
                socket.default_value = value

    def coordinates(self, rng: random.Random) -> bpy.types.NodeSocket:
        """Return object coordinates, shifted and turned about z at random."""
        shift = [rng.uniform(-20, 20) for _ in range(3)]
        turn = (0.0, 0.0, rng.uniform(0, math.tau))
        source = self.node("TexCoord").outputs["Object"]
        mapping = self.node("Mapping", Vector=source, Location=shift, Rotation=turn)
        return mapping.outputs["Vector"]

    def blend(self, factor: bpy.types.NodeSocket, dark: Color, light: Color) -> bpy.types.NodeSocket:
        """Return a colour that goes from `dark` at factor 0.35 to `light` at 0.65."""
        ramp = self.node("ValToRGB", Fac=factor)
        ends = ramp.color_ramp.elements
        ends[0].position, ends[0].color = 0.35, dark
        ends[1].position, ends[1].color = 0.65, light
        return ramp.outputs["Color"]
