"""Optimizers and schedules: what is read, and which verdict averages get."""

import pytest
from google.protobuf import text_format

from odflow.errors import ConfigError
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig
from odflow.odapi.section import HONOURED, NOT_APPLICABLE, Coverage, Section
from odflow.training.config.optimization import optimizer

CONSTANT = "momentum_optimizer { learning_rate { constant_learning_rate { learning_rate: 0.1 } } }"


def read(text, averages_used=False):
    config = text_format.Parse(f"train_config {{ optimizer {{ {text} }} }}", TrainEvalPipelineConfig())
    coverage = Coverage("x.config")
    return optimizer(Section(config.train_config, "train_config", coverage), averages_used), coverage


def cosine(fields):
    return f"momentum_optimizer {{ learning_rate {{ cosine_decay_learning_rate {{ {fields} }} }} }}"


@pytest.mark.parametrize(
    ("gathered", "used", "decay", "states"),
    [
        ("", True, 0.9999, (HONOURED, HONOURED)),  # true is the API's default
        ("use_moving_average: true moving_average_decay: 0.9", True, 0.9, (HONOURED, HONOURED)),
        ("use_moving_average: true moving_average_decay: 0.9", False, 0.0, (NOT_APPLICABLE, NOT_APPLICABLE)),
        ("", False, 0.0, (NOT_APPLICABLE, NOT_APPLICABLE)),
        ("use_moving_average: false moving_average_decay: 0.9", True, 0.0, (HONOURED, NOT_APPLICABLE)),
        ("use_moving_average: false", False, 0.0, (HONOURED, NOT_APPLICABLE)),
    ],
)
def test_averages_are_kept_where_they_are_used(gathered, used, decay, states):
    found, coverage = read(f"{CONSTANT} {gathered}", used)
    assert found.average_decay == pytest.approx(decay)
    paths = ("train_config.optimizer.use_moving_average", "train_config.optimizer.moving_average_decay")
    assert tuple(coverage.of(path).state for path in paths) == states


@pytest.mark.parametrize(
    ("fields", "steps"),
    [
        ("total_steps: 2000 warmup_steps: 2000", (2000, 2000, 0)),
        ("total_steps: 2000 warmup_steps: 1999", (2000, 1999, 0)),
        ("total_steps: 2000 warmup_steps: 1500 hold_base_rate_steps: 500", (2000, 1500, 500)),
        ("total_steps: 2000 warmup_steps: 1500 hold_base_rate_steps: 600", (2000, 1500, 600)),
        ("total_steps: 2000 warmup_steps: 2000 hold_base_rate_steps: 1", (2000, 2000, 1)),
        ("total_steps: 1 warmup_steps: 0", (1, 0, 0)),
    ],
)
def test_cosine_takes_what_the_api_takes(fields, steps):
    rate = read(cosine(fields))[0].learning_rate
    assert (rate.total_steps, rate.warmup_steps, rate.hold_steps) == steps


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("total_steps: 1999 warmup_steps: 2000", "total_steps is 1999; wanted: at least 2000, the steps of"),
        ("total_steps: 0 warmup_steps: 0", "total_steps is 0; wanted: at least 1"),
        ("total_steps: 1 warmup_steps: 2 hold_base_rate_steps: 9", "total_steps is 1; wanted: at least 2"),
    ],
)
def test_cosine_refuses_a_total_below_the_warm_up(fields, message):
    with pytest.raises(ConfigError, match=message):
        read(cosine(fields))
