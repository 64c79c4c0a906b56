"""The stage `render`: small pictures of few samples, by a real Blender where it is installed."""

import itertools
import json
from importlib.util import find_spec

import numpy as np
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.errors import ConfigError, InputError
from odflow.formats.annotations import labels_json_annotations, place_boxes
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.detections import read_detections
from odflow.formats.images import find_images
from odflow.formats.keypoints import joints_of, read_keypoints
from odflow.formats.label_map import read_label_map
from odflow.formats.labels_json import read_labels_json
from odflow.formats.mask_classes import read_mask_classes
from odflow.graph.execute import run_alone
from odflow.heads.render import pool
from odflow.heads.render.figure import JOINTS
from odflow.heads.render.stages.render import Render

SMALL = {"count": 3, "width": 64, "height": 48, "samples": 1, "figure_share": 1, "distance": (3, 4)}
TEXTS = ("labels.json", "annotations.csv", "keypoints.csv", "images.txt", "label_map.pbtxt", "classes.json")

MODELS = """
import sys
import bpy
folder = sys.argv[1]
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.mesh.primitive_cube_add(location=(5, 0, 0))
bpy.ops.mesh.primitive_cone_add(location=(7, 0, 0))
bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/two.blend")
bpy.ops.wm.obj_export(filepath=f"{folder}/two.obj")
bpy.ops.export_scene.gltf(filepath=f"{folder}/two.glb")
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.wm.save_as_mainfile(filepath=f"{folder}/empty.blend")
print("made")
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    if find_spec("bpy") is None:
        pytest.skip('needs Blender: pip install "odflow[blender]"')
    out = tmp_path_factory.mktemp("rendered")
    run_alone(Render(**SMALL), out)
    return out


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(rendered, tmp_path, monkeypatch):
    """By one process instead of one a processor."""
    monkeypatch.setattr(pool, "_MOST", 1)
    run_alone(Render(**SMALL), tmp_path / "again")
    files = [*TEXTS, *(f"{folder}/00000{n}.png" for folder in ("images", "masks") for n in range(3))]
    for file in files:
        assert (tmp_path / "again" / file).read_bytes() == (rendered / file).read_bytes(), file


@pytest.mark.slow
def test_boxes_are_the_extents_of_what_the_masks_show(rendered):
    table = read_detections(rendered / "annotations.csv")
    ids = read_label_map(rendered / "label_map.pbtxt").ids
    assert read_mask_classes(rendered / "classes.json").names == {0: "background"} | {
        number: name for name, number in ids.items()
    }
    assert len(table) > 3
    for (name, label), boxes in table.groupby(["filename", "class"]):
        rows, columns = np.nonzero(np.asarray(Image.open(rendered / "masks" / name)) == ids[label])
        extent = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert boxes[["xmin", "ymin"]].min().to_list() == extent[:2]
        assert boxes[["xmax", "ymax"]].max().to_list() == extent[2:]
        assert boxes["area"].sum() == len(rows)
        assert (boxes["visible"] >= 0.25).all()


@pytest.mark.slow
def test_the_labels_are_the_boxes(rendered):
    table = read_detections(rendered / "annotations.csv")
    images = find_images(rendered / "images")
    labelled = labels_json_annotations(rendered / "labels.json", images)
    assert len(labelled.known) == 3
    boxes = place_boxes(labelled, images).table()[COLUMNS]
    assert boxes.to_numpy().tolist() == table[COLUMNS].to_numpy().tolist()


@pytest.mark.slow
def test_pictures_that_show_nothing_are_listed(tmp_path):
    if find_spec("bpy") is None:
        pytest.skip('needs Blender: pip install "odflow[blender]"')
    run_alone(Render(**SMALL | {"figure_share": 0, "objects_per_image": (0, 0)}), tmp_path / "out")
    assert read_detections(tmp_path / "out/annotations.csv").empty
    assert (tmp_path / "out/images.txt").read_text() == "000000.png\n000001.png\n000002.png\n"
    labelled = read_labels_json(tmp_path / "out/labels.json", find_images(tmp_path / "out/images"))
    assert len(labelled.drawings) == 3


@pytest.mark.slow
def test_visible_joints_fall_on_the_figure(rendered):
    people = read_keypoints(rendered / "keypoints.csv", JOINTS)
    figure = read_label_map(rendered / "label_map.pbtxt").ids["figure"]
    assert len(people) > 0
    visible = 0
    for name, joints in zip(people["filename"], joints_of(people, JOINTS), strict=True):
        mask = np.asarray(Image.open(rendered / "masks" / name))
        for x, y, visibility in joints:
            if visibility == 2:
                visible += 1
                assert mask[int(y), int(x)] == figure
    assert visible > len(people) * 3


@pytest.mark.slow
def test_a_stopped_run_goes_on_where_it_was(rendered, tmp_path, monkeypatch):
    render_pictures = pool.render_pictures

    def stopped(*arguments, **named):
        for picture in render_pictures(*arguments, **named):
            yield picture
            raise KeyboardInterrupt

    monkeypatch.setattr(pool, "render_pictures", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_alone(Render(**SMALL), tmp_path)
    (journal,) = (tmp_path / ".staging-render").rglob("journal")
    kept = json.loads(journal.read_bytes().partition(b" ")[2])["number"]
    picture = journal.parent / "images" / f"{kept:06}.png"
    before = picture.stat().st_mtime_ns
    asked = []

    def watched(settings, images, masks, numbers, **named):
        asked.extend(numbers)
        return render_pictures(settings, images, masks, numbers, **named)

    monkeypatch.setattr(pool, "render_pictures", watched)
    run_alone(Render(**SMALL), tmp_path)
    assert sorted([*asked, kept]) == [0, 1, 2]
    assert (tmp_path / "images" / picture.name).stat().st_mtime_ns == before
    for file in TEXTS:
        assert (tmp_path / file).read_bytes() == (rendered / file).read_bytes()


@pytest.mark.slow
def test_less_is_labelled_the_more_must_be_visible(rendered, tmp_path):
    run_alone(Render(**SMALL | {"min_visible": 1}), tmp_path)
    strict = read_detections(tmp_path / "annotations.csv")
    table = read_detections(rendered / "annotations.csv")
    assert (strict["visible"] == 1).all()
    assert len(strict) == (table["visible"] == 1).sum() < len(table)
    shown = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "masks").iterdir())]
    assert any((mask == 255).any() for mask in shown)


@pytest.mark.slow
def test_models_of_files_are_dropped(blender, tmp_path):
    assert blender(MODELS, tmp_path) == "made"
    forms = ("blend", "obj", "glb")
    objects = {form: str(tmp_path / f"two.{form}") for form in forms}
    fields = SMALL | {"objects": objects, "figure_share": 0, "min_visible": 0, "objects_per_image": (6, 6)}
    run_alone(Render(**fields, image_format="jpeg"), tmp_path / "out")
    found = read_detections(tmp_path / "out/annotations.csv")
    assert set(found["class"]) == set(forms)
    assert found["filename"].iloc[0] == "000000.jpg"
    (tmp_path / "bad.glb").write_bytes(b"glTF")
    for name, message in (("empty.blend", "holds no mesh"), ("bad.glb", "cannot read this model")):
        with pytest.raises(InputError, match=rf"^render: .*{name}: .*{message}") as caught:
            run_alone(Render(**SMALL | {"objects": {"one": str(tmp_path / name)}}), tmp_path / "no")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"objects": {"box": "cub"}}, 'box: "cub" is no primitive.*Did you mean "cube"'),
        ({"objects": {"car": "car.fbx"}}, "no .blend, .obj or .glb file"),
        ({"objects": {}}, "wanted 1 to 253 classes"),
        ({"objects": {" ": "cube"}}, "' ' is no name of a class"),
        ({"objects": {"a\nb": "cube"}}, "is no name of a class"),
        ({"objects": {"box.001": "cube"}}, 'cannot be called "box.001"'),
        ({"objects": {"background": "cube"}}, 'cannot be called "background"'),
        ({"objects": {"figure": "cube"}}, "is the articulated figure"),
        ({"count": 0}, "greater than or equal to 1"),
        ({"samples": 0}, "greater than or equal to 1"),
        ({"objects_per_image": (3, 2)}, "3 is above 2"),
        ({"distance": (0, 2)}, "greater than 0"),
        ({"min_visible": 1.1}, "less than or equal to 1"),
    ],
)
def test_wrong_fields_are_refused(wrong, message):
    with pytest.raises(pydantic.ValidationError, match=message):
        Render(**SMALL | wrong)


@pytest.fixture
def played(monkeypatch):
    """Pictures without Blender, one box in each; gives the numbers that were asked for."""

    def pictures(settings, images, masks, numbers, *, place):
        for number in numbers:
            asked.append(number)
            (images / settings.picture_name(number)).write_text(f"picture {number}")
            (masks / settings.mask_name(number)).write_text(f"mask {number}")
            box = {"label": settings.classes[0], "xyxy": [0, 1, 5, 4], "area": 9, "visible": 1.0}
            yield {"number": number, "boxes": [box], "joints": None}

    asked = []
    monkeypatch.setattr("odflow.heads.render.stages.render.find_spec", lambda name: True)
    monkeypatch.setattr(pool, "render_pictures", pictures)
    return asked


def test_what_a_power_cut_took_is_rendered_again(played, tmp_path, monkeypatch):
    pictures = pool.render_pictures
    monkeypatch.setattr(pool, "render_pictures", lambda *given, **named: stopped(pictures(*given, **named)))

    def stopped(made):
        yield from itertools.islice(made, 4)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_alone(Render(count=6), tmp_path)
    (images,) = (tmp_path / ".staging-render").rglob("images")
    (images / "000000.png").write_bytes(b"")
    (images.parent / "masks/000001.png").unlink()
    played.clear()
    monkeypatch.setattr(pool, "render_pictures", pictures)
    run_alone(Render(count=6), tmp_path)
    assert played == [0, 1, 4, 5]
    assert [path.read_text() for path in sorted((tmp_path / "images").iterdir())] == [
        f"picture {number}" for number in range(6)
    ]
    assert len(read_detections(tmp_path / "annotations.csv")) == 6


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=6) | st.sampled_from(["NA", "nan", "1", "no", "a.12", 'a"b', "a,b", "è.0001", "#x"]))
def test_a_class_that_is_not_refused_at_once_is_written_in_the_end(played, tmp_path, label):
    """Else all pictures would be rendered for nothing."""
    try:
        stage = Render(count=1, objects={label: "cube"})
    except pydantic.ValidationError:
        return
    run_alone(stage, tmp_path)
    assert read_detections(tmp_path / "annotations.csv")["class"].to_list() == [label]
    assert read_label_map(tmp_path / "label_map.pbtxt").ids == {label: 1}
    assert read_mask_classes(tmp_path / "classes.json").names == {0: "background", 1: label}
    assert list(json.loads((tmp_path / "labels.json").read_text())[0]["meshes"]) == [label]


def test_a_missing_model_is_told(tmp_path):
    with pytest.raises(InputError, match=r"there is no model .*gone\.blend"):
        run_alone(Render(count=1, objects={"car": str(tmp_path / "gone.blend")}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_blender_must_be_installed(tmp_path, monkeypatch):
    monkeypatch.setattr("odflow.heads.render.stages.render.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r'pip install "odflow\[blender\]"'):
        run_alone(Render(count=1), tmp_path / "out")


def test_a_model_is_part_of_the_key(tmp_path):
    (tmp_path / "car.glb").write_bytes(b"")
    stage = Render(count=1, objects={"car": str(tmp_path / "car.glb"), "box": "cube"})
    assert list(stage.also_reads()) == [tmp_path / "car.glb"]
