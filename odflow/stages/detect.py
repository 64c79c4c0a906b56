"""The stage `detect`: run a trained detector over images."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from odflow.detector_stage import DetectorStage, tell_resized
from odflow.errors import InputError
from odflow.graph.job import Job
from odflow.graph.journal import Journal
from odflow.graph.stage import InputFolder, InputPath, OutputFile, output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from odflow.formats.class_ids import UnknownIds
    from odflow.formats.images import ImageFile
    from odflow.graph.checking import Checking
    from odflow.inference.run import Seen

_NAMED_AT_MOST = 20


class Detect(DetectorStage):
    """Run a trained detector over images and write what it finds."""

    version: ClassVar[int] = 5
    resumes: ClassVar[bool] = True

    images: InputPath = Field(description="folder of images, or text file with one image a line")
    root: InputFolder | None = Field(
        None, description="folder that the lines of a list file are relative to; the list's own if left out"
    )
    min_score: float = Field(0.5, ge=0, le=1, description="detections must score above this, 0 to 1")
    max_detections: int | None = Field(
        None, ge=1, description="most detections of an image, the best ones; all if left out"
    )

    detections: OutputFile = output("detections.csv", "one row a detection, boxes in whole pixels")
    images_seen: OutputFile = output("images.csv", "one row an image, readable or not")

    def check(self, checking: Checking) -> None:
        """See that there are a model, its classes and images."""
        from odflow.checks import check_image_folder, label_map_of
        from odflow.formats.expected import ExpectedTable

        self.check_detector(checking)
        check_image_folder(checking, "images", "root")
        label_map = label_map_of(checking, "label_map", "model")
        if label_map:
            checking.expect("detections", ExpectedTable(frozenset(label_map.names.values())))

    def also_reads(self) -> Iterable[Path]:
        """The images that a list file names."""
        if self.images.is_dir():
            return ()
        from odflow.formats.images import find_images

        return [image.path for image in find_images(self.images, self.root)]

    def run(self, job: Job) -> None:
        """Detect in every image; unreadable ones are counted, listed and named at the end."""
        from odflow.formats.class_ids import UnknownIds
        from odflow.formats.image_search import search_images
        from odflow.formats.label_map import read_label_map
        from odflow.inference.detector import check_detector

        check_detector(self.model, self.tensors())
        label_map = self.classes_file()
        names = read_label_map(label_map).names
        found = search_images(self.images, self.root)
        job.leave_out(*found.left_out)
        images = found.images
        for table in (self.detections, self.images_seen):
            table.unlink(missing_ok=True)  # a run that was stopped late may have left them read-only
        with Journal(job.staging / "journal", _Look) as journal:
            looks = job.progress(self._looks(job, journal, images), total=len(images), unit="image")
            seen = self._write(looks, names, UnknownIds(label_map, names))
        self._report(job, len(images), seen)

    def _looks(self, job: Job, journal: Journal[_Look], images: Sequence[ImageFile]) -> Iterator[_Look]:
        """First what a stopped run had seen, then the other images."""
        from odflow.inference.run import detect_all

        done = 0
        for entry in journal:
            done += 1
            yield entry
        if done:
            job.log.info("goes on after %d of %d images", done, len(images))
        todo, names = images[done:], self.tensors()
        read = partial(_read, most_pixels=self.max_pixels)
        for image, seen in detect_all(self.model, todo, read, job.map, names, self.trust_model):
            look = self._look(image.name, seen)
            journal.append(look)
            yield look

    def _look(self, name: str, seen: Seen) -> _Look:
        from odflow.ops.pixels import to_whole_pixels

        if seen.found is None:
            return _Look(name, 0, 0, seen.error)
        best = seen.found.best(self.min_score, self.max_detections)
        boxes = to_whole_pixels(best.boxes_yxyx, height=seen.height, width=seen.width)
        found = (boxes.tolist(), best.scores.tolist(), best.classes.tolist())
        return _Look(name, seen.height, seen.width, None, *found, seen.resized or ())

    def _write(self, looks: Iterable[_Look], names: Mapping[int, str], unknown: UnknownIds) -> _Summary:
        """Write both tables."""
        import numpy as np

        from odflow.formats.csv_table import ROW_END, csv_text
        from odflow.formats.detection_writer import DetectionWriter

        seen = _Summary(unknown)
        with (
            DetectionWriter(self.detections, names) as table,
            csv_text(self.images_seen) as file,
        ):
            rows = csv.writer(file, lineterminator=ROW_END)
            rows.writerow(["filename", "width", "height", "detections", "status", "error"])
            for name, height, width, error, boxes, scores, classes, resized in looks:
                seen.take(name, error, classes, resized)
                found = (np.array(boxes), np.array(scores, np.float32), np.array(classes, np.int64))
                table.add(name, *found, (height, width))
                status = "ok" if error is None else "unreadable"
                rows.writerow([name, width, height, len(boxes), status, error])
        return seen

    def _report(self, job: Job, images: int, seen: _Summary) -> None:
        from odflow.formats.class_ids import COUNTED_AS

        unreadable = seen.unreadable
        for error in unreadable[:_NAMED_AT_MOST]:
            job.log.warning("unreadable: %s", error)
        if len(unreadable) > _NAMED_AT_MOST:
            job.log.warning("and %d more, see %s", len(unreadable) - _NAMED_AT_MOST, self.images_seen.name)
        if len(unreadable) == images:
            raise InputError(
                f"{self.images}: none of its {images} images can be read. First: {unreadable[0]}"
            )
        stranger = seen.unknown.line()
        broken = f", {len(unreadable)} unreadable" if unreadable else ""
        tell_resized(job, seen.resized)
        if unreadable:
            job.count("images_unreadable", len(unreadable))
        if stranger:
            job.count(COUNTED_AS, seen.unknown.number)
            job.say(stranger)
        job.say(f"{seen.detections} detections in {images - len(unreadable)} images{broken}")


@dataclass
class _Summary:
    """What is told at the end.

    Attributes:
        unknown: the detections of no known class.
        unreadable: the images that cannot be read, and why.
        detections: how many there are.
        resized: as in `_Look`.
    """

    unknown: UnknownIds
    unreadable: list[str] = field(default_factory=list)
    detections: int = 0
    resized: Sequence[int | None] = ()

    def take(
        self, name: str, error: str | None, classes: Sequence[int], resized: Sequence[int | None]
    ) -> None:
        """Take one image."""
        if error is not None:
            self.unreadable.append(f"{name}: {error}")
        self.unknown.take(classes)
        self.detections += len(classes)
        self.resized = resized or self.resized


class _Look(NamedTuple):
    """What is written about one image, in plain values: an entry of the journal.

    Attributes:
        height, width: in pixels.
        error: why it cannot be read, if so.
        boxes: ymin xmin ymax xmax, whole pixels.
        scores: float32 each.
        classes: ids of the label map.
        resized: height and width that the graph takes alone; empty where it takes any.
    """

    filename: str
    height: int
    width: int
    error: str | None
    boxes: Sequence[Sequence[int]] = ()
    scores: Sequence[float] = ()
    classes: Sequence[int] = ()
    resized: Sequence[int | None] = ()


def _read(image: ImageFile, most_pixels: int) -> NDArray[np.uint8]:
    from odflow.formats.images import read_image

    return read_image(image.path, most_pixels)
