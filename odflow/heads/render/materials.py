"""Colours and textures, as Blender's shader nodes."""

from __future__ import annotations

from typing import Any

import bpy

from odflow.heads.render.recipe import Color, Ground

_TEXTURES = {
    "checker": "ShaderNodeTexChecker",
    "bricks": "ShaderNodeTexBrick",
    "noise": "ShaderNodeTexNoise",
    "waves": "ShaderNodeTexWave",
    "cells": "ShaderNodeTexVoronoi",
}


def plain_material(color: Color, roughness: float, metallic: float) -> Any:
    """One colour all over."""
    material, shader = _material()
    shader.inputs["Base Color"].default_value = (*color, 1)
    shader.inputs["Roughness"].default_value = roughness
    shader.inputs["Metallic"].default_value = metallic
    return material


def ground_material(ground: Ground) -> Any:
    """Two colours in a pattern, or one."""
    material, shader = _material()
    shader.inputs["Roughness"].default_value = 0.9
    first, second = ((*color, 1.0) for color in ground.colors)
    shader.inputs["Base Color"].default_value = first
    if ground.kind == "plain":
        return material
    nodes, links = material.node_tree.nodes, material.node_tree.links
    texture = nodes.new(_TEXTURES[ground.kind])
    texture.inputs["Scale"].default_value = ground.scale
    links.new(nodes.new("ShaderNodeTexCoord").outputs["Object"], texture.inputs["Vector"])
    mix = nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    inputs = {socket.identifier: socket for socket in mix.inputs}
    inputs["A_Color"].default_value, inputs["B_Color"].default_value = first, second
    output = "Distance" if ground.kind == "cells" else "Fac"
    links.new(texture.outputs[output], inputs["Factor_Float"])
    mixed = next(socket for socket in mix.outputs if socket.identifier == "Result_Color")
    links.new(mixed, shader.inputs["Base Color"])
    return material


def sky(color: Color) -> Any:
    """Light of one colour from all around."""
    world = bpy.data.worlds.new("sky")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs["Color"].default_value = (*color, 1)
    return world


def _material() -> tuple[Any, Any]:
    material = bpy.data.materials.new("material")
    material.use_nodes = True
    return material, material.node_tree.nodes["Principled BSDF"]
