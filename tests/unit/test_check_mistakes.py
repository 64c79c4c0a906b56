"""Mistakes that are known before the first stage runs: `plan` tells each in a line, and nothing runs."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from odflow.cli import main

BOXES = "filename,width,height,class,score,xmin,ymin,xmax,ymax\na.jpg,64,48,cube,1,1,1,20,20\n"


def edit(name: str, *pairs: str) -> Callable[[], None]:
    """Replaces texts in a file; each must be there."""

    def change() -> None:
        text = Path(name).read_text()
        for before, after in zip(pairs[::2], pairs[1::2], strict=True):
            assert before in text
            text = text.replace(before, after, 1)
        Path(name).write_text(text)

    return change


def write(name: str, text: str) -> Callable[[], None]:
    """Writes a file, and the folders above it."""

    def change() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)

    return change


def add(text: str) -> Callable[[], None]:
    """Adds a stage to the pipeline."""
    return lambda: Path("retrain.yaml").write_text(Path("retrain.yaml").read_text() + "\n" + text)


def everything(*changes: Callable[[], None]) -> Callable[[], None]:
    return lambda: [change() for change in changes] and None


def images_are(*names: str) -> Callable[[], None]:
    def change() -> None:
        shutil.rmtree("images")
        for name in names:
            write(f"images/{name}", "no image")()
        Path("images").mkdir(exist_ok=True)

    return change


MISTAKES = {
    "a class is misspelt": ("params.classes=[cone, cubee]", 'keep.classes: .*"cubee".*"cube"'),
    "a new name is of no class": ("keep.rename={cubee: box}", 'keep.rename: .*"cubee".*"cube"'),
    "a dropped class is misspelt": ("keep.drop_classes=[spheer]", 'keep.drop_classes: .*"spheer".*"sphere"'),
    "a score is of no class": ("keep.min_scores={torrus: 0.9}", 'keep.min_scores: .*"torrus".*"torus"'),
    "num_classes is too small": (
        edit("retrain.config", "num_classes: 2", "num_classes: 1"),
        r"retrain.yaml:\d+: train.config: retrain.config: model.ssd.num_classes is 1, .* Set num_classes: 2",
    ),
    "num_classes is that of another label map": ("params.classes=[cone]", "num_classes is 2, .* end at 1"),
    "num_classes does not follow a merge": ("keep.rename={cone: cube}", "classes: .*cone|num_classes is 2"),
    "the config lacks a brace": (
        edit("retrain.config", "num_classes: 2", "num_classes: 2 {"),
        r"train.config: retrain.config:\d+",
    ),
    "a field of the config is misspelt": (
        edit("retrain.config", "num_classes: 2", "num_clases: 2"),
        r"retrain.config:\d+: .*num_clases.*num_classes",
    ),
    "a path is still to be configured": (
        "train.fine_tune_checkpoint=null",
        "train.config: .*fine_tune_checkpoint is PATH_TO_BE_CONFIGURED",
    ),
    "the config trains for ever": ("train.set={train_config.num_steps: 0}", "num_steps is 0"),
    "the checkpoint is not there": (
        "params.fine_tune_checkpoint=nowhere",
        "train.fine_tune_checkpoint: nowhere",
    ),
    "the checkpoint's folder is empty": (
        everything(lambda: Path("empty").mkdir()),
        "train.fine_tune_checkpoint: empty: holds no checkpoint",
        "params.fine_tune_checkpoint=empty",
    ),
    "the config's own checkpoint is not there": (
        edit("retrain.config", '_checkpoint: "PATH_TO_BE_CONFIGURED"', '_checkpoint: "gone/ckpt-0"'),
        "train.config: gone/ckpt-0: holds no checkpoint",
        "train.fine_tune_checkpoint=null",
    ),
    "a field to set is unknown": (
        "train.set={train_config.batchsize: 8}",
        'train.set: train_config.batchsize: "batchsize" is no field',
    ),
    "a value to set does not fit": (
        "train.set={train_config.batch_size: many}",
        "batch_size: 'many' does not fit",
    ),
    "an architecture is unknown": (
        edit("retrain.config", "ssd_mobilenet_v2_fpn_keras", "ssd_mobilenet_v9_fpn_keras"),
        "train.config: .*ssd_mobilenet_v9_fpn_keras",
    ),
    "a meta-architecture is not built": (
        edit("retrain.config", "ssd {", "context_rcnn {"),
        r"train.config: retrain.config:\d+",
    ),
    "workers cannot share the batch": (
        "train.workers=3",
        "train.batch_size: .*batch_size 8 cannot be shared out to 3",
        "train.strategy=ray",
    ),
    "small batches do not add up": (
        "train.accumulate=5",
        "batch_size 8 cannot be shared out .* 5 small batches",
    ),
    "TF_CONFIG is missing": ("train.strategy=multi_worker_mirrored", "train.strategy: .*TF_CONFIG"),
    "Ray is not installed": (
        lambda: importlib.util.find_spec.hide("ray"),
        r'train.strategy: needs ray, which is not installed: pip install "odflow\[ray\]"',
        "train.strategy=ray",
    ),
    "Blender is not installed": (
        everything(lambda: importlib.util.find_spec.hide("bpy"), add("  render: {count: 1}")),
        r'render: needs bpy, which is not installed: pip install "odflow\[blender\]"',
    ),
    "the disk is full": (
        lambda: shutil.disk_usage.fill(),
        "train_records.images: the disk has 0 MiB left",
    ),
    "the folder of images is empty": (images_are(), "detect.images: images: holds no image"),
    "images are of another form": (images_are("a.heic", "b.tif"), "detect.images: images: .*a.heic"),
    "a list names an image that is not there": (
        write("list.txt", "0007.jpg\n"),
        "detect.images: list.txt:1: no such image",
        "detect.images=list.txt",
    ),
    "the label map lacks an id": (
        edit("label_map.pbtxt", "id: 2", ""),
        r"detect.label_map: label_map.pbtxt:\d+: .*lacks its id",
    ),
    "the label map has an id twice": (
        edit("label_map.pbtxt", "id: 2", "id: 1"),
        r"detect.label_map: label_map.pbtxt:\d+: id 1",
    ),
    "the label map is a web page": (
        write("label_map.pbtxt", "<!DOCTYPE html>\n<html></html>\n"),
        r"detect.label_map: label_map.pbtxt",
    ),
    "the model is a label map": ("params.model=label_map.pbtxt", "detect.model: .*is a label map"),
    "the model is a Git LFS pointer": (
        write("lfs.pb", "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"),
        "detect.model: lfs.pb: is a Git LFS pointer.*git lfs pull",
        "params.model=lfs.pb",
    ),
    "the model's folder holds none": ("params.model=images", "detect.model: images: holds neither"),
    "the model is not there": ("params.model=gone.pb", "detect.model: gone.pb"),
    "the records' name is a path": ("train_records.name=../a.record", "train_records: name is '../a.record'"),
    "records know fewer classes than were chosen": (
        write("own.pbtxt", "item { id: 1 name: 'cube' }"),
        'train_records.detections: has the class "cone", which the label map lacks',
        "train_records.label_map=own.pbtxt",
    ),
    "the ground truth has a class that the model lacks": (
        everything(
            write("truth.csv", BOXES.replace("cube", "cub")),
            add(
                "  judge: {uses: evaluate, model: teacher.pb, label_map: label_map.pbtxt, images: images, "
                "annotations: truth.csv}"
            ),
        ),
        'judge.annotations: .*"cub".*"cube"',
    ),
    "a table lacks a column": (
        everything(
            write("b.csv", BOXES.replace("class", "klass")), add("  other: {uses: split, detections: b.csv}")
        ),
        "other.detections: b.csv: .*class",
    ),
    "the names of YOLO's classes are not YAML": (
        everything(
            write("names.yaml", "names: [cat, [dog"),
            add(
                "  ann: {uses: import, format: yolo, annotations: images, images: images, names: names.yaml}"
            ),
        ),
        "ann.names: names.yaml",
    ),
    "a two-stage detector is to be a TFLite file": (
        edit("retrain.yaml", "trained: ${train.trained}", "trained: two_stages\n    formats: [tflite]"),
        "export.formats: .*one-stage",
    ),
    "a model will not be written": (
        edit("retrain.yaml", "model: ${export.exported}", "model: ${export.exported}/detector.tflite"),
        'evaluate.model: .*exported will hold no "detector.tflite"',
    ),
    "a shard will have another name": (
        edit(
            "retrain.yaml",
            "records: ${valid_records.records}",
            "records: ${valid_records.records}/val.record",
        ),
        'train.valid_records: .*will hold no "val.record". Did you mean "valid.record"?',
    ),
    "a table names an image that is not there": (
        everything(
            write("b.csv", BOXES + "z.jpg,64,48,cube,1,1,1,20,20\n"),
            add("  more: {uses: records, detections: b.csv, images: images, label_map: label_map.pbtxt}"),
        ),
        r"more.images: images/z.jpg: no such image \(1 of 2 are missing",
    ),
    "int8 has no images": ("export.formats=[tflite_int8]", "export: .*tflite_int8 needs images"),
    "frozen variables are no regular expression": (
        "train.set={train_config.freeze_variables: '(Mobilenet'}",
        "freeze_variables: .*no regular expression",
    ),
    "records are a table": (
        write("valid.csv", BOXES),
        "train.valid_records: valid.csv: ",
        "train.valid_records=valid.csv",
    ),
    "a strict training meets a field that is approximated": (
        edit(
            "retrain.config",
            "batch_non_max_suppression {",
            "batch_non_max_suppression { use_combined_nms: true",
        ),
        "train.strict: .*use_combined_nms is approximated",
        "train.strict=true",
    ),
    "patience has nothing to wait for": ("train.patience=3", "train: .*patience needs evaluate_every"),
    "a skeleton is unknown": (
        add("  people: {uses: pose.import, format: lsp, annotations: retrain.yaml, skeleton: lspp}"),
        "people",
    ),
    "the images of segmentation lack names": (
        everything(
            write("masks/a.png", ""),
            write("classes.yaml", "nothing: here"),
            add(
                "  seg: {uses: segmentation.records, images: images, format: index, masks: masks, "
                "names: classes.yaml}"
            ),
        ),
        "seg.names: classes.yaml",
    ),
}


IN_PROCESS = ("Ray is not installed", "Blender is not installed", "the disk is full")
"""They change this process, not the folder."""


class Given(NamedTuple):
    change: Callable[[], None]
    pattern: str
    settings: list[str]
    here_only: bool = False


def mistake(name: str) -> Given:
    first, pattern, *settings = MISTAKES[name]
    if isinstance(first, str):
        return Given(lambda: None, pattern, [first, *settings])
    return Given(first, pattern, settings, name in IN_PROCESS)


class Hidden:
    """`find_spec` that does not find some packages."""

    def __init__(self) -> None:
        self.real, self.hidden = importlib.util.find_spec, set()

    def hide(self, name: str) -> None:
        self.hidden.add(name)

    def __call__(self, name: str, *more: object) -> object:
        return None if name in self.hidden else self.real(name, *more)


class Disk:
    """`disk_usage` that may tell of a full disk."""

    def __init__(self) -> None:
        self.real, self.full = shutil.disk_usage, False

    def fill(self) -> None:
        self.full = True

    def __call__(self, place: Path) -> object:
        found = self.real(place)
        return found._replace(free=0) if self.full else found


def set_up(project: Path) -> None:
    """Fill the folder of this process: retrain.yaml with the quickstart's teacher, in which all is right."""
    teacher = project / "pipelines/quickstart/teacher"
    shutil.copy(teacher / "frozen_inference_graph.pb", "teacher.pb")
    shutil.copy(teacher / "label_map.pbtxt", "label_map.pbtxt")
    shutil.copytree(teacher / "checkpoint", "checkpoint")
    shutil.copy(project / "pipelines/retrain.config", "retrain.config")
    text = (project / "pipelines/retrain.yaml").read_text()
    for name, value in {
        "model: models/frozen_inference_graph.pb": "model: teacher.pb",
        "label_map: label_maps/mscoco_label_map.pbtxt": "label_map: label_map.pbtxt",
        "images: data/images": "images: images",
        "classes: [person, car]": "classes: [cube, cone]",
        "config: pipelines/retrain.config": "config: retrain.config",
        "fine_tune_checkpoint: pipelines/quickstart/teacher/checkpoint": "fine_tune_checkpoint: checkpoint",
    }.items():
        assert name in text
        text = text.replace(name, value)
    Path("retrain.yaml").write_text(text)
    Path("images").mkdir()
    Image.new("RGB", (64, 48)).save("images/a.jpg")
    shutil.copytree("checkpoint", "two_stages/checkpoint")
    shutil.copy("label_map.pbtxt", "two_stages")
    Path("two_stages/pipeline.config").write_text(FASTER_RCNN)


