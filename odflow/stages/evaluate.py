"""The stage `evaluate`: how well a model finds what the ground truth holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Sized
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from odflow.detector_stage import DetectorStage, tell_resized
from odflow.errors import InputError
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, InputPath, InputPaths, OutputFile, output
from odflow.left_out import LeftOut

if TYPE_CHECKING:
    from odflow.formats.detection_writer import DetectionWriter
    from odflow.formats.label_map import LabelMap
    from odflow.formats.labelled_images import LabelledImage
    from odflow.formats.labelled_table import TableImages
    from odflow.graph.checking import Checking
    from odflow.inference.run import Seen
    from odflow.ops.metrics import CocoMetrics

_DETECTIONS_AN_IMAGE = 100  # as many as COCO counts


class Evaluate(DetectorStage):
    """Measure a model against ground truth with COCO's metrics."""

    version: ClassVar[int] = 4

    records: InputPaths | None = Field(
        None,
        description="ground truth as records: a file, a folder, or a pattern (val.record-?????-of-00010)",
    )
    images: InputPath | None = Field(
        None, description="instead of records: folder of images, or text file with one image a line"
    )
    annotations: InputFile | None = Field(
        None, description="the images' ground truth, a table of boxes in pixels (CSV or Parquet)"
    )
    root: InputFolder | None = Field(
        None, description="folder that the lines of a list file are relative to; the list's own if left out"
    )
    unlisted: Literal["leave_out", "empty"] = Field(
        "leave_out",
        description="images of the folder that annotations has no row of: leave_out, or empty: they are "
        "annotated and show nothing, so that each detection in them is wrong. All that a list file "
        "names are annotated",
    )

    metrics: OutputFile = output(
        "metrics.json", "COCO mAP and AR, 0 to 1, by the API's names; also per class"
    )
    detections: OutputFile = output("detections.csv", "up to 100 detections an image, of any score")

    @model_validator(mode="after")
    def _one_ground_truth(self) -> Evaluate:
        if (self.records is None) == (self.images is None) or (self.images is None) != (
            self.annotations is None
        ):
            raise ValueError("give either records, or images together with annotations")
        return self

    def check(self, checking: Checking) -> None:
        """See that there are a model and a ground truth whose classes it knows."""
        from odflow.checks import check_classes, check_image_folder, check_records, label_map_of, table_of

        self.check_detector(checking)
        check_records(checking, "records")
        check_image_folder(checking, "images", "root")
        label_map = label_map_of(checking, "label_map", "model")
        table = table_of(checking, "annotations", "images")
        check_classes(checking, "annotations", table, label_map, "Add it there, or filter it out.")

    def also_reads(self) -> Iterable[Path]:
        """The images that a list file names."""
        if self.images is None or self.images.is_dir():
            return ()
        from odflow.formats.images import find_images

        return [image.path for image in find_images(self.images, self.root)]

    def run(self, job: Job) -> None:
        """Detect in every image and write the metrics and the detections."""
        from odflow.formats.class_ids import COUNTED_AS, UnknownIds
        from odflow.formats.detection_writer import DetectionWriter
        from odflow.formats.label_map import read_label_map
        from odflow.formats.labelled_images import LabelledImage
        from odflow.inference.detector import check_detector
        from odflow.inference.run import detect_all
        from odflow.ops.metrics import CocoMetrics

        check_detector(self.model, self.tensors())
        label_map = read_label_map(self.classes_file())
        samples = self._samples(job, label_map)
        total = len(samples) if isinstance(samples, Sized) else None
        coco, unknown = CocoMetrics(label_map.names), UnknownIds(self.classes_file(), label_map.names)
        read = partial(LabelledImage.read, most_pixels=self.max_pixels)
        seen = detect_all(self.model, samples, read, job.map, self.tensors(), self.trust_model)
        resized: Sequence[int | None] = ()
        with DetectionWriter(self.detections, label_map.names) as table:
            for sample, one in job.progress(seen, total=total, unit="image"):
                unknown.take(_take(sample, one, coco, table))
                resized = one.resized or resized
        if not coco.objects:
            raise InputError(f"{self._truth()}: the ground truth holds no box; nothing to measure.")
        stranger = unknown.line()
        tell_resized(job, resized)
        if stranger:
            job.count(COUNTED_AS, unknown.number)
            job.say(stranger)
        self._write(job, coco)

    def _truth(self) -> str:
        from odflow.formats.tfrecord import records_place

        return records_place(self.records) if self.records is not None else str(self.annotations)

    def _samples(self, job: Job, label_map: LabelMap) -> Iterable[LabelledImage]:
        from odflow.formats.image_search import search_images
        from odflow.formats.labelled_images import labelled_images_of_records
        from odflow.formats.labelled_table import labelled_images_of_table

        if self.records is not None:
            return labelled_images_of_records(self.records, label_map)
        assert self.images is not None  # the validator saw to it
        assert self.annotations is not None
        found = search_images(self.images, self.root)
        job.leave_out(*found.left_out)
        folder = self.images if self.images.is_dir() else self.root or self.images.parent
        labelled = labelled_images_of_table(found.images, self.annotations, label_map, folder)
        if self.unlisted == "empty" or not self.images.is_dir():
            return labelled
        return _annotated(job, labelled, self.annotations.name)

    def _write(self, job: Job, coco: CocoMetrics) -> None:
        from odflow.ops.metrics import AP50, AR100, MAP, class_ap50

        metrics = coco.compute()
        self.metrics.write_text(
            json.dumps(metrics, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8"
        )
        main = ", ".join(
            f"{name} {metrics[key]:.4f}" for name, key in (("mAP", MAP), ("AP50", AP50), ("AR@100", AR100))
        )
        job.say(f"{main} on {coco.images} images with {coco.objects} objects")
        job.say(
            "AP50 per class: "
            + ", ".join(f"{name} {value:.3f}" for name, value in class_ap50(metrics).items())
        )


def _annotated(job: Job, labelled: TableImages, table: str) -> TableImages:
    """The images that the table has rows of."""
    bare = labelled.bare()
    advice = "If they show nothing: unlisted: empty, or give a list of images."
    what = f"images left out, since {table} has no row of them"
    job.leave_out(LeftOut("images_not_annotated", len(bare), what, bare, advice))
    return labelled.annotated()


def _take(sample: LabelledImage, one: Seen, coco: CocoMetrics, table: DetectionWriter) -> list[int]:
    """Count one image and write its detections; gives the ids of their classes."""
    import numpy as np

    from odflow.ops.metrics import GroundTruth
    from odflow.ops.pixels import to_pixels

    size = {"height": one.height, "width": one.width}
    if one.found is None:
        raise InputError(f"{sample.name}: {one.error} Metrics need every image: mend it, or take it out.")
    best = one.found.best(0, _DETECTIONS_AN_IMAGE)
    boxes = to_pixels(best.boxes_yxyx, **size)
    truth = GroundTruth(to_pixels(sample.boxes_yxyx, **size), sample.classes, sample.is_crowd, sample.area)
    coco.add(truth, boxes, best.scores, best.classes)
    table.add(sample.name, np.round(boxes, 2), best.scores, best.classes, (one.height, one.width))
    ids: list[int] = best.classes.tolist()
    return ids
