"""Runs that are killed, stopped or interrupted end with the bytes of a run that was left alone."""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

MARK = "ODFLOW_TEST_KILL"
KILLS = 20
KILLS_IN_A_PLACE = 7
GONE_WITHIN = 30  # seconds; a busy machine needs some to end a process that is killed
LONG = 1800  # seconds
PIPELINE = """\
stages:
  detect:
    model: {teacher}
    images: pictures
    min_score: 0.4
  keep:
    uses: filter
    detections: ${{detect.detections}}
    label_map: {teacher}/label_map.pbtxt
    min_side: 6
  split:
    detections: ${{keep.kept}}
    valid_fraction: 0.2
  records:
    detections: ${{split.train}}
    images: pictures
    label_map: ${{keep.kept_label_map}}
    shards: 4
"""


TRAINING = """\
stages:
  records:
    detections: boxes.csv
    images: pictures
    label_map: labels.pbtxt
  train:
    uses: visibility.train
    label_map: labels.pbtxt
    train_records: ${records.records}
    input_height: 32
    input_width: 32
    width: 0.25
    batch_size: 2
    num_steps: 120
    checkpoint_steps: 10
"""
TORN = {"index": (0.0, 0.4), "data-00000-of-00001": (0.0, 0.5, 0.99)}
"""Shares that a power cut leaves of a file of the newest checkpoint."""

FULL = (150, 3_000, 20_000, 60_000, 100_000)
"""Bytes that a file cannot grow beyond."""


@dataclass
class Place:
    """A folder with the pipeline, its work folder and its store; a file `told` gets what runs say."""

    folder: Path
    runs: int = 0
    outputs: dict[str, bytes] = field(default_factory=dict)
    results: dict[str, bytes] = field(default_factory=dict)

    @property
    def mark(self) -> str:
        """All processes of the last run have it in their environment."""
        return f"{MARK}={self.folder}:{self.runs}"

    def start(self, largest_file: int = resource.RLIM_INFINITY, **more: str) -> subprocess.Popen:
        """Begin a run, which may write so many bytes to a file, with more in its environment."""
        self.runs += 1
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ODFLOW_")}
        environment[MARK] = self.mark.removeprefix(f"{MARK}=")
        environment |= more
        with (self.folder / "told").open("a") as told:
            command = [sys.executable, "-m", "odflow", "run", "kill.yaml"]
            run = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=told, stderr=told)
        resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (largest_file, resource.RLIM_INFINITY))
        return run

    def told(self) -> str:
        return (self.folder / "told").read_text()

    def stages(self) -> dict:
        return json.loads((self.folder / "runs/kill/run.json").read_text())["stages"]

    def done(self) -> set[str]:
        """The stages that have ended, as far as run.json tells."""
        if not (self.folder / "runs/kill/run.json").exists():
            return set()
        return {name for name, stage in self.stages().items() if stage["state"] in ("done", "cached")}

    def has_looked(self) -> bool:
        """Whether `detect` has noted a picture in its staging folder."""
        return any(path.stat().st_size for path in self.folder.glob(".odflow/staging/*/work/journal"))

    def said(self) -> dict[str, list[str]]:
        return {name: stage["said"] for name, stage in self.stages().items()}

    def remember(self) -> None:
        """What is here now, after a run that was left alone."""
        for stage in self.stages().values():
            for output in stage["outputs"].values():
                self.outputs |= files(self.folder / output, self.folder)
        self.results = self.now_in_store()

    def now_in_store(self) -> dict[str, bytes]:
        results = self.folder / ".odflow/results"
        found = {}
        for outputs in results.glob("*/outputs"):
            found |= files(outputs, results)
        return found


def files(path: Path, root: Path) -> dict[str, bytes]:
    """The bytes of a file, or of all files in a folder, by their names below another folder."""
    found = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {str(one.relative_to(root)): one.read_bytes() for one in found}


