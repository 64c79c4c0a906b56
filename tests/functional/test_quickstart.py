"""The README's first line, in a work folder and a store of its own."""

import csv
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def quickstart(project, tmp_path_factory):
    """Runs the pipeline; gives its work folder and how to run a command beside it."""
    folder = tmp_path_factory.mktemp("quickstart")
    environment = os.environ | {"ODFLOW_STORE": str(folder / "store")}

    def odflow(*words):
        return subprocess.run(
            [sys.executable, "-m", "odflow", *words],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    workdir = str(folder / "runs")
    first = odflow("run", "pipelines/quickstart.yaml", "--workdir", workdir)
    assert first.returncode == 0, first.stderr
    return folder / "runs", odflow


def find_run(workdir):
    return next(workdir.rglob("run.json")).parent


def test_every_stage_is_done_and_the_student_detects(quickstart):
    run = find_run(quickstart[0])
    stages = json.loads((run / "run.json").read_text())["stages"]
    assert {stage["state"] for stage in stages.values()} == {"done"}
    metrics = {name: json.loads((run / name / "metrics.json").read_text()) for name in ("teacher", "student")}
    ap50 = {name: metric["DetectionBoxes_Precision/mAP@.50IOU"] for name, metric in metrics.items()}
    assert ap50["teacher"] > 0.8
    assert ap50["student"] > ap50["teacher"] - 0.1
    with (run / "detect_again/detections.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["class"] for row in rows} == {"cube", "sphere", "cone", "torus"}
    assert (run / "sheet/contact_sheet.png").stat().st_size > 10_000


def test_a_second_run_does_nothing_in_under_a_second(quickstart):
    """Of a processor, whatever else the machine does."""
    workdir, odflow = quickstart
    seconds = []
    for _ in range(3):
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        again = odflow("run", "pipelines/quickstart.yaml", "--workdir", str(workdir))
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)
        assert again.returncode == 0
    run = find_run(workdir)
    stages = json.loads((run / "run.json").read_text())["stages"]
    assert {stage["state"] for stage in stages.values()} == {"cached"}
    assert min(seconds) < 1.0


def test_a_cached_run_imports_nothing_heavy(quickstart, project):
    code = (
        "import sys; from odflow.cli import main; "
        f"assert main(['run', 'pipelines/quickstart.yaml', '--workdir', {str(quickstart[0])!r}]) == 0; "
        "print(sorted({'tensorflow', 'numpy', 'pandas', 'PIL'} & set(sys.modules)))"
    )
    store = str(quickstart[0].parent / "store")
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env=os.environ | {"ODFLOW_STORE": store},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "nothing to do" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_exported_frozen_graph_and_its_checkpoint_agree_on_photographs(
    quickstart, shared, assert_same_detections
):
    """Scores within 1e-4 and boxes within half a pixel, on 20 photographs."""
    import tensorflow as tf

    from odflow.formats.images import find_images, read_image
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training.architecture import architecture
    from odflow.training.checkpoints import load_weights
    from odflow.training.export.graphs import Detector
    from odflow.training.translation import translate

    exported = find_run(quickstart[0]) / "export/exported"
    config = exported / "pipeline.config"
    settings, _ = translate(read_pipeline_config(config), str(config))
    kind = architecture(settings)
    network = kind.build()
    load_weights(network, exported)
    detector = Detector(network, kind)
    graph = tf.compat.v1.GraphDef.FromString((exported / "frozen_inference_graph.pb").read_bytes())
    with tf.Graph().as_default() as frozen:
        tf.import_graph_def(graph, name="")
    session = tf.compat.v1.Session(graph=frozen)
    names = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"]
    for file in list(find_images(shared / "data/coco128/images/val2017"))[:20]:
        image = read_image(file.path)
        found = session.run({name: f"{name}:0" for name in names}, {"image_tensor:0": image[None]})
        direct = detector.detect(tf.constant(image[None]))
        sides = {"detection_boxes": np.array([*image.shape[:2], *image.shape[:2]])}
        pixels = [
            {name: np.asarray(one[name]) * sides.get(name, 1) for name in names} for one in (found, direct)
        ]
        assert_same_detections(*pixels, 0.5, 1e-4)
