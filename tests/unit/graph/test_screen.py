"""Lines and bars of stages that run elsewhere."""

import logging

import pytest

from odflow.graph.screen import Screen


def test_bars_are_drawn_and_taken_away(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.hear("one", {"bar": [0, 0, 10, "image", ""]})
    screen.hear("two", {"bar": [0, 2, 4, "step", "loss=0.5"]})
    drawn = capsys.readouterr().err
    assert "one:   0%" in drawn
    assert "0/10" in drawn
    assert "two:  50%" in drawn
    assert "2/4" in drawn
    screen.hear("one", {"bar": [0, None, None, "", ""]})
    screen.forget("two")
    capsys.readouterr()
    screen.hear("two", {"say": "done"})
    told = capsys.readouterr()
    assert (told.out, told.err) == ("two: done\n", ""), "no bar is drawn again beside it"


def test_a_line_stands_alone_beside_a_bar(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    screen = Screen()
    screen.hear("one", {"bar": [0, 3, 10, "image", ""]})
    capsys.readouterr()
    screen.hear("two", {"say": "a result"})
    told = capsys.readouterr()
    assert told.out == "two: a result\n"
    assert told.err.startswith("\r"), "the bar is wiped first"
    assert "3/10" in told.err, "and drawn again"
    screen.hear("two", {"log": [logging.WARNING, "100% odd"]})
    assert caplog.record_tuples == [("odflow.two", logging.WARNING, "100% odd")]
    screen.forget("one")
