"""Stages of another package, slow enough to be killed in the middle."""

import json
import os
import shutil
import signal
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Literal

from pydantic import Field

from odflow.errors import InputError, StageError
from odflow.graph import InputFile, InputFolder, InputPath, Job, OutputFile, OutputFolder, Stage, output
from odflow.left_out import LeftOut


class SlowWrite(Stage):
    """Write a file and a folder, a line at a time."""

    source: InputPath | None = Field(None, description="what comes before")
    lines: int = Field(40, ge=1, description="how many")
    pause: float = Field(0.002, ge=0, description="after each line, seconds")

    text: OutputFile = output("text.txt", "the lines")
    folder: OutputFolder = output("folder", "a file for each line")

    def run(self, job: Job) -> None:
        self.folder.mkdir()
        with self.text.open("w") as file:
            if self.source:
                file.write(self.source.read_text())
            for number in range(self.lines):
                file.write(f"line {number}\n")
                file.flush()
                (self.folder / f"{number}.txt").write_text(f"{number}\n")
                sleep(self.pause)
        job.say(f"{self.lines} lines")
        job.count("lines", self.lines)


class SlowCount(Stage):
    """Count, and go on where a stopped run ended."""

    resumes = True

    upto: int = Field(100, ge=1, description="how far")
    pause: float = Field(0.05, ge=0, description="after each number, seconds, but for SLOW_COUNT_PAUSE")

    counted: OutputFile = output("counted.txt", "the numbers")

    def run(self, job: Job) -> None:
        done = job.staging / "done.txt"
        # A test that stops it must be in time on a busy machine; the key shall be as of a run that may end.
        pause = float(os.environ.get("SLOW_COUNT_PAUSE", self.pause))
        start = len(done.read_text().splitlines()) if done.exists() else 0
        job.log.info("starts at %d", start)
        with done.open("a") as file:
            for number in range(start, self.upto):
                file.write(f"{number}\n")
                file.flush()
                sleep(pause)
        self.counted.write_bytes(done.read_bytes())


class Meet(Stage):
    """Wait until others of its kind run at the same time."""

    place: Path = Field(description="folder where they leave their names")
    wanted: int = Field(2, ge=1, description="how many must be there")
    label: str = Field("", description="what tells one from another")
    patience: float = Field(120, gt=0, description="how long to wait for them, seconds")

    met: OutputFile = output("met.txt", "who was there")

    def run(self, job: Job) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        (self.place / job.name).touch()
        until = monotonic() + self.patience
        while len(list(self.place.iterdir())) < self.wanted:
            if monotonic() > until:
                raise StageError(f"{job.name}: nobody came.")
            sleep(0.02)
        self.met.write_text("met\n")
        job.say("met")


class Spread(Stage):
    """Map items, and tell how many were worked on at once; others may hold their workers meanwhile."""

    items: int = Field(20, ge=1, description="how many")
    pause: float = Field(0.02, ge=0, description="for each item, seconds")
    place: Path = Field(description="folder where others leave their names, and this one when it is done")
    others: int = Field(0, ge=0, description="how many others it waits for")

    most: OutputFile = output("most.txt", "the most at once")

    def run(self, job: Job) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        while len(list(self.place.iterdir())) < self.others:
            sleep(0.02)
        lock, now, most = Lock(), 0, 0

        def work(number: int) -> int:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            sleep(self.pause)
            with lock:
                now -= 1
            return number

        assert list(job.map(work, range(self.items))) == list(range(self.items))
        self.most.write_text(f"{most}\n")
        (self.place / job.name).touch()


class Hog(Stage):
    """Take memory, then end as asked."""

    mebibytes: int = Field(300, ge=1, description="how much")
    end: Literal["well", "killed", "crashed", "exit", "real-time"] = Field("well", description="how")

    text: OutputFile = output("text.txt", "a word")

    def run(self, job: Job) -> None:
        held = bytearray(b"1") * (self.mebibytes * 2**20)
        print("printed by Python")
        os.write(2, b"written by C\n")
        if self.end == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.end == "crashed":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.end == "real-time":
            os.kill(os.getpid(), signal.SIGRTMIN + 3)
        if self.end == "exit":
            os._exit(3)
        self.text.write_text(f"{len(held)}\n")


class Flaky(Stage):
    """Fail some times, as a network does."""

    failures: int = Field(description="how often")
    place: Path = Field(description="folder that counts them")
    wrong_input: bool = Field(False, description="fail as for an input that is wrong")

    text: OutputFile = output("text.txt", "a word")

    def run(self, job: Job) -> None:
        self.place.mkdir(parents=True, exist_ok=True)
        found = len(list(self.place.iterdir()))
        if found < self.failures:
            (self.place / str(found)).touch()
            raise (InputError if self.wrong_input else StageError)(
                f"{job.name}: no answer, attempt {found + 1}."
            )
        self.text.write_text("at last\n")


class Meddle(Stage):
    """Change an input while it reads it."""

    source: InputPath = Field(description="what is changed")
    how: Literal["write", "swap", "touch"] = Field("write", description="swap: away and back again")

    text: OutputFile = output("text.txt", "a word")

    def run(self, job: Job) -> None:
        victim = self.source / "b.txt" if self.source.is_dir() else self.source
        if self.how == "write":
            if victim.read_text() != "meddled\n":
                victim.write_text("meddled\n")
        elif self.how == "touch":
            before = victim.stat()
            victim.write_bytes(victim.read_bytes())
            os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
        else:
            away = victim.with_name("away")
            victim.rename(away)
            victim.write_text("another\n")
            away.replace(victim)
        self.text.write_text("done\n")


class Vanish(Stage):
    """Remove the folder that it reads."""

    source: InputFolder = Field(description="what is removed")

    text: OutputFile = output("text.txt", "a word")

    def run(self, job: Job) -> None:
        shutil.rmtree(self.source)
        self.text.write_text("gone\n")


class Deaf(Stage):
    """Heed no interrupt, as a library that is at work."""

    place: Path = Field(description="file that tells when it is")

    text: OutputFile = output("text.txt", "a word")

    def run(self, job: Job) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        self.place.touch()
        sleep(1000)


class Echo(Stage):
    """Tell the texts of a JSON file, in one of the ways in which a stage can tell something."""

    texts: InputFile = Field(description="a list of texts")
    how: Literal["say", "log", "warn", "leave_out", "bar", "error", "crash"] = Field("say", description="how")

    text: OutputFile = output("text.txt", "a word")

    def run(self, job: Job) -> None:
        texts = json.loads(self.texts.read_text())
        for text in texts:
            if self.how == "say":
                job.say(f"said {text}")
            elif self.how == "leave_out":
                job.leave_out(LeftOut("left", 1, "left out", [text]))
            elif self.how == "log":
                job.log.info("said %s", text)
            elif self.how == "warn":
                job.log.warning("said %s", text)
            elif self.how == "bar":
                with job.progress([1], unit=text) as bar:
                    for _ in bar:
                        bar.set_postfix_str(text)
        if self.how == "error":
            raise StageError(*(f"said {text}" for text in texts))
        if self.how == "crash":
            raise RuntimeError(f"said {texts}" + "".join(texts))
        self.text.write_text("word\n")
