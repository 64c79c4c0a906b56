"""pipeline.config: what is read, what is refused and how, what is listed."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odflow.errors import ConfigError
from odflow.formats.prototext import Entry, parse
from odflow.odapi.pipeline_config import (
    pipeline_config_text,
    read_pipeline_config,
    set_fields,
    unfilled_paths,
)
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig

SMALL = """model {
  ssd {
    num_classes: 3  # a comment
    feature_extractor { type: 'ssd_mobilenet_v2_fpn_keras' }
    anchor_generator { multiscale_anchor_generator { aspect_ratios: [1.0, 2.0] } }
  }
}
train_config: {
  data_augmentation_options { random_horizontal_flip { } };
  data_augmentation_options { random_crop_image { min_area: .5 } }
  fine_tune_checkpoint: "PATH_TO_BE_"
                        "CONFIGURED/ckpt"
}
eval_config { super_categories { key: "a" value: "b,c" } }
eval_input_reader < tf_record_input_reader { input_path: "x" input_path: "PATH_TO_BE_CONFIGURED" } >
"""


def read(folder: Path, text: str | bytes) -> TrainEvalPipelineConfig:
    path = folder / "pipeline.config"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return read_pipeline_config(path)


def refused(folder: Path, text: str | bytes) -> list[str]:
    """The lines of the error, without the folder."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def real_configs(shared: Path) -> list[Path]:
    return sorted([*shared.glob("odapi/configs/*.config"), *shared.glob("models/*/pipeline.config")])


def test_real_configs_are_read_as_protobuf_reads_them_and_come_back_equal(
    shared: Path, tmp_path: Path
) -> None:
    configs = real_configs(shared)
    assert len(configs) >= 42
    for path in configs:
        config = read_pipeline_config(path)
        assert config == text_format.Parse(path.read_text(encoding="utf-8"), TrainEvalPipelineConfig()), path
        text = pipeline_config_text(config)
        assert read(tmp_path, text) == config, path
        assert pipeline_config_text(read(tmp_path, text)) == text, path


def test_every_field_that_a_real_config_writes_is_listed(shared: Path) -> None:
    for path in real_configs(shared):
        listed = set_fields(read_pipeline_config(path))
        assert len(set(listed)) == len(listed)
        written = {re.sub(r"\.(key|value)$", "", name) for name in names_in(parse(path, path.read_text()))}
        assert {re.sub(r"\[\d+\]", "", name) for name in listed} == written, path


def names_in(entries: list[Entry], place: str = "") -> Iterator[str]:
    """The dotted paths of what a text sets, by the text alone."""
    for entry in entries:
        if entry.value and not isinstance(entry.value, str):
            yield from names_in(entry.value, f"{place}{entry.name}.")
        else:
            yield place + entry.name


def test_set_fields(tmp_path: Path) -> None:
    assert set_fields(read(tmp_path, SMALL)) == [
        "model.ssd.num_classes",
        "model.ssd.feature_extractor.type",
        "model.ssd.anchor_generator.multiscale_anchor_generator.aspect_ratios",
        "train_config.data_augmentation_options[0].random_horizontal_flip",
        "train_config.data_augmentation_options[1].random_crop_image.min_area",
        "train_config.fine_tune_checkpoint",
        "eval_config.super_categories",
        "eval_input_reader[0].tf_record_input_reader.input_path",
    ]
    assert set_fields(TrainEvalPipelineConfig()) == []


def test_unfilled_paths(tmp_path: Path) -> None:
    assert unfilled_paths(read(tmp_path, SMALL)) == [
        "train_config.fine_tune_checkpoint",
        "eval_input_reader[0].tf_record_input_reader.input_path[1]",
    ]


