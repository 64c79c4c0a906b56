"""Stages that engines run in their tests. Another process imports them by this module's name."""

import itertools
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import ClassVar, Literal

from pydantic import Field

from odflow.errors import GateError, ImageError, StageError
from odflow.graph import InputFile, Job, OutputFile, OutputFolder, Stage, output

ERRORS = {"GateError": GateError, "ImageError": ImageError}


class Copy(Stage):
    """Copy a file, and say so."""

    source: InputFile = Field(description="what is copied")

    text: OutputFile = output("text.txt", "the copy")
    folder: OutputFolder = output("folder", "holds a second one")

    def run(self, job: Job) -> None:
        self.text.write_bytes(self.source.read_bytes())
        self.folder.mkdir()
        (self.folder / "again.txt").write_bytes(self.source.read_bytes())
        job.say(f"{self.source.stat().st_size} bytes")
        job.say("Grüße")


class Tell(Stage):
    """Tell in all ways."""

    def run(self, job: Job) -> None:
        for number in range(5):
            job.say(f"said {number}")
            job.log.warning("remark %d", number)
        for _ in job.progress(range(3), unit="step"):
            sleep(0.15)
        job.log.info("the end")


class Print(Stage):
    """Print from everywhere, then fail if asked to."""

    fails: bool = Field(False, description="whether it fails at the end")

    def run(self, job: Job) -> None:
        print("printed by Python")
        os.write(1, b"written to 1\n")
        os.write(2, b"written to 2\n")
        os.system("echo echoed by a child")
        list(job.map(print, ["printed by an item"]))
        if self.fails:
            raise ZeroDivisionError("nothing to share")


class Fail(Stage):
    """Fail with an error of odflow."""

    error: Literal["GateError", "ImageError"] = Field(description="which")

    def run(self, job: Job) -> None:
        raise ERRORS[self.error]("a.txt: is 3.", "b.txt: must be 4.")


class Unexpected(Stage):
    """Fail as nobody foresaw."""

    def run(self, job: Job) -> None:
        raise KeyError("two\nlines")


class Vanish(Stage):
    """End the process from inside."""

    how: Literal["kill", "crash", "exit"] = Field(description="SIGKILL, SIGSEGV or exit code 3")

    def run(self, job: Job) -> None:
        print("last words", flush=True)
        if self.how == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGKILL if self.how == "kill" else signal.SIGSEGV)


class Hold(Stage):
    """Hold memory, and say which process does."""

    mebibytes: int = Field(description="how much")

    def run(self, job: Job) -> None:
        held = bytearray(self.mebibytes * 2**20)
        held[::4096] = b"x" * (len(held) // 4096)
        job.say(f"{os.getpid()} {len(held)}")


class Stay(Stage):
    """Say which process this is, and never end."""

    deaf: bool = Field(False, description="whether it is in a call that cannot be interrupted")

    def run(self, job: Job) -> None:
        job.say(str(os.getpid()))
        if self.deaf:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            sleep(1000)
        for number in itertools.count():
            sleep(0.05)
            job.log.info("still here %d", number)


class Meet(Stage):
    """Wait until another of its kind runs."""

    place: Path = Field(description="folder where they meet")

    def run(self, job: Job) -> None:
        meet((self.place, job.name))


class Journey(Stage):
    """Take a step a run, and fail until all are done."""

    resumes: ClassVar[bool] = True

    steps: int = Field(3, description="how many")

    text: OutputFile = output("text.txt", "the steps")

    def run(self, job: Job) -> None:
        with (job.staging / "steps").open("a") as file:
            file.write("step\n")
        done = (job.staging / "steps").read_text()
        if done.count("step") < self.steps:
            raise StageError(f"{done.count('step')} of {self.steps} steps")
        self.text.write_text(done)


class Map(Stage):
    """Map in one of several ways, and say what came of it."""

    way: Literal["order", "lazy", "error", "own error", "meet", "pids", "killed", "left", "left often"] = (
        Field(description="what is tried")
    )
    place: Path = Field(description="folder where items meet")

    def run(self, job: Job) -> None:
        getattr(self, f"_{self.way.replace(' ', '_')}")(job)

    def _order(self, job: Job) -> None:
        points = [Point(number, "n") for number in range(23)]
        job.say(str(list(job.map(moved, points)) == [Point(number + 1, "n") for number in range(23)]))
        job.say(str(list(job.map(moved, []))))

    def _lazy(self, job: Job) -> None:
        taken = 0

        def endless():
            nonlocal taken
            while True:
                taken += 1
                yield taken

        results = job.map(str, endless())
        job.say(str(taken))
        got = [next(results) for _ in range(40)]
        job.say(str(got == [str(number) for number in range(1, 41)]))
        job.say(str(taken))

    def _error(self, job: Job) -> None:
        results = job.map(inverse, [1, 2, 0, 4])
        job.say(f"{next(results)} {next(results)}")
        try:
            next(results)
        except ZeroDivisionError as error:
            job.say(f"caught {type(error).__name__}: {error}")

    def _own_error(self, job: Job) -> None:
        list(job.map(refuse, ["a.jpg"]))

    def _meet(self, job: Job) -> None:
        list(job.map(meet, [(self.place, "one"), (self.place, "two")]))

    def _pids(self, job: Job) -> None:
        found = set(job.map(nap_and_tell_pid, range(12)))
        job.say(f"{os.getpid()} {' '.join(map(str, sorted(found)))}")

    def _killed(self, job: Job) -> None:
        list(job.map(kill_self, [1]))

    def _left(self, job: Job) -> None:
        """End in the middle of a map."""
        next(job.map(inverse, itertools.count(1)))

    def _left_often(self, job: Job) -> None:
        """Leave many maps while their items end, and tell of those that go on."""
        for _ in range(100):
            next(job.map(inverse, itertools.count(1)))
        next(job.map(take_note, [(self.place, number) for number in range(4)]))
        noted = sorted(path.name for path in self.place.iterdir())
        job.say(
            str(
                [
                    name
                    for name in noted
                    if name.startswith("begun") and name.replace("begun", "ended") not in noted
                ]
            )
        )


@dataclass(frozen=True)
class Point:
    """An item of a kind that only this module knows."""

    x: int
    name: str


def moved(point: Point) -> Point:
    return Point(point.x + 1, point.name)


def inverse(number: int) -> float:
    return 1 / number


def refuse(name: str) -> None:
    raise ImageError(f"{name}: is not an image.")


def meet(where: tuple[Path, str]) -> None:
    """Wait until two are there."""
    place, name = where
    (place / name).touch()
    until = monotonic() + 300
    while len(list(place.iterdir())) < 2:
        if monotonic() > until:
            raise StageError(f"{name} waited in vain.")
        sleep(0.02)


def take_note(where: tuple[Path, int]) -> None:
    """Note when an item begins and when it ends."""
    place, number = where
    (place / f"begun{number}").touch()
    sleep(0.1 * number)
    (place / f"ended{number}").touch()


def nap_and_tell_pid(number: int) -> int:
    sleep(0.05)
    return os.getpid()


def kill_self(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
