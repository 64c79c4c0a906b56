"""The stage of benchmarks/noop.py."""

from pydantic import Field

from odflow.graph import InputFile, InputFolder, Job, OutputFile, Stage, output


class NoopCount(Stage):
    """Count the files of a folder."""

    folder: InputFolder = Field(description="whose files are counted")
    after: InputFile | None = Field(None, description="what the stage before wrote")

    counted: OutputFile = output("counted.txt", "how many")

    def run(self, job: Job) -> None:
        """Write the number after those of the stage before."""
        number = sum(path.is_file() for path in self.folder.rglob("*"))
        before = self.after.read_text() if self.after else ""
        self.counted.write_text(f"{before}{number}\n")