@pytest.fixture
def retrain(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pipeline in which all is right."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TF_CONFIG", raising=False)
    set_up(project)
    hidden, disk = Hidden(), Disk()
    monkeypatch.setattr("importlib.util.find_spec", hidden)
    monkeypatch.setattr("odflow.graph.checking.find_spec", hidden)
    monkeypatch.setattr("shutil.disk_usage", disk)
    return tmp_path


FASTER_RCNN = """\
model { faster_rcnn {
  num_classes: 4
  image_resizer { fixed_shape_resizer { height: 64 width: 64 } }
  feature_extractor { type: "faster_rcnn_resnet50_keras" }
  first_stage_anchor_generator { grid_anchor_generator {
    scales: [0.25] aspect_ratios: [1.0] height_stride: 16 width_stride: 16
  } }
  first_stage_box_predictor_conv_hyperparams { op: CONV }
  first_stage_max_proposals: 64
  initial_crop_size: 14 maxpool_kernel_size: 2 maxpool_stride: 2
  second_stage_box_predictor { mask_rcnn_box_predictor { fc_hyperparams { op: FC } } }
  second_stage_post_processing { score_converter: SOFTMAX }
} }
train_config { batch_size: 1 num_steps: 1 optimizer { momentum_optimizer {
  learning_rate { constant_learning_rate { learning_rate: 0.01 } } } use_moving_average: false } }
"""


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    capsys.readouterr()
    code = main(words)
    return code, capsys.readouterr().err.splitlines()


