"""The stage `segmentation.evaluate`: how well an exported model finds the masks of records."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from odflow.errors import InputError
from odflow.graph.job import Job
from odflow.graph.stage import InputFolder, InputPath, InputPaths, OutputFile, OutputFolder, Stage, output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from odflow.formats.contact_sheet import ContactSheet
    from odflow.graph.checking import Checking
    from odflow.heads.segmentation.comparison import Compared

_TOLD_AT_MOST = 20


class Evaluate(Stage):
    """Measure an exported segmentation model at the images' own resolution, and show what it finds."""

    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "matplotlib")

    model: InputPath = Field(
        description="exported folder of segmentation.export, or in it the frozen graph (.pb) or SavedModel "
        "folder"
    )
    records: InputPaths = Field(description="TFRecords with the true masks: a file, or a folder of them")
    trained: InputFolder | None = Field(
        None, description="what segmentation.train made, to plot how the training went"
    )
    count: int = Field(12, ge=0, description="images on the contact sheet, chosen evenly over the records")
    width: int = Field(320, ge=80, le=4096, description="width of each picture on it in pixels")

    metrics: OutputFile = output(
        "metrics.json",
        "mIoU, pixel_accuracy, IoU/CLASS, of two classes thresholded_IoU; each also as baseline/..., that "
        "of all background; 0 to 1",
    )
    confusion: OutputFile = output(
        "confusion.csv", "pixels: a row for each true class, a column for each found one"
    )
    pictures: OutputFolder = output(
        "pictures", "contact_sheet.png: image, truth, prediction; training.png where trained is given"
    )

    def check(self, checking: Checking) -> None:
        """See that there are a model of segmentation and records."""
        from odflow.checks import check_records
        from odflow.heads.segmentation.settings import SEGMENTATION

        if checking.given("model"):
            checking.passes(lambda: SEGMENTATION.exported_model(self.model), "model")
        check_records(checking, "records")

    def run(self, job: Job) -> None:
        """Find every mask, compare, write figures and pictures."""
        from odflow.formats.contact_sheet import ContactSheet
        from odflow.formats.tfrecord import record_files, record_spans, records_place
        from odflow.heads.segmentation.comparison import Measured, compare_all, read_all
        from odflow.heads.segmentation.drawing import mask_colours
        from odflow.heads.segmentation.settings import SEGMENTATION

        classes = SEGMENTATION.exported_model(self.model).classes
        files = record_files(self.records)
        total = sum(1 for file in files for _ in record_spans(file))
        if not total:
            raise InputError(
                f"{records_place(self.records)}: holds no record. Give what segmentation.records wrote."
            )
        shown = min(self.count, total)
        records = read_all(files, [index * total // shown for index in range(shown)])
        compared = compare_all(self.model, classes, records, job.map)
        measured = Measured(classes)
        sheet = ContactSheet(3, self.width, mask_colours(classes))
        for one in job.progress(compared, total=total, unit="image"):
            measured.add(one.confusion)
            _show(sheet, one, classes)
        if not measured.confusion.any():
            raise InputError(f"{records_place(self.records)}: every pixel is ignored; nothing to measure.")
        metrics = measured.metrics()
        self.metrics.write_text(json.dumps(metrics, indent=2) + "\n", "utf-8")
        self._write_confusion(measured.confusion, classes)
        self.pictures.mkdir()
        note = f"{shown} of {total} images: image, truth, prediction"
        sheet.picture(note).save(self.pictures / "contact_sheet.png", "PNG", optimize=True)
        self._plot_training(classes)
        _tell(job, metrics, classes, total)

    def _write_confusion(self, confusion: NDArray[np.int64], classes: Sequence[str]) -> None:
        from odflow.formats.csv_table import ROW_END, csv_text

        with csv_text(self.confusion) as file:
            rows = csv.writer(file, lineterminator=ROW_END)
            rows.writerow(["truth", *classes])
            rows.writerows([name, *row] for name, row in zip(classes, confusion.tolist(), strict=True))

    def _plot_training(self, classes: Sequence[str]) -> None:
        if self.trained is None:
            return
        from odflow.formats.plots import plot_evaluations

        evaluations = self.trained / "evaluations.json"
        if not evaluations.is_file():
            raise InputError(
                f"{evaluations}: does not exist: the training had no valid_records. Leave out trained."
            )
        ious = ["mIoU", *(f"IoU/{name}" for name in classes)]
        shown = {"IoU": ious, "loss": ["loss"]}
        plot_evaluations(evaluations, shown, self.pictures / "training.png")


def _show(sheet: ContactSheet, compared: Compared, classes: Sequence[str]) -> None:
    """Image, truth and prediction, side by side."""
    from odflow.heads.segmentation.drawing import overlay, palette
    from odflow.ops.segmentation_metrics import mean_iou

    if compared.labelled is None or compared.found is None:
        return
    image, colours = compared.labelled.image, palette(classes)
    iou = mean_iou(compared.confusion)
    sheet.add(image, (), compared.labelled.name)
    sheet.add(overlay(image, compared.labelled.mask, colours), (), "truth")
    caption = "prediction" if iou is None else f"prediction: mIoU {iou:.3f}"
    sheet.add(overlay(image, compared.found, colours), (), caption)


def _tell(job: Job, metrics: Mapping[str, float | None], classes: Sequence[str], images: int) -> None:
    from odflow.heads.segmentation.comparison import SCORE
    from odflow.ops.segmentation_metrics import MEAN_IOU

    for name in (MEAN_IOU, "pixel_accuracy", SCORE):
        if name in metrics:
            job.say(f"{name} {metrics[name]:.4f} (all background {metrics[f'baseline/{name}']:.4f})")
    ious = {name: metrics[f"IoU/{name}"] for name in classes}
    told = [f"{name} {iou:.3f}" for name, iou in ious.items() if iou is not None]
    more = f" and {len(told) - _TOLD_AT_MOST} more" if len(told) > _TOLD_AT_MOST else ""
    job.say(f"IoU of {images} images: {', '.join(told[:_TOLD_AT_MOST])}{more}")
    absent = [name for name, iou in ious.items() if iou is None]
    if absent:
        job.say(f"never there, and not measured: {', '.join(absent[:_TOLD_AT_MOST])}")
