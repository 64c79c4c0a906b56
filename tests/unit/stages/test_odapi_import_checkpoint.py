"""A checkpoint of the API becomes what train writes; wrong inputs are told in one line."""

import json
import subprocess
import sys

import pytest

from odflow.errors import ConfigError, InputError
from odflow.graph.execute import run_alone
from odflow.stages.odapi_import_checkpoint import ImportCheckpoint

FOLDER = "models/ssd_mobilenet_v2_fpnlite_320"


@pytest.fixture
def inputs(shared):
    return {
        "pipeline_config": shared / FOLDER / "pipeline.config",
        "checkpoint": shared / FOLDER / "checkpoint/ckpt-0",
        "label_map": shared / "models/ssd_mobilenet_v1_coco/mscoco_label_map.pbtxt",
    }


@pytest.mark.slow
def test_the_result_is_what_train_writes(inputs, tmp_path, capfd):
    run_alone(ImportCheckpoint(**inputs), tmp_path)
    trained = tmp_path / "trained"
    files = sorted(path.relative_to(trained).as_posix() for path in trained.rglob("*"))
    assert files == [
        "checkpoint",
        "checkpoint/checkpoint",
        "checkpoint/ckpt-0.data-00000-of-00001",
        "checkpoint/ckpt-0.index",
        "import.json",
        "label_map.pbtxt",
        "pipeline.config",
    ]
    report = json.loads((trained / "import.json").read_text())
    assert report["source"] == "ckpt-0"
    assert report["source_kind"] == "TF2 Object Detection API"
    assert (len(report["loaded"]), report["left"], report["unused"]) == (384, {}, [])
    assert "384 of 384 variables loaded" in capfd.readouterr().out
    assert str(inputs["checkpoint"].parent) not in "".join(
        path.read_text("utf-8", "replace") for path in trained.rglob("*") if path.is_file()
    ), "the same on every machine"

    from odflow.odapi.checkpoint import read_checkpoint

    ours, theirs = read_checkpoint(trained), read_checkpoint(inputs["checkpoint"])
    assert ours.kind == "odflow"
    assert dict(ours.shapes) == dict(theirs.shapes)


def test_a_prefix_is_taken_and_all_its_files_count_as_read(inputs):
    stage = ImportCheckpoint(**inputs)
    assert stage.checkpoint.name == "ckpt-0.index"
    names = {path.name for path in stage.also_reads()}
    assert names == {"ckpt-0.index", "ckpt-0.data-00000-of-00001", "mscoco_label_map.pbtxt"}


def test_the_label_map_beside_the_checkpoint_is_taken(inputs, tmp_path):
    del inputs["label_map"]
    with pytest.raises(InputError, match=r"label_map.pbtxt does not exist; give label_map"):
        run_alone(ImportCheckpoint(**inputs), tmp_path / "out")
    exported = tmp_path / "exported"
    (exported / "checkpoint").mkdir(parents=True)
    (exported / "checkpoint/ckpt-1.index").touch()
    for given in (exported, exported / "checkpoint", exported / "checkpoint/ckpt-1"):
        stage = ImportCheckpoint(**inputs | {"checkpoint": given})
        assert stage._label_map() == exported / "label_map.pbtxt"


def test_a_label_map_of_more_classes_is_refused_before_tensorflow_is_loaded(inputs, tmp_path):
    label_map = tmp_path / "more.pbtxt"
    label_map.write_text("item { id: 91 name: 'unicorn' }")
    inputs["label_map"] = label_map
    with pytest.raises(ConfigError, match=r"num_classes is 90, the ids of .*more.pbtxt go up to 91"):
        run_alone(ImportCheckpoint(**inputs), tmp_path / "out")
    flags = [f"--{name.replace('_', '-')}={path}" for name, path in inputs.items()]
    code = (
        "import sys; from odflow.cli import main; "
        f"code = main(['odapi.import-checkpoint', *{flags!r}, '--out', {str(tmp_path / 'out')!r}]); "
        "assert code == 2, code; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