def test_unfilled_paths_of_the_real_configs_are_all_there_are(shared: Path) -> None:
    for path in real_configs(shared):
        rows = [row for row in path.read_text().splitlines() if not row.lstrip().startswith("#")]
        assert len(unfilled_paths(read_pipeline_config(path))) == sum("PATH_TO_BE" in row for row in rows), (
            path
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "model {\n  ssd {\n    num_clases: 3 } }",
            '3: field "num_clases" is unknown in model.ssd. Did you mean "num_classes"?',
        ),
        (
            "train_confg { }",
            '1: field "train_confg" is unknown in a pipeline.config. Did you mean "train_config"?',
        ),
        (
            "train_config {\n data_augmentation_options { random_crop_image { min_aera: 1 } } }",
            '2: field "min_aera" is unknown in train_config.data_augmentation_options.random_crop_image.'
            ' Did you mean "min_area"?',
        ),
        (
            'eval_config { super_categories { key: "a"\nvalu: "b" } }',
            '2: field "valu" is unknown in eval_config.super_categories. Did you mean "value"?',
        ),
        (
            "model { ssd { post_processing {\n score_converter: SIGMOD } } }",
            '2: model.ssd.post_processing.score_converter is "SIGMOD";'
            ' wanted: one of IDENTITY, SIGMOID, SOFTMAX. Did you mean "SIGMOID"?',
        ),
        (
            "model { ssd { num_classes: many } }",
            '1: model.ssd.num_classes is "many"; wanted: a whole number.',
        ),
        ("model { ssd { num_classes: 1.5 } }", '1: model.ssd.num_classes is "1.5"; wanted: a whole number.'),
        (
            "model { ssd {\n num_classes: 9999999999 } }",
            '2: model.ssd.num_classes is "9999999999"; wanted: a whole number from -2147483648 to '
            "2147483647.",
        ),
        (
            "train_config { batch_size: -1 }",
            '1: train_config.batch_size is "-1"; wanted: a whole number, 0 or more.',
        ),
        (
            "model { ssd { freeze_batchnorm: yes } }",
            '1: model.ssd.freeze_batchnorm is "yes"; wanted: true or false.',
        ),
        (
            'model { ssd {\n num_classes: "90" } }',
            '2: model.ssd.num_classes is "90", in quotes; wanted: a whole number, without them.',
        ),
        (
            "model { ssd { feature_extractor {\n type: ssd } } }",
            "2: model.ssd.feature_extractor.type is ssd; wanted: text in quotes.",
        ),
        (
            "model: 3",
            '1: model is "3"; wanted: a message { } with faster_rcnn, ssd, experimental_model, center_net.',
        ),
        (
            "train_config { num_steps { } }",
            "1: train_config.num_steps is a message { }; wanted: a whole number, 0 or more.",
        ),
        (
            "train_config {\n num_steps: 1\n num_steps: 2 }",
            "3: train_config.num_steps is set, but line 2 has set num_steps. Keep one of them.",
        ),
        (
            "model {\n ssd { }\n center_net { } }",
            "3: model.center_net is set, but line 2 has set ssd. Keep one of them.",
        ),
        (
            "model {\n ssd {",
            '2: ssd begins here and has no closing "}" (nor has model of line 1); the file ends in line 2. '
            "Add it.",
        ),
        ("model { ssd { num_classes 3 } }", '1: found "3", wanted ":" after num_classes.'),
        (b"# fine\nmodel { } # \xff", "2: found byte 0xff, wanted UTF-8 text. Save the file as UTF-8."),
        (
            "train_config { batch_size: 4294967296 }",
            '1: train_config.batch_size is "4294967296"; wanted: a whole number from 0 to 4294967295.',
        ),
        (
            "model { ssd {\n num_classes: -3000000000 } }",
            '2: model.ssd.num_classes is "-3000000000"; wanted: a whole number from -2147483648 to '
            "2147483647.",
        ),
        (
            "train_config { bias_grad_multiplier: 1e39 }",
            '1: train_config.bias_grad_multiplier is "1e39"; wanted: a number of at most 3.4e38.',
        ),
        (
            "train_config { optimizer { } }\ntrain_config { }",
            "2: train_config is set, but line 1 has set train_config. Keep one of them.",
        ),
        (
            "model { ssd {\n  num_classes:\n  image_resizer { } } }",
            "2: model.ssd.num_classes has no value. Write one after num_classes:, or remove the field.",
        ),
        (
            "model { ssd { num_classes: } }",
            '1: model.ssd.num_classes has no value (found "}"). Write one after num_classes:, or remove the '
            "field.",
        ),
        (
            "train_input_reader {\n label_map_path:\n tf_record_input_reader { } }",
            "2: train_input_reader.label_map_path has no value. Write one after label_map_path:, or remove "
            "the field.",
        ),
        (
            "model {\n ssd {\n  num_classes: 1\n  image_resizer {\n }\n}\ntrain_config { }\n",
            '4: image_resizer begins here and has no closing "}"; the file ends in line 8. Add it.',
        ),
        (
            "train_config {\n optimizer {\n }\n}\n}\n",
            '5: found "}" that closes nothing: train_config of line 1 is closed in line 4 already. Remove '
            'one "}".',
        ),
        (
            "train_config { optimizer {\n momentum_optimizer { }\n batch_size: 2 } }",
            '3: field "batch_size" is unknown in train_config.optimizer. train_config has it: is a } missing '
            "that closes optimizer (line 1)?",
        ),
        (
            "model { ssd {\n eval_config { } } }",
            '2: field "eval_config" is unknown in model.ssd. The config itself has it: is a } missing that '
            "closes ssd (line 1)?",
        ),
        (
            "train_config {\n optimizer { } }\n num_steps: 3",
            '3: field "num_steps" is unknown in a pipeline.config. train_config has it, and is closed in '
            "line 2: is that } one too many?",
        ),
        (
            "train_config {\n batch_size: 8/gpu }",
            '2: train_config.batch_size is "8/gpu"; wanted: a whole number, 0 or more.',
        ),
        (
            "train_config {\n sync_replicas: true/false }",
            '2: train_config.sync_replicas is "true/false"; wanted: true or false.',
        ),
        (
            "train_config {\n fine_tune_checkpoint: 8/gpu }",
            "2: train_config.fine_tune_checkpoint is 8/gpu; wanted: a number, or text in quotes. Write "
            '"8/gpu".',
        ),
        (
            "train_config {\n batch_size: \uf7c3x }",
            r'2: train_config.batch_size is "\uf7c3x"; wanted: a whole number, 0 or more.',
        ),
        ("", " is empty. Give a pipeline.config."),
        ("\n  \n", " is empty. Give a pipeline.config."),
        ('{"model": {}}', "1: begins with {, as JSON does; wanted: protobuf text."),
        (
            "<!DOCTYPE html>",
            " is a web page, not the file itself; wanted: a pipeline.config. Download the file again (from "
            "GitHub: its raw form).",
        ),
        (
            "version https://git-lfs.github.com/spec/v1",
            " is a Git LFS pointer, not the file itself; wanted: a pipeline.config. Run git lfs pull.",
        ),
        ("model {" * 9999, " its messages are nested too deeply to be read."),
    ],
)
def test_refused(text: str | bytes, message: str, tmp_path: Path) -> None:
    assert refused(tmp_path, text) == [f"pipeline.config:{message}"]


