import math

import pytest

from odflow.training.settings import LearningRate

tf = pytest.importorskip("tensorflow")


def rate(settings, step):
    from odflow.training.loop.learning_rate import Schedule

    return float(Schedule(settings)(tf.constant(step, tf.int64)))


def test_cosine_warms_up_holds_and_falls_to_nothing():
    settings = LearningRate(
        "cosine", 0.08, total_steps=1000, warmup_rate=0.02, warmup_steps=100, hold_steps=50
    )
    assert rate(settings, 0) == pytest.approx(0.02)
    assert rate(settings, 50) == pytest.approx(0.05)
    assert rate(settings, 100) == pytest.approx(0.08)
    assert rate(settings, 149) == pytest.approx(0.08)
    for step in (150, 400, 575, 999):
        expected = 0.04 * (1 + math.cos(math.pi * (step - 150) / 850))
        assert rate(settings, step) == pytest.approx(expected, abs=1e-7)
    assert rate(settings, 1001) == 0.0


@pytest.mark.parametrize(
    ("total", "warmup", "hold", "rates"),
    [
        (100, 100, 0, {0: 0.01, 50: 0.045, 99: 0.0793, 100: 0.08, 101: 0.0}),
        (100, 80, 40, {80: 0.08, 100: 0.08, 101: 0.0, 121: 0.0}),
        (100, 100, 5, {99: 0.0793, 100: 0.08, 101: 0.0}),
        (100, 60, 40, {60: 0.08, 100: 0.08, 101: 0.0}),
        (100, 99, 0, {99: 0.08, 100: 0.0}),
        (1, 1, 0, {0: 0.01, 1: 0.08, 2: 0.0}),
        (1, 0, 0, {0: 0.08, 1: 0.0}),
    ],
)
def test_cosine_may_end_before_it_falls(total, warmup, hold, rates):
    settings = LearningRate(
        "cosine", 0.08, total_steps=total, warmup_rate=0.01, warmup_steps=warmup, hold_steps=hold
    )
    assert {step: rate(settings, step) for step in rates} == pytest.approx(rates, abs=1e-7)


def test_exponential_decays_in_whole_steps_after_the_burn_in():
    settings = LearningRate(
        "exponential",
        0.1,
        warmup_rate=0.01,
        warmup_steps=10,
        decay_steps=100,
        decay_factor=0.5,
        staircase=True,
        least=0.01,
    )
    assert rate(settings, 5) == pytest.approx(0.01)
    assert rate(settings, 109) == pytest.approx(0.1)
    assert rate(settings, 110) == pytest.approx(0.05)
    assert rate(settings, 100_000) == pytest.approx(0.01)


def test_the_least_rate_holds_for_the_burn_in_too():
    settings = LearningRate("exponential", 0.1, warmup_rate=0.001, warmup_steps=10, least=0.02)
    assert rate(settings, 5) == pytest.approx(0.02)


def test_exponential_without_staircase_decays_all_the_time():
    settings = LearningRate("exponential", 0.1, decay_steps=100, decay_factor=0.5, staircase=False)
    assert rate(settings, 50) == pytest.approx(0.1 * 0.5**0.5)


def test_manual_steps_hold_from_their_boundary_on():
    settings = LearningRate("manual_step", 0.1, boundaries=(10, 20), rates=(0.01, 0.001))
    assert [rate(settings, step) for step in (0, 9, 10, 19, 20, 99)] == pytest.approx(
        [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]
    )


def test_manual_steps_can_warm_up_to_the_first_boundary():
    settings = LearningRate("manual_step", 0.0, boundaries=(10, 20), rates=(0.1, 0.01), warmup=True)
    assert [rate(settings, step) for step in (0, 5, 10, 20)] == pytest.approx([0.0, 0.05, 0.1, 0.01])
