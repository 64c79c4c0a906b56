"""What odapi.translate writes and refuses; what becomes of single fields is tested in training/."""

import importlib.util
import json
import subprocess
import sys

import pytest

from odflow.errors import ConfigError
from odflow.graph.execute import run_alone
from odflow.odapi.assignment import set_field
from odflow.odapi.pipeline_config import read_pipeline_config
from odflow.stages.odapi_translate import Translate
from odflow.training.translation import translate


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


UNTRAINABLE = {
    "an optimizer": ("train_config.optimizer", "{ }", "train_config.optimizer.optimizer is not set"),
    "a schedule": (
        "train_config.optimizer",
        "{ momentum_optimizer { learning_rate { cosine_decay_learning_rate { total_steps: 5 warmup_steps: 6 "
        "} } } }",
        "total_steps is 5; wanted: at least 6, the steps of the warm-up",
    ),
    "a batch": ("train_config.batch_size", 0, "train_config.batch_size is 0; wanted: at least 1"),
    "readers": ("train_input_reader.num_readers", 0, "train_input_reader.num_readers is 0"),
    "boxes": ("train_input_reader.max_number_of_boxes", 0, "max_number_of_boxes is 0"),
    "a loss": ("model.ssd.loss.localization_loss", "{ }", "localization_loss is not set; wanted: l1"),
    "classes' loss": ("model.ssd.loss.classification_loss", "{ }", "classification_loss is not set"),
    "thresholds": (
        "model.ssd.matcher.argmax_matcher",
        "{ matched_threshold: 0.4 unmatched_threshold: 0.5 }",
        "unmatched_threshold is 0.5; wanted: at most matched_threshold",
    ),
}


@pytest.mark.parametrize("lacking", UNTRAINABLE)
def test_what_only_training_asks_for_is_told_and_is_no_error(config, tmp_path, caplog, lacking):
    path, value, message = UNTRAINABLE[lacking]
    stage = Translate(pipeline_config=config, set={path: value})
    with caplog.at_level("WARNING", "odflow"):
        run_alone(stage, tmp_path / "out")
    (line,) = [one for one in caplog.messages if "Only the stage train asks for this" in one]
    assert message in line
    experiment = json.loads((tmp_path / "out/experiment.json").read_text())
    assert experiment["training"] is None
    assert [message in one for one in experiment["untrainable"]] == [True]
    with pytest.raises(ConfigError) as error:
        trained(config, {path: value})
    assert message in str(error.value)
    assert trained(config, {path: value}, to_train=False)[1].untrainable == [str(error.value)]


def trained(config, change, **options):
    """Translates as the stages train (without options), import and export do."""
    read = read_pipeline_config(config)
    for path, value in change.items():
        set_field(read, path, value)
    return translate(read, "x.config", **options)


def test_all_that_keeps_a_config_from_training_is_told_together(config):
    change = {path: value for path, value, _ in UNTRAINABLE.values()}
    with pytest.raises(ConfigError) as error:
        trained(config, change)
    assert len(str(error.value).splitlines()) >= 6
    settings, coverage = trained(config, change, to_train=False)
    assert str(error.value).splitlines() == coverage.untrainable
    assert settings.model.num_classes == 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train_input_reader.load_context_features", "true"),
        ("train_input_reader.input_type", "TF_SEQUENCE_EXAMPLE"),
        ("train_config.fine_tune_checkpoint_type", "all"),
    ],
)
def test_an_import_asks_for_no_records_and_no_start(config, path, value):
    settings, coverage = trained(config, {path: value}, to_train=False, inputs=False)
    assert path in coverage.untrainable[0]
    assert settings.model == trained(config, {})[0].model


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