def test_nothing_is_wrong_before_a_mistake_is_planted(retrain: Path, capsys) -> None:
    assert told(["plan", "retrain.yaml"], capsys) == (0, [])


@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_told_before_anything_runs(name: str, retrain: Path, capsys) -> None:
    given = mistake(name)
    given.change()
    settings = [word for setting in given.settings for word in ("--set", setting)]
    for command in ("plan", "run"):
        code, lines = told([command, "retrain.yaml", *settings], capsys)
        assert code == 2
        assert any(re.search(given.pattern, line) for line in lines), lines
        assert all("unexpected" not in line for line in lines)
        assert len(lines) <= 2, lines
    assert not list(Path("runs").glob("*/detect"))


def test_three_mistakes_are_three_lines(retrain: Path, capsys) -> None:
    edit("retrain.config", "num_classes: 2", "num_classes: 7")()
    settings = ["--set", "params.classes=[cone, cubee]", "--set", "params.fine_tune_checkpoint=gone"]
    code, lines = told(["plan", "retrain.yaml", *settings], capsys)
    assert (code, len(lines)) == (2, 3)
    for word in ("cubee", "num_classes is 7", "gone does not exist"):
        assert any(word in line for line in lines)


def test_telling_needs_no_tensorflow(retrain: Path) -> None:
    program = (
        "import sys\n"
        "from odflow.cli import main\n"
        "code = main(['plan', 'retrain.yaml', '--set', 'params.classes=[cone, cubee]', '--set', "
        "'train.accumulate=3'])\n"
        "print(code, sorted({'tensorflow', 'official', 'tf_keras'} & set(sys.modules)))\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, check=True
    )
    assert found.stdout == "2 []\n", json.dumps(found.stderr)
