import json

import pytest

from odflow.errors import ConfigError
from odflow.odapi.coverage_report import CoverageReport
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig
from odflow.odapi.section import Coverage, Section


@pytest.fixture
def report():
    config = TrainEvalPipelineConfig()
    config.train_config.batch_size = 4
    config.train_config.num_steps = 5
    config.train_config.use_bfloat16 = True
    config.eval_config.max_evals = 3
    coverage = Coverage("pets.config")
    train = Section(config.train_config, "train_config", coverage)
    assert train["batch_size"] == 4
    train.approximate("num_steps", "odd | steps <b>")
    train.unsupported("use_bfloat16", "float32 alone")
    Section(config, "", coverage).skip("eval_config", "the evaluate stage decides this")
    return CoverageReport.of(config, coverage)


def test_every_set_field_is_counted_once(report):
    assert report.summary() == "4 fields: 1 honoured, 1 approximated, 1 not applicable, 1 unsupported"
    assert [path for path, _ in report.loose()] == [
        "train_config.num_steps",
        "train_config.use_bfloat16",
    ]


def test_strict_names_what_is_approximated_or_unsupported(report):
    with pytest.raises(ConfigError) as error:
        report.check_strict()
    first, second, advice = str(error.value).splitlines()
    assert first == "pets.config: train_config.num_steps is approximated: odd | steps <b>."
    assert second == "pets.config: train_config.use_bfloat16 is unsupported: float32 alone."
    assert "strict" in advice


def test_strict_has_nothing_against_what_does_not_apply(report):
    kept = [row for row in report.rows if row[1].state in ("honoured", "not applicable")]
    CoverageReport(report.source, kept).check_strict()


def test_the_table_is_written_whole(report):
    assert json.loads(report.to_json())[1] == {
        "field": "train_config.num_steps",
        "state": "approximated",
        "remark": "odd | steps <b>",
    }
    page = report.to_markdown()
    assert "| `train_config.num_steps` | approximated | odd \\| steps &lt;b> |" in page
    assert page.index("use_bfloat16") < page.index("num_steps") < page.index("batch_size")