WINDOWS = {
    r"C:\Users\me\x.record": r"\U is no escape (8 hexadecimal digits must follow)",
    r"D:\xml\new.record": r"\x is no escape (1 or 2 hexadecimal digits must follow)",
    r"data\users\x": r"\u is no escape (4 hexadecimal digits must follow)",
    r"a\UFFFFFFFF": r"\UFFFFFFFF is no character",
    r"D:\2019\x": r"\x is no escape (1 or 2 hexadecimal digits must follow)",
    r"data\train.record": r"\t stands for a tab",
    r"pre\new": r"\n stands for a line end",
    r"C:\1": r"\1 stands for the control character 0x01",
    r"C:\video": r"\v stands for the control character 0x0b",
    r"C:\100": r'\100 stands for "@"',
    r"training\map": r"\m is no escape",
    "a\tb": "it holds a tab",
}
TEXTS = {
    "train_config.fine_tune_checkpoint": 'train_config {{\n fine_tune_checkpoint: "{}" }}',
    "train_input_reader.label_map_path": 'train_input_reader {{ shuffle: true\n label_map_path: "{}" }}',
    "eval_input_reader.tf_record_input_reader.input_path": (
        'eval_input_reader {{ tf_record_input_reader {{ input_path: "a"\n input_path: "{}" }} }}'
    ),
    "train_config.freeze_variables": 'train_config {{ freeze_variables: "a"\n freeze_variables: ["{}"] }}',
    "model.ssd.feature_extractor.type": "model {{ ssd {{ feature_extractor {{\n type: '{}' }} }} }}",
}


@pytest.mark.parametrize("path", TEXTS)
@pytest.mark.parametrize("written", WINDOWS)
def test_a_path_of_windows_is_told_with_line_and_field(written: str, path: str, tmp_path: Path) -> None:
    if "freeze" in path and WINDOWS[written].startswith(r"\m "):
        read(tmp_path, TEXTS[path].format(written))  # a regular expression may hold it
        return
    (line,) = refused(tmp_path, TEXTS[path].format(written))
    assert line.startswith(f"pipeline.config:2: {path}: {WINDOWS[written]}. ")
    assert line.isprintable()
    if "\\" in written:
        slashes, doubled = written.replace("\\", "/"), written.replace("\\", "\\\\")
        assert line.endswith(f'A backslash begins an escape: write "{slashes}" or "{doubled}".')
        assert read(tmp_path, TEXTS[path].format(slashes))
        assert read(tmp_path, TEXTS[path].format(doubled))


