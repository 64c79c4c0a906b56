"""Which evaluation was the best, and how often nothing got better."""

import json

import pytest

pytest.importorskip("tensorflow")
from odflow.training.architecture import Goal
from odflow.training.loop.history import History
from odflow.training.settings import Plateau


def history(tmp_path, values, *, rises):
    found = History(tmp_path / "evaluations.json", Goal({"short": "metric"}, rises))
    for number, value in enumerate(values, 1):
        found.add(10 * number, {"metric": value})
    return found


@pytest.mark.parametrize(("rises", "best"), [(True, 30), (False, 20)])
def test_the_best_is_the_highest_or_the_lowest_and_the_first_of_equals(tmp_path, rises, best):
    found = history(tmp_path, [0.5, 0.1, 0.9, 0.1, 0.9, None], rises=rises)
    assert found.best == best
    assert found.waited(60) == (60 - best) // 10
    assert found.waited(best) == 0


def test_it_is_read_back_and_a_metric_that_is_nowhere_is_no_fault(tmp_path):
    history(tmp_path, [None, 0.25], rises=True)
    again = History(tmp_path / "evaluations.json", Goal({"short": "metric"}))
    assert 10 in again
    assert 30 not in again
    assert again.best == 20
    assert json.loads(again.file.read_text()) == {"10": {"metric": None}, "20": {"metric": 0.25}}


@pytest.mark.parametrize(
    ("values", "drops"),
    [
        ([3.0, 2.0, 1.0, 0.5], 0),
        ([1.0, 1.0, 1.0], 1),
        ([1.0, 2.0, 0.9, 2.0, 2.0], 1),
        ([1.0] * 5, 2),
        ([1.0, 2.0, 2.0, 0.5, 2.0, 2.0], 2),
        ([1.0, float("nan"), None], 1),
    ],
)
def test_the_rate_drops_each_time_that_the_patience_is_over(tmp_path, values, drops):
    found = history(tmp_path, values, rises=False)
    assert found.drops(10 * len(values), Plateau("metric", patience=2)) == drops
    assert found.drops(10, Plateau("metric", patience=2)) == 0


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "nonsense", "\0" * 40, '{"10": 3}', '{"x": {"metric": 1}}', '{"10": {"other": 1}}'),
        *('{"10": {"metric": []}}', '{"10": {"metric": "good"}}'),
    ],
)
def test_what_cannot_be_understood_is_begun_anew(tmp_path, text):
    (tmp_path / "evaluations.json").write_text(text)
    found = History(tmp_path / "evaluations.json", Goal({"short": "metric"}))
    assert found.damaged
    assert found.best is None
    found.add(20, {"metric": 0.5})
    again = History(tmp_path / "evaluations.json", Goal({"short": "metric"}))
    assert (again.best, again.damaged) == (20, False)


def test_what_is_no_number_is_read_back(tmp_path):
    history(tmp_path, [float("nan"), float("inf"), 0.5], rises=True)
    again = History(tmp_path / "evaluations.json", Goal({"short": "metric"}))
    assert list(again) == [10, 20, 30]


def test_evaluations_without_their_weights_count_and_are_not_the_best(tmp_path):
    found = history(tmp_path, [0.5, 0.9, 0.1, 0.2], rises=True)
    found.keep_only([30, 40])
    assert found.best == 40
    assert found.waited(40) == 2
    found.keep_only([])
    assert found.best is None
    assert (20 in found, found.waited(40)) == (False, 2)
    found.add(50, {"metric": 0.3})
    assert (found.best, found.waited(50)) == (50, 3)
