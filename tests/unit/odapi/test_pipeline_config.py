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
            '2: model.ssd.num_classes is "9999999999"; wanted: a whole number.',
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
        ("model {\n ssd {", '2: found the end of the file, wanted a field name or "}".'),
        ("model { ssd { num_classes 3 } }", '1: found "3", wanted ":" after num_classes.'),
        (b"# fine\nmodel { } # \xff", "2: found byte 0xff, wanted UTF-8 text. Save the file as UTF-8."),
        ("model {" * 9999, " its messages are nested too deeply to be read."),
    ],
)
def test_refused(text: str | bytes, message: str, tmp_path: Path) -> None:
    assert refused(tmp_path, text) == [f"pipeline.config:{message}"]


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
