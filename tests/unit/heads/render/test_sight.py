"""What pixels show, against Blender's own passes."""

import json

import numpy as np
import pytest

from odflow.heads.render.sight import Camera

SCENE = """
import json, sys
from dataclasses import replace
from pathlib import Path
import bpy
import numpy as np
from odflow.heads.render.models import load_models
from odflow.heads.render.recipe import Settings, draw_recipe
from odflow.heads.render.scene import Scene, prepare
from odflow.heads.render.sight import hidden_by, look

settings = Settings(**json.loads(sys.argv[1]))
prepare(settings, 1)
models = load_models(settings.objects)
"""

INDEX_PASS = (
    SCENE
    + """
folder = Path(sys.argv[2])
scene = bpy.context.scene
scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BLACKMAN_HARRIS", 0.01
scene.view_layers[0].use_pass_object_index = True
scene.use_nodes = True
nodes = scene.node_tree.nodes
nodes.clear()
layers, file = nodes.new("CompositorNodeRLayers"), nodes.new("CompositorNodeOutputFile")
file.base_path, file.format.file_format, file.format.color_depth = str(folder), "OPEN_EXR", "32"
scene.node_tree.links.new(layers.outputs["IndexOB"], file.inputs[0])
wrong = []
for number in range(3):
    with Scene(settings, models, draw_recipe(settings, number)) as made:
        things = [one for one in scene.collection.objects if one.type == "MESH"][1:]
        for index, thing in enumerate(things, 1):
            thing.pass_index = index
        file.file_slots[0].path = f"index{number}-"
        made.render(folder / "unused.png")
        image = bpy.data.images.load(str(next(folder.glob(f"index{number}-*"))))
        image.colorspace_settings.name = "Non-Color"
        pixels = np.array(image.pixels[:]).reshape(settings.height, settings.width, 4)[::-1, :, 0]
        shown = look(made.camera, made.instances).instances
        wrong.append([int((np.rint(pixels) != shown + 1).sum()), int((shown >= 0).sum())])
        bpy.data.images.remove(image)
print(json.dumps(wrong))
"""
)

BEHIND = (
    SCENE
    + """
recipe = draw_recipe(settings, 0)
thing = replace(recipe.things[0], rotation=(0, 0, 0))
near, far = ((-1, 0, 0.5), 1.0), ((1, 0, 0.2), 0.4)
view = replace(recipe.view, target=(0, 0, 0.4), distance=6, elevation=0.15, azimuth=3.14159265)
things = tuple(replace(thing, place=place, size=size) for place, size in (near, far))
with Scene(settings, models, replace(recipe, figure=None, things=things, view=view)) as made:
    seen = look(made.camera, made.instances)
    print(json.dumps([[int((seen.instances == n).sum()) for n in (0, 1)], seen.own.tolist()]))
"""
)


def as_text(settings, **changes):
    return json.dumps({**vars(settings), **changes})


def test_a_camera_looks_along_its_rays():
    """A point on the ray through a pixel is seen in the middle of that pixel."""
    turn = np.array([[0.0, 0, -1, 3], [1, 0, 0, 4], [0, -1, 0, 5], [0, 0, 0, 1]])
    camera = Camera(turn, width=9, height=7, focal=11.0)
    columns, rows = np.array([0, 8, 4]), np.array([0, 6, 3])
    points = turn[:3, 3] + 2.5 * camera.directions(columns, rows)
    expected = np.stack([columns + 0.5, rows + 0.5, np.full(3, 2.5)], axis=1)
    np.testing.assert_allclose(camera.project(points), expected, atol=1e-9)


@pytest.mark.slow
def test_pixels_show_what_the_object_index_pass_shows(plain, blender, tmp_path):
    """Cycles casts its rays through the middles of pixels when its filter is narrow."""
    for wrong, shown in json.loads(blender(INDEX_PASS, as_text(plain, width=96, height=96), tmp_path)):
        assert shown > 200
        assert wrong <= 3


@pytest.mark.slow
def test_a_box_behind_a_larger_one_is_not_seen(plain, blender):
    shown, own = json.loads(blender(BEHIND, as_text(plain, objects={"box": "cube"})))
    assert shown[0] == own[0] > 0
    assert shown[1] == 0
    assert own[1] > 0
