"""Stages of another package, slow enough to be killed in the middle."""

from time import sleep

from pydantic import Field

from odflow.graph import InputPath, Job, OutputFile, OutputFolder, Stage, output


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


class SlowCount(Stage):
    """Count, and go on where a stopped run ended."""

    resumes = True

    upto: int = Field(100, ge=1, description="how far")
    pause: float = Field(0.05, ge=0, description="after each number, seconds")

    counted: OutputFile = output("counted.txt", "the numbers")

    def run(self, job: Job) -> None:
        done = job.staging / "done.txt"
        start = len(done.read_text().splitlines()) if done.exists() else 0
        job.log.info("starts at %d", start)
        with done.open("a") as file:
            for number in range(start, self.upto):
                file.write(f"{number}\n")
                file.flush()
                sleep(self.pause)
        self.counted.write_bytes(done.read_bytes())
