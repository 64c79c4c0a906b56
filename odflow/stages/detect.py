"""The stage `detect`: run a trained detector over images."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from pydantic import Field

from odflow.errors import InputError
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, InputPath, OutputFile, Stage, output

_NAMED_AT_MOST = 20


class Detect(Stage):
    """Run a trained detector over images and write what it finds."""

    model: InputPath = Field(
        description="frozen graph (.pb), SavedModel folder, exported folder, or TFLite detection file"
    )
    label_map: InputFile | None = Field(
        None, description="label map (.pbtxt) with the model's classes; an exported folder holds its own"
    )
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

    def also_reads(self) -> Iterable[Path]:
        """The images that a list file names."""
        if self.images.is_dir():
            return ()
        from odflow.formats.images import find_images

        return [image.path for image in find_images(self.images, self.root)]

    def run(self, job: Job) -> None:
        """Detect in every image; unreadable ones are counted, listed and named at the end."""
        from odflow.formats.detection_writer import DetectionWriter
        from odflow.formats.images import find_images, read_image
        from odflow.inference.detector import load_detector, model_label_map
        from odflow.inference.run import detect_all
        from odflow.ops.pixels import to_whole_pixels

        names = model_label_map(self.model, self.label_map).names
        images = find_images(self.images, self.root)
        seen = detect_all(load_detector(self.model), images, lambda image: read_image(image.path))
        unreadable: list[str] = []
        total = 0
        with (
            DetectionWriter(self.detections, names) as table,
            self.images_seen.open("w", encoding="utf-8", newline="") as file,
        ):
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["filename", "width", "height", "detections", "status", "error"])
            for one in job.progress(seen, total=len(images), unit="image"):
                count = 0
                if one.found is None:
                    unreadable.append(f"{one.item.name}: {one.error}")
                else:
                    best = one.found.best(self.min_score, self.max_detections)
                    boxes = to_whole_pixels(best.boxes_yxyx, height=one.height, width=one.width)
                    table.add(one.item.name, boxes, best.scores, best.classes, (one.height, one.width))
                    count = len(boxes)
                status = "unreadable" if one.found is None else "ok"
                rows.writerow([one.item.name, one.width, one.height, count, status, one.error])
                total += count
        self._report(job, len(images), total, unreadable)

    def _report(self, job: Job, images: int, total: int, unreadable: list[str]) -> None:
        for error in unreadable[:_NAMED_AT_MOST]:
            job.log.warning("unreadable: %s", error)
        if len(unreadable) > _NAMED_AT_MOST:
            job.log.warning("and %d more, see %s", len(unreadable) - _NAMED_AT_MOST, self.images_seen.name)
        if len(unreadable) == images:
            raise InputError(
                f"{self.images}: none of its {images} images can be read. First: {unreadable[0]}"
            )
        broken = f", {len(unreadable)} unreadable" if unreadable else ""
        job.say(f"{total} detections in {images - len(unreadable)} images{broken}")