def test_a_regular_expression_keeps_its_backslashes_as_in_protobuf(tmp_path: Path) -> None:
    config = read(tmp_path, r'train_config { freeze_variables: "Conv\d+\.\w+" }')
    assert list(config.train_config.freeze_variables) == [r"Conv\d+\.\w+"]
    (line,) = refused(tmp_path, r'train_config { freeze_variables: "\bConv" }')
    assert r"train_config.freeze_variables: \b stands for the control character 0x08. A backslash" in line


def test_all_problems_are_named_together(tmp_path: Path) -> None:
    text = "model { ssd {\n num_clases: 3\n freeze_batchnorm: 7 } }\ntrain { }"
    assert [line.split(":")[1] for line in refused(tmp_path, text)] == ["2", "3", "4"]


def test_every_misspelt_field_of_a_real_config_is_found_where_it_stands(shared: Path, tmp_path: Path) -> None:
    path = shared / "odapi" / "configs" / "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
    rows = path.read_text().splitlines()
    names = [(at, row) for at, row in enumerate(rows) if row.lstrip()[:1].isalpha()]
    assert len(names) > 100
    for at, row in names:
        name = row.strip().split(":")[0].split()[0]
        misspelt = row.replace(name, f"{name}z", 1)
        lines = refused(tmp_path, "\n".join([*rows[:at], misspelt, *rows[at + 1 :]]))
        assert len(lines) == 1
        assert lines[0].startswith(f'pipeline.config:{at + 1}: field "{name}z" is unknown in ')
        assert lines[0].endswith(f' Did you mean "{name}"?')


def blocks(entries: list[Entry]) -> Iterator[tuple[int, int]]:
    """First and last line of each message that is closed in a line of its own."""
    for entry in entries:
        if isinstance(entry.value, list):
            yield entry.line, entry.end
            yield from blocks(entry.value)


def blamed(file: Path, tmp_path: Path) -> list[bool]:
    """Whether the line of a message is named when its bracket is taken away, for each of a config."""
    rows = file.read_text(encoding="utf-8").splitlines()
    found = []
    for first, last in blocks(parse(file, file.read_text(encoding="utf-8"))):
        if rows[last - 1].strip() == "}":
            without = "\n".join([*rows[: last - 1], rows[last - 1].replace("}", ""), *rows[last:]])
            found.append([line.split(":")[1] for line in refused(tmp_path, without)] == [str(first)])
    return found


def test_whichever_bracket_is_missing_the_message_is_named_that_lacks_it(
    project: Path, tmp_path: Path
) -> None:
    found = blamed(project / "pipelines/retrain.config", tmp_path)
    assert len(found) > 10
    assert all(found)


@pytest.mark.slow
def test_brackets_missing_in_the_samples_are_named_nearly_always(shared: Path, tmp_path: Path) -> None:
    found = [
        one for file in sorted(shared.glob("odapi/configs/*.config"))[::4] for one in blamed(file, tmp_path)
    ]
    assert sum(found) / len(found) > 0.97  # else the lines are indented as if others were


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_pipeline_config(tmp_path / "none.config")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_pipeline_config(tmp_path)


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbf" + SMALL.encode()) == read(tmp_path, SMALL)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_config_is_read_or_refused_in_lines(data: st.DataObject, tmp_path: Path) -> None:
    start = data.draw(st.integers(0, len(SMALL)))
    length = data.draw(st.integers(0, 20))
    damage = data.draw(st.one_of(st.text(max_size=8), st.text("{}<>[]:;,\"'\\#x0-.u ", max_size=8)))
    text = (SMALL[:start] + damage + SMALL[start + length :]).encode("utf-8", "surrogatepass")
    said = ""
    try:
        config = read(tmp_path, text)
    except ConfigError as error:
        said = str(error)
    if said:
        assert all(line.startswith(f"{tmp_path}/pipeline.config:") for line in said.split("\n"))
    else:
        assert read(tmp_path, pipeline_config_text(config)) == config
