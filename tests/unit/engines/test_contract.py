"""What every engine promises: the one of this machine, Ray, and a fake that works in this very process."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from pathlib import Path

import pytest

from odflow import errors
from odflow.errors import ConfigError, StageError
from odflow.graph import Job, Stage
from odflow.graph.stage import Needs
from odflow.graph.task import Engine, Message, Task

ELSEWHERE = ["local", pytest.param("ray", marks=pytest.mark.slow)]
"""Engines that run a stage in another process."""


def ignore(message: Message) -> None:
    """Nobody listens."""


@pytest.fixture(params=["here", *ELSEWHERE])
def engine(request, new_engine) -> Engine:
    """Each engine; the tests share one Ray."""
    return request.getfixturevalue("ray_of_two") if request.param == "ray" else new_engine(request.param)


@pytest.fixture(params=ELSEWHERE)
def far_engine(request, new_engine) -> Engine:
    """Each engine that runs a stage in another process."""
    return request.getfixturevalue("ray_of_two") if request.param == "ray" else new_engine(request.param)


@pytest.fixture(params=["here", *ELSEWHERE])
def own_engine(request, new_engine) -> Engine:
    """Each engine, for this test alone."""
    return new_engine(request.param)


@pytest.fixture(params=ELSEWHERE)
def own_far_engine(request, new_engine) -> Engine:
    """Each engine that runs a stage in another process, for this test alone."""
    return new_engine(request.param)


def test_outputs_are_there_and_lines_come_back(engine, task, stages, tmp_path):
    (tmp_path / "source.txt").write_text("some words\n")
    one = task(stages.Copy(source=tmp_path / "source.txt"))
    ended = engine.run(one, ignore)
    assert ended.error is None
    assert ended.said == ("11 bytes", "Grüße")
    assert (one.work / "text.txt").read_text() == "some words\n"
    assert (one.work / "folder/again.txt").read_text() == "some words\n"


def test_relative_paths_are_those_of_the_driver(engine, stages, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("source.txt").write_text("some words\n")
    Path("staging").mkdir()
    ended = engine.run(Task("it", stages.Copy(source=Path("source.txt")), Path("staging")), ignore)
    assert ended.error is None
    assert (tmp_path / "staging/work/text.txt").read_text() == "some words\n"


def test_messages_are_heard_in_order(engine, task, stages):
    heard: list[Message] = []
    assert engine.run(task(stages.Tell(), bars=True), heard.append).error is None
    told = [message for message in heard if "bar" not in message]
    expected = [
        {"say": f"said {number}"} if even else {"log": [logging.WARNING, f"remark {number}"]}
        for number in range(5)
        for even in (True, False)
    ]
    assert told == [*expected, {"log": [logging.INFO, "the end"]}]


def test_a_bar_is_heard_from_its_beginning_to_its_end(engine, task, stages):
    heard: list[Message] = []
    engine.run(task(stages.Tell(), bars=True), heard.append)
    bars = [message["bar"] for message in heard if "bar" in message]
    assert bars[0] == [0, 0, 3, "step", ""]
    assert bars[-1] == [0, None, None, "", ""]
    done = [bar[1] for bar in bars[:-1]]
    assert done == sorted(done)
    assert heard.index({"bar": bars[-1]}) < heard.index({"log": [logging.INFO, "the end"]})


def test_nobody_hears_of_bars_that_nobody_sees(engine, task, stages):
    heard: list[Message] = []
    engine.run(task(stages.Tell()), heard.append)
    assert not [message for message in heard if "bar" in message]


@pytest.mark.parametrize("kind", ["GateError", "ImageError"])
def test_an_error_comes_back_as_what_it_is(engine, task, stages, kind):
    error = engine.run(task(stages.Fail(error=kind)), ignore).error
    assert type(error) is getattr(errors, kind)
    assert str(error) == "a.txt: is 3.\nb.txt: must be 4."
    assert error.exit_code == getattr(errors, kind).exit_code


def test_an_unexpected_error_is_one_line(engine, task, stages):
    error = engine.run(task(stages.Unexpected()), ignore).error
    assert type(error) is StageError
    assert str(error) == r"unexpected KeyError: 'two\nlines' (--debug shows where)"


def test_a_stage_that_only_this_process_knows_is_one_clear_error(far_engine, task):
    class Hidden(Stage):
        """Nobody else can import it."""

        def run(self, job: Job) -> None:
            """Never called."""

    error = far_engine.run(task(Hidden()), ignore).error
    assert type(error) is ConfigError
    assert re.fullmatch(
        r"it: \S+<locals>.Hidden cannot be imported .* Install the same packages there.", str(error)
    )


def test_a_stage_that_resumes_finds_what_it_left(engine, task, stages):
    one = task(stages.Journey())
    assert str(engine.run(one, ignore).error) == "1 of 3 steps"
    assert str(engine.run(one, ignore).error) == "2 of 3 steps"
    assert engine.run(one, ignore).error is None
    assert (one.work / "text.txt").read_text() == "step\n" * 3


def test_two_stages_run_at_once(engine, task, stages, tmp_path):
    place = tmp_path / "meeting"
    place.mkdir()
    errors = []
    needs = Needs(cpus=1)

    def run(name):
        errors.append(engine.run(task(stages.Meet(place=place), name, needs=needs), ignore).error)

    threads = [threading.Thread(target=run, args=[name]) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == [None, None]


def mapped(engine, task, stages, way, place) -> tuple[str, ...]:
    ended = engine.run(task(stages.Map(way=way, place=place)), ignore)
    assert ended.error is None
    return ended.said


def test_results_are_in_the_order_of_the_items(engine, task, stages, tmp_path):
    assert mapped(engine, task, stages, "order", tmp_path) == ("True", "[]")


def test_items_are_taken_only_as_results_are_asked_for(engine, task, stages, tmp_path):
    before, right, taken = mapped(engine, task, stages, "lazy", tmp_path)
    assert (before, right) == ("0", "True")
    assert 40 <= int(taken) <= 40 + 2 * 2


def test_an_error_comes_in_the_place_of_its_item(engine, task, stages, tmp_path):
    assert mapped(engine, task, stages, "error", tmp_path) == (
        "1.0 0.5",
        "caught ZeroDivisionError: division by zero",
    )


def test_an_error_of_an_item_is_the_error_of_the_stage(engine, task, stages, tmp_path):
    error = engine.run(task(stages.Map(way="own error", place=tmp_path)), ignore).error
    assert type(error) is errors.ImageError
    assert str(error) == "a.jpg: is not an image."


def test_items_are_worked_on_at_once(engine, task, stages, tmp_path):
    place = tmp_path / "meeting"
    place.mkdir()
    mapped(engine, task, stages, "meet", place)


def test_a_map_may_be_left_early(engine, task, stages, tmp_path):
    mapped(engine, task, stages, "left", tmp_path)


def test_maps_that_are_left_leave_no_item_under_way(engine, task, stages, tmp_path):
    """Many times, since whatever ends items may come as one of them ends by itself."""
    place = tmp_path / "notes"
    place.mkdir()
    assert mapped(engine, task, stages, "left often", place) == ("[]",)


def test_stop_interrupts(own_engine, task, stages):
    heard, raised = threading.Event(), []

    def run():
        try:
            own_engine.run(task(stages.Stay()), lambda message: heard.set())
        except KeyboardInterrupt:
            raised.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    assert heard.wait(300)
    own_engine.stop()
    thread.join(120)
    assert raised == [True]
    with pytest.raises(KeyboardInterrupt):
        own_engine.run(task(stages.Tell()), ignore)


@pytest.mark.parametrize("deaf", [False, True])
def test_stop_leaves_no_process(own_far_engine, task, stages, ends, deaf):
    pids: list[int] = []

    def run():
        with pytest.raises(KeyboardInterrupt):
            own_far_engine.run(
                task(stages.Stay(deaf=deaf)),
                lambda message: "say" in message and pids.append(int(message["say"])),
            )

    thread = threading.Thread(target=run)
    thread.start()
    while not pids:
        time.sleep(0.05)
    own_far_engine.stop()
    thread.join(120)
    assert not thread.is_alive()
    assert ends(pids[0])


def test_the_log_holds_what_was_printed(far_engine, task, stages):
    one = task(stages.Print())
    one.log.write_text("an earlier attempt\n")
    assert far_engine.run(one, ignore).error is None
    lines = one.log.read_text().splitlines()
    printed = ["printed by Python", "written to 1", "written to 2", "echoed by a child", "printed by an item"]
    assert lines == ["an earlier attempt", *printed]


@pytest.mark.parametrize("debug", [False, True])
def test_the_log_holds_a_traceback_with_debug(far_engine, task, stages, debug):
    one = task(stages.Print(fails=True), debug=debug)
    assert "nothing to share" in str(far_engine.run(one, ignore).error)
    assert ('raise ZeroDivisionError("nothing to share")' in one.log.read_text()) == debug


def test_the_log_holds_what_was_said_and_logged(far_engine, task, stages):
    one = task(stages.Tell())
    far_engine.run(one, ignore)
    text = one.log.read_text()
    assert "said 4\n" in text
    assert "WARNING remark 4\n" in text


@pytest.mark.parametrize("how", ["kill", "crash", "exit"])
def test_a_process_that_is_gone_is_told(far_engine, task, stages, how):
    one = task(stages.Vanish(how=how))
    error = far_engine.run(one, ignore).error
    assert type(error) is StageError
    assert str(error).startswith("it was killed (" if how == "kill" else "it ")
    assert str(error).endswith(f"See {one.log}.")
    assert "\n" not in str(error)
    assert one.log.read_text().startswith("last words\n")


def test_peak_memory_is_that_of_the_stage_alone(far_engine, task, stages, ends):
    large = far_engine.run(task(stages.Hold(mebibytes=300)), ignore)
    small = far_engine.run(task(stages.Hold(mebibytes=1)), ignore)
    assert 300 * 2**20 < large.peak < 600 * 2**20
    assert 2**20 < small.peak < 250 * 2**20
    first, second = (int(ended.said[0].split()[0]) for ended in (large, small))
    assert os.getpid() not in (first, second)
    assert first != second
    assert ends(first)
