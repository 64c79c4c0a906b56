"""Every pipeline and config that ships is sound; the quickstart's own test runs it."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from odflow.odapi.coverage_report import CoverageReport
from odflow.odapi.pipeline_config import read_pipeline_config
from odflow.training.translation import translate

MODEL = "../shared/models/ssd_mobilenet_v1_coco"
LSP = "../shared/data/lsp"
SETTINGS = {
    "quickstart": {},
    "bccd": {},
    "finetune_bccd": {},
    "retrain": {
        "model": f"{MODEL}/frozen_inference_graph.pb",
        "label_map": f"{MODEL}/mscoco_label_map.pbtxt",
        "images": "../shared/data/coco128/images/train2017",
    },
    "pose_lsp": {},
    "pose_mpii": {
        "train_annotations": f"{LSP}/joints.mat",
        "valid_annotations": f"{LSP}/joints.mat",
        "images": f"{LSP}/images",
    },
    "pose_flic": {"annotations": "../shared/data/flic/examples.mat", "images": f"{LSP}/images"},
    "segment": {},
    "synthetic": {},
}
"""Params of each; planning looks only whether the paths are there."""

CONFIGS = ["quickstart", "bccd", "finetune_bccd", "retrain", "synthetic"]


def odflow(project, *words):
    return subprocess.run(
        [sys.executable, "-m", "odflow", *words], cwd=project, capture_output=True, text=True, check=False
    )


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_pipeline_that_ships_can_be_planned(project, tmp_path, name):
    settings = [f"--set=params.{param}={value}" for param, value in SETTINGS[name].items()]
    done = odflow(project, "plan", f"pipelines/{name}.yaml", "--workdir", str(tmp_path), *settings)
    assert done.returncode == 0, done.stderr


def test_no_pipeline_is_forgotten(project):
    assert {path.stem for path in (project / "pipelines").glob("*.yaml")} == set(SETTINGS)
    assert {path.stem for path in (project / "pipelines").glob("*.config")} == set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_ships_is_honoured_but_for_what_evaluates(project, name):
    config = read_pipeline_config(project / f"pipelines/{name}.config")
    _, coverage = translate(config, name)
    CoverageReport.of(config, coverage).check_strict()


@pytest.fixture
def run_small(project, tmp_path):
    """Run a pipeline that ships, with fewer images and steps; gives the folder of its results."""

    def run(name, *settings):
        environment = os.environ | {"ODFLOW_STORE": str(tmp_path / "store")}
        words = ["-m", "odflow", "run", f"pipelines/{name}.yaml", "--workdir", str(tmp_path / "runs")]
        words += [f"--set={setting}" for setting in settings]
        done = subprocess.run(
            [sys.executable, *words],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return next((tmp_path / "runs").rglob("run.json")).parent

    return run


def metrics(run, stage):
    return json.loads((run / stage / "metrics.json").read_text())


def size(run, file):
    return (run / file).stat().st_size


@pytest.mark.slow
def test_the_segmentation_pipeline_ends_with_metrics_and_pictures(run_small, tmp_path, shared):
    # Of these there are people in three of the eight to train, and in all four to validate.
    images = sorted((shared / "data/coco128/images/train2017").iterdir())[12:24]
    (tmp_path / "images.txt").write_text("".join(f"train2017/{image.name}\n" for image in images))
    run = run_small(
        "segment",
        f"records.image_list={tmp_path / 'images.txt'}",
        f"detect.image_list={tmp_path / 'images.txt'}",
        "params.train_count=8",
        "scratch.epochs=1",
        "fine_tune.epochs=1",
    )
    for stage in ("from_scratch", "fine_tuned"):
        measured = metrics(run, stage)
        assert 0 <= measured["IoU/person"] < measured["mIoU"] < 1
        assert measured["baseline/IoU/person"] == 0
        assert size(run, f"{stage}/pictures/contact_sheet.png") > 10_000
        assert size(run, f"{stage}/pictures/training.png") > 1_000
    assert len(list((run / "detect/masks").rglob("*.png"))) == len(images)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("bpy") is None, reason="Blender (the package bpy) is not installed")
def test_renders_train_a_detector_and_all_heads(run_small):
    epochs = [f"{stage}.epochs=1" for stage in ("visibility", "segmentation", "pose")]
    run = run_small("synthetic", "render.count=16", "detector.num_steps=4", *epochs)
    assert 0 <= metrics(run, "detector_metrics")["DetectionBoxes_Precision/mAP@.50IOU"] <= 1
    assert 0 < metrics(run, "visibility_metrics")["AP/figure"] <= 1
    assert 0 < metrics(run, "segmentation_metrics")["IoU/background"] < 1
    assert 0 <= metrics(run, "pose_metrics")["PCK@0.2"] <= 1
    assert size(run, "sheet/contact_sheet.png") > 10_000
    assert size(run, "visibility_metrics/precision_recall.png") > 1_000
    assert size(run, "segmentation_metrics/pictures/contact_sheet.png") > 10_000
    assert size(run, "pose_metrics/pck.png") > 1_000
    assert list((run / "pose_pictures/pictures").rglob("*.jpg"))


def test_a_misspelt_class_in_the_yaml_ends_the_run_with_2_and_the_nearest_name(project, tmp_path):
    """The table is read before anything is written, and nothing half-written is left."""
    (tmp_path / "boxes.csv").write_text(
        "filename,width,height,class,score,xmin,ymin,xmax,ymax\na.jpg,10,10,person,1,1,1,5,5\n"
    )
    (tmp_path / "one.yaml").write_text(
        "stages:\n  filter:\n    detections: boxes.csv\n    classes: [preson]\n"
    )
    done = odflow(tmp_path, "run", "one.yaml")
    assert done.returncode == 2
    assert 'Did you mean "person"?' in done.stderr
    assert not list((tmp_path / "runs").rglob("*.csv"))
