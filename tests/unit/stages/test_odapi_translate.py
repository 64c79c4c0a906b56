"""What odapi.translate writes and refuses; what becomes of single fields is tested in training/."""

import importlib.util
import json
import subprocess
import sys

import pytest

from odflow.errors import ConfigError
from odflow.graph.execute import run_alone
from odflow.stages.odapi_translate import Translate


@pytest.fixture
def config(project):
    return project / "pipelines/retrain.config"


def test_the_experiment_and_the_table_are_written(config, tmp_path):
    job = run_alone(Translate(pipeline_config=config), tmp_path)
    experiment = json.loads((tmp_path / "experiment.json").read_text())
    assert experiment["architecture"] == "ssd"
    assert experiment["training"]["batch_size"] == 8
    rows = json.loads((tmp_path / "translation.json").read_text())
    assert "model.ssd.num_classes" in [row["field"] for row in rows]
    assert job.said[0].startswith(f"{len(rows)} fields: ")
    assert f"{len(rows)} fields: " in (tmp_path / "translation.md").read_text()


def test_fields_are_set_by_their_path_first(config, tmp_path):
    stage = Translate(
        pipeline_config=config, set={"train_config.batch_size": 3, "model.ssd.num_classes": "5"}
    )
    run_alone(stage, tmp_path)
    experiment = json.loads((tmp_path / "experiment.json").read_text())
    assert experiment["training"]["batch_size"] == 3
    assert experiment["model"]["num_classes"] == 5


def test_strict_leaves_nothing_behind(config, tmp_path):
    change = {"train_config.data_augmentation_options[2]": "{ random_jitter_boxes {} }"}
    run_alone(Translate(pipeline_config=config, set=change), tmp_path / "loose")
    with pytest.raises(ConfigError, match="random_jitter_boxes is unsupported"):
        run_alone(Translate(pipeline_config=config, set=change, strict=True), tmp_path / "strict")
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("graph_rewriter", "{ quantization {} }", "tflite_int8"),
        ("train_input_reader.load_context_features", "true", "load_context_features is true"),
        ("train_input_reader.input_type", "TF_SEQUENCE_EXAMPLE", "one image a record"),
        ("train_config.fine_tune_checkpoint_type", "all", "classification, detection or full"),
        ("model.experimental_model", "{ name: 'x' }", "experimental_model"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_what_would(config, tmp_path, path, value, message):
    with pytest.raises(ConfigError, match=message):
        run_alone(Translate(pipeline_config=config, set={path: value}), tmp_path / "out")


def test_it_needs_no_tensorflow(config, tmp_path):
    words = ["odapi.translate", "--pipeline-config", str(config), "--out", str(tmp_path)]
    code = (
        "import sys; from odflow.cli import main; "
        f"assert main({words!r}) == 0; "
        "assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_page_of_the_sample_configs_is_current(project, shared):
    script = project / "docs/sample_configs.py"
    spec = importlib.util.spec_from_file_location("sample_configs", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page(shared / "odapi/configs") == (project / "docs/sample-configs.md").read_text(), (
        "run python docs/sample_configs.py FOLDER > docs/sample-configs.md"
    )