def processes(mark: str) -> list[int]:
    """Those with this mark in their environment; they may be in any session or group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it is gone, or somebody else's
            continue
    return found


@pytest.fixture(scope="module")
def places(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """New places, one after the other; what a failed test leaves running is ended."""
    made: list[Place] = []

    def new() -> Iterator[Place]:
        while True:
            folder = tmp_path_factory.mktemp("place")
            shutil.copytree(project / "pipelines/quickstart/pool", folder / "pictures")
            (folder / "pictures/0100.jpg").write_bytes(b"\xff\xd8\xff and no more")
            (folder / "kill.yaml").write_text(
                PIPELINE.format(teacher=project / "pipelines/quickstart/teacher")
            )
            made.append(Place(folder))
            yield made[-1]

    yield new()
    for place in made:
        for pid in processes(place.mark):
            os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Undisturbed:
    """A run that was left alone, and how long it took, seconds."""

    place: Place
    life: float


@pytest.fixture(scope="module")
def left_alone(places: Iterator[Place]) -> Undisturbed:
    place = next(places)
    began = time.monotonic()
    assert place.start().wait() == 0, place.told()
    life = time.monotonic() - began
    place.remember()
    assert "1 unreadable" in place.said()["detect"][0]
    return Undisturbed(place, life)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_a_run_that_is_stopped_continued_and_interrupted_six_times_ends_as_if_left_alone(
    places: Iterator[Place], left_alone: Undisturbed
) -> None:
    place = next(places)
    run = place.start()
    while run.poll() is None and not place.has_looked():
        time.sleep(0.01)
    every = sorted({run.pid, *processes(place.mark)})
    for number in (signal.SIGSTOP, signal.SIGCONT):
        for pid in every:
            os.kill(pid, number)
        time.sleep(0.5)
    os.kill(run.pid, signal.SIGSTOP)
    os.kill(run.pid, signal.SIGINT)  # it waits there
    os.kill(run.pid, signal.SIGCONT)
    for _ in range(5):
        time.sleep(0.1)
        if run.poll() is None:
            os.kill(run.pid, signal.SIGINT)
    assert run.wait() == 130, place.told()
    assert place.told().splitlines()[-1] == "interrupted. The same command goes on from here."
    assert "Traceback" not in place.told()
    record = json.loads((place.folder / "runs/kill/run.json").read_text())
    assert (record["state"], record["stages"]["detect"]["state"]) == ("interrupted", "interrupted")
    check_nothing_is_half_written(place, left_alone.place)
    check_all_are_gone(place.mark)
    assert place.start().wait() == 0, place.told()
    check_end(place, left_alone.place)
    assert re.search(r"goes on after \d+ of 180 images", place.told())


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("ill", ["trickles", "lies", "stalls"])
def test_a_run_whose_remote_store_is_ill_ends_as_if_left_alone(
    ill: str, places: Iterator[Place], left_alone: Undisturbed, peer_that: Callable[..., Any], tmp_path: Path
) -> None:
    """Ended while it waits for the peer, then left to itself with that peer."""
    peer, place = peer_that({"": ill}, tmp_path), next(places)
    run = place.start(ODFLOW_REMOTE=peer.url)
    while not peer.asked and run.poll() is None:
        time.sleep(0.01)
    run.send_signal(signal.SIGTERM)
    assert run.wait(LONG) == 130, place.told()
    check_all_are_gone(place.mark)
    assert place.start(ODFLOW_REMOTE=peer.url).wait(LONG) == 0, place.told()
    assert "never-told" not in place.told()
    check_end(place, left_alone.place)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_a_run_killed_at_random_moments_ends_as_if_left_alone(
    places: Iterator[Place], left_alone: Undisturbed
) -> None:
    """20 times, the main process or all of the run's processes at once; the next run goes on from there.

    The first kill in a place comes while `detect` looks at pictures, six others at any moment
    that the run should still have to live. Then, or where it ends before, another place is taken.
    """
    undisturbed, life = left_alone.place, left_alone.life
    chance = random.Random(20)
    used = [next(places)]
    halfway = set()
    kills = 0
    while kills < KILLS:
        place = used[-1]
        lived = sum(undisturbed.stages()[name]["seconds"] for name in place.done())
        moment = chance.uniform(0, life - lived) if place.runs else chance.uniform(0, life / 10)
        if place.runs == KILLS_IN_A_PLACE:
            moment = LONG  # it may end
        if killed(place, moment, everything=kills % 2 == 0):
            check_nothing_is_half_written(place, undisturbed)
            halfway |= place.done()
            kills += 1
        else:
            check_end(place, undisturbed)
            used.append(next(places))
    assert used[-1].start().wait() == 0, used[-1].told()
    check_end(used[-1], undisturbed)
    assert halfway, "no run was killed between two stages"
    assert re.search(r"goes on after \d+ of 180 images", "".join(place.told() for place in used))


def killed(place: Place, moment: float, *, everything: bool) -> bool:
    """Start a run and kill it so many seconds later; false when it ended before.

    In a new place the seconds count from the first picture that was looked at.
    """
    before = place.mark
    run = place.start()
    while place.runs == 1 and run.poll() is None and not place.has_looked():
        time.sleep(0.01)
    kill_at = time.monotonic() + moment
    check_all_are_gone(before)
    try:
        run.wait(max(0, kill_at - time.monotonic()))
    except subprocess.TimeoutExpired:
        for pid in [run.pid, *processes(place.mark)] if everything else [run.pid]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    assert run.wait() in (0, -signal.SIGKILL), place.told()
    return run.returncode != 0


def check_all_are_gone(mark: str) -> None:
    until = time.monotonic() + GONE_WITHIN
    while left := processes(mark):
        assert time.monotonic() < until, f"processes {left} go on without their run"
        time.sleep(0.05)


def check_nothing_is_half_written(place: Place, undisturbed: Place) -> None:
    """What has an output's name in the work folder or the store is what it must be."""
    for name, content in place.now_in_store().items():
        assert content == undisturbed.results[name], f"{name} in the store"
    for manifest in place.folder.glob(".odflow/results/*/result.json"):
        assert json.loads(manifest.read_text())["outputs"]
    for name in undisturbed.outputs:
        path = place.folder / name
        if path.exists():
            assert path.read_bytes() == undisturbed.outputs[name], name
    records = place.folder / "runs/kill/records/records"
    assert set(files(records, place.folder)) <= set(undisturbed.outputs)


