"""Every pipeline and config that ships is sound; the quickstart's own test runs it."""

import subprocess
import sys

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
}
"""Params of each; planning looks only whether the paths are there."""

CONFIGS = [name for name in SETTINGS if not name.startswith("pose_")]


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


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_ships_is_honoured_but_for_what_evaluates(project, name):
    config = read_pipeline_config(project / f"pipelines/{name}.config")
    _, coverage = translate(config, name)
    CoverageReport.of(config, coverage).check_strict()


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
