"""What becomes of the meshes in a file, by a real Blender where it is installed."""

import json

import pytest

RIGGED = """
import json, sys
import bpy
from odflow.heads.render.models import load_models

folder = sys.argv[1]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.object.armature_add()
rig = bpy.context.object
bpy.ops.mesh.primitive_cube_add()
body = bpy.context.object
body.modifiers.new("rig", "ARMATURE").object = rig
body.vertex_groups.new(name="Bone").add(range(8), 1.0, "REPLACE")
body.parent = rig
bpy.ops.export_scene.gltf(filepath=f"{folder}/rigged.GLB")
bpy.ops.mesh.primitive_uv_sphere_add(radius=9)
rig.pose.bones[0].custom_shape = bpy.context.object
lonely = bpy.data.meshes.new("lonely")
lonely.from_pydata([(50, 0, 0), (60, 0, 0)], [(0, 1)], [])
bpy.context.collection.objects.link(bpy.data.objects.new("lonely", lonely))
bpy.ops.mesh.primitive_cone_add(location=(30, 0, 0))
bpy.context.object.hide_render = True
bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/rigged.blend")
bpy.ops.wm.read_factory_settings(use_empty=True)
models = load_models({name: f"{folder}/rigged.{name}" for name in ("GLB", "blend")})
print(json.dumps({
    name: [len(model.mesh.polygons), (model.corners.max(axis=0) - model.corners.min(axis=0)).tolist()]
    for name, model in models.items()
}))
"""


@pytest.mark.slow
def test_of_a_rigged_model_only_the_body_is_taken(blender, tmp_path):
    """Not the shapes of its bones (those of the reader of .glb neither), nor edges without a face."""
    found = json.loads(blender(RIGGED, tmp_path))
    assert {name: faces for name, (faces, _) in found.items()} == {"GLB": 12, "blend": 6}
    for _, size in found.values():
        assert size == pytest.approx([1, 1, 1], abs=1e-5)
