"""Inputs that people have: label maps and configs as they are written, with their mistakes."""

import json
from pathlib import Path

import pytest

from odflow.cli import main
from odflow.errors import ConfigError
from odflow.formats.label_map import read_label_map
from odflow.odapi.pipeline_config import read_pipeline_config
from odflow.training.trained_folder import Imported
from odflow.training.translation import translate

READERS = "train_input_reader", "eval_input_reader"


@pytest.fixture
def cases(shared: Path) -> Path:
    """The folder of cases."""
    folder = shared / "cases"
    if not folder.is_dir():
        pytest.skip("needs the folder of cases beside the project")
    return folder


@pytest.fixture
def translated(cases: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Translates a config of a case: the exit code, and the lines on standard error without the folder."""

    def translate(case: str, config: str = "pipeline.config") -> tuple[int, list[str]]:
        (folder,) = cases.glob(f"{case}-*")
        out = tmp_path / "out"
        code = main(["odapi.translate", "--pipeline-config", str(folder / config), "--out", str(out)])
        told = capsys.readouterr().err.replace(f"{folder}/", "").splitlines()
        return code, [line.removeprefix("odapi.translate: --pipeline-config: ") for line in told]

    return translate


def advised(slashes: str) -> str:
    doubled = slashes.replace("/", r"\\")
    return f'A backslash begins an escape: write "{slashes}" or "{doubled}".'


HEX = "is no escape (8 hexadecimal digits must follow)"
RECORDS = "tf_record_input_reader.input_path"
B13 = {
    "win_single": (READERS, (100, 108), RECORDS, rf"\U {HEX}", "C:/Users/me/data/train.record"),
    "win_U": (READERS, (100, 108), RECORDS, rf"\U {HEX}", "D:/data/Users/x.record"),
    "win_tab": (READERS, (100, 108), RECORDS, r"\t stands for a tab", "data/train.record"),
    "win_lm": (READERS, (99, 107), "label_map_path", r"\o is no escape", "training/object_detection.pbtxt"),
    "win_ckpt": (
        ("train_config",),
        (77,),
        "fine_tune_checkpoint",
        r"\t stands for a tab",
        "C:/tensorflow1/models/ssd/model.ckpt",
    ),
    "win_ckpt2": (
        ("train_config",),
        (77,),
        "fine_tune_checkpoint",
        r"\n stands for a line end",
        "pre/new/model.ckpt",
    ),
}


@pytest.mark.parametrize("config", B13)
def test_cases_b13_paths_of_windows(translated, config):
    messages, lines, field, fault, slashes = B13[config]
    expected = [
        f"{config}.config:{line}: {message}.{field}: {fault}. {advised(slashes)}"
        for message, line in zip(messages, lines, strict=True)
    ]
    assert translated("b13", f"{config}.config") == (2, expected)


def test_cases_b13_a_path_without_quotes(translated):
    told = 'is D:/data/train.record; wanted: text in quotes. Write "D:/data/train.record".'
    expected = [
        f"unquoted.config:{line}: {reader}.{RECORDS} {told}"
        for reader, line in zip(READERS, (100, 108), strict=True)
    ]
    assert translated("b13", "unquoted.config") == (2, expected)


def test_cases_b13_a_missing_brace(translated):
    message = 'train_input_reader begins here and has no closing "}"; the file ends in line 109. Add it.'
    assert translated("b13", "nobrace.config") == (2, [f"nobrace.config:97: {message}"])


def test_cases_h33_a_label_map_with_a_backslash(cases):
    file = cases / "h33-prototext-backslash-u/label_map.pbtxt"
    message = rf"{file}:3: item.name: \u is no escape (4 hexadecimal digits must follow). {advised('/unit')}"
    with pytest.raises(ConfigError) as error:
        read_label_map(file)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("config", "fault", "slashes"),
    [
        ("users", rf"\U {HEX}", "C:/Users/me/label_map.pbtxt"),
        ("overflow", r"\UFFFFFFFF is no character", "a/UFFFFFFFF"),
        ("xml", r"\x is no escape (1 or 2 hexadecimal digits must follow)", "D:/xml/new/train.pbtxt"),
    ],
)
def test_cases_h34_paths_of_windows(translated, config, fault, slashes):
    message = f"{config}.config:18: train_input_reader.label_map_path: {fault}. {advised(slashes)}"
    assert translated("h34", f"{config}.config") == (2, [message])


def test_cases_h35_a_value_left_blank(translated):
    message = "model.ssd.num_classes has no value. Write one after num_classes:, or remove the field."
    assert translated("h35") == (2, [f"pipeline.config:2: {message}"])


def test_cases_h26_averages_that_no_evaluation_uses(translated, tmp_path):
    assert translated("h26")[0] == 0
    experiment = json.loads((tmp_path / "out/experiment.json").read_text())
    assert experiment["training"]["optimizer"]["average_decay"] == 0.0
    rows = {row["field"]: row for row in json.loads((tmp_path / "out/translation.json").read_text())}
    assert rows["eval_config.use_moving_averages"]["state"] == "honoured"
    assert "no average is used" in rows["train_config.optimizer.use_moving_average"]["remark"]


def test_cases_h29_a_cosine_that_only_warms_up(translated, tmp_path):
    assert translated("h29")[0] == 0
    rate = json.loads((tmp_path / "out/experiment.json").read_text())["training"]["optimizer"][
        "learning_rate"
    ]
    assert (rate["total_steps"], rate["warmup_steps"]) == (2000, 2000)


def test_cases_h30_only_training_asks_for_proposals(cases, translated):
    code, told = translated("h30")
    message = "second_stage_batch_size is 64; wanted: at most first_stage_max_proposals, 20."
    assert code == 0
    assert f"{message} Only the stage train asks for this, and refuses it." in told[0]
    config = cases / "h30-config-low-proposals/pipeline.config"
    with pytest.raises(ConfigError, match="second_stage_batch_size is 64"):
        translate(read_pipeline_config(config), str(config))
    label_map = cases / "b13-config-windows-paths/lm.pbtxt"
    assert Imported(config, label_map).settings().model.first.suppression.max_total == 20