def check_end(place: Place, undisturbed: Place) -> None:
    """A finished run has the outputs, the results and the words of the one that was left alone."""
    check_all_are_gone(place.mark)
    ended = Place(place.folder)
    ended.remember()
    assert ended.outputs == undisturbed.outputs
    assert ended.results == undisturbed.results
    assert ended.said() == undisturbed.said()


@pytest.fixture
def training(tmp_path: Path) -> Iterator[Callable[[], Place]]:
    """Makes places with a pipeline that trains a network of seconds; what a failed test leaves is ended."""
    made: list[Place] = []

    def new() -> Place:
        place = Place(tmp_path / str(len(made)))
        (place.folder / "pictures").mkdir(parents=True)
        rows = ["filename,width,height,class,xmin,ymin,xmax,ymax"]
        for number, colour in enumerate(["red", "blue"] * 4):
            Image.new("RGB", (40, 40), colour).save(place.folder / f"pictures/{number}.png")
            rows.append(f"{number}.png,40,40,{colour},0,0,30,30")
        (place.folder / "boxes.csv").write_text("\n".join(rows))
        (place.folder / "labels.pbtxt").write_text(
            "item { id: 1 name: 'red' }\nitem { id: 2 name: 'blue' }\n"
        )
        (place.folder / "kill.yaml").write_text(TRAINING)
        made.append(place)
        return place

    yield new
    for place in made:
        for pid in processes(place.mark):
            os.kill(pid, signal.SIGKILL)


def saved(place: Place) -> list[int]:
    """The steps whose checkpoints are there to go on from."""
    found = place.folder.glob(".odflow/staging/*/work/training/steps/ckpt-*.index")
    return sorted(int(path.stem.rpartition("-")[2]) for path in found)


@pytest.mark.slow
def test_a_training_whose_newest_checkpoint_is_torn_at_five_lengths_goes_on_from_the_one_before(
    training: Callable[[], Place],
) -> None:
    """The run is killed when it has two; then the newest is cut, as a power cut does."""
    place = training()
    run = place.start()
    while len(saved(place)) < 2:
        assert run.poll() is None, place.told()
        time.sleep(0.005)
    for pid in [run.pid, *processes(place.mark)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL, place.told()
    check_all_are_gone(place.mark)
    tears = [(end, share) for end, shares in TORN.items() for share in shares]
    for number, (end, share) in enumerate(tears):
        torn = Place(shutil.copytree(place.folder, place.folder.with_name(f"torn{number}")))
        before, newest = saved(torn)[-2:]
        (file,) = torn.folder.glob(f".odflow/staging/*/work/training/steps/ckpt-{newest}.{end}")
        os.truncate(file, int(share * file.stat().st_size))
        assert torn.start().wait() == 0, torn.told()
        assert torn.told().count(f"ckpt-{newest} is damaged, so training goes on after step {before}") == 1
        assert (torn.folder / "runs/kill/train/trained/checkpoint/checkpoint").exists()


@pytest.mark.slow
def test_a_training_on_a_disk_that_is_full_at_five_sizes_tells_it_and_goes_on_when_there_is_room(
    training: Callable[[], Place],
) -> None:
    place = training()
    for size in FULL:
        (place.folder / "told").unlink(missing_ok=True)
        assert place.start(size).wait() == 1, place.told()
        assert "the disk is full (File too large" in place.told()
        assert "unexpected" not in place.told()
        assert "Traceback" not in place.told()
        check_all_are_gone(place.mark)
    assert place.start().wait() == 0, place.told()
    trained = place.folder / "runs/kill/train/trained/checkpoint"
    assert len(list(trained.iterdir())) == 3, "nothing that was begun is left among the weights"
