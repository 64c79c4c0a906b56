"""The stage `visibility.evaluate`: how well a model tells what images show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from odflow.errors import InputError
from odflow.graph.job import Job
from odflow.graph.stage import InputPath, InputPaths, OutputFile, Stage, output

if TYPE_CHECKING:
    from odflow.graph.checking import Checking
    from odflow.ops.multilabel_metrics import Metrics, Scores, Truth


class Evaluate(Stage):
    """Measure a visibility model against the boxes of records.

    A class is visible where the image has a box of it. AP is the mean precision over recall: the
    images are ranked by their score, and each rise of recall counts with the precision there;
    nothing is interpolated, and images of one score come together. Of a class that no image
    shows, AP and F1 are absent (null), and it is not part of the means.
    """

    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "matplotlib")

    model: InputPath = Field(description="exported folder of visibility.export")
    records: InputPaths = Field(
        description="ground truth: TFRecords that the stage records wrote, a file or a folder of them; "
        "images without boxes show nothing"
    )
    threshold: float = Field(0.5, ge=0, le=1, description="score from which a class counts as seen")

    metrics: OutputFile = output(
        "metrics.json", "mAP, AP/CLASS, F1/CLASS at the threshold, 0 to 1, and the counts of each class"
    )
    curves: OutputFile = output("precision_recall.png", "precision over recall, per class")

    def check(self, checking: Checking) -> None:
        """See that there are a model of visibility and records."""
        from odflow.checks import check_records
        from odflow.heads.visibility.settings import VISIBILITY

        if checking.given("model"):
            checking.passes(lambda: VISIBILITY.exported_model(self.model), "model")
        check_records(checking, "records")

    def run(self, job: Job) -> None:
        """Score every image, compare, write figures and curves."""
        import numpy as np

        from odflow.formats.labelled_images import labelled_images_of_records
        from odflow.formats.tfrecord import records_place
        from odflow.heads.visibility.curves import plot_curves
        from odflow.heads.visibility.scoring import score_images
        from odflow.heads.visibility.settings import VISIBILITY

        model = VISIBILITY.exported_model(self.model)
        ids = [label.id for label in model.classes]
        images = labelled_images_of_records(self.records, model.label_map)
        scored = job.progress(score_images(self.model, images, job.map), unit="image")
        rows = [(np.isin(ids, image.classes), one) for image, one in scored]
        if not any(is_so.any() for is_so, _ in rows):
            place = records_place(self.records)
            raise InputError(f"{place}: the ground truth holds no box; nothing to measure.")
        truth, scores = (np.stack(column) for column in zip(*rows, strict=True))
        metrics = self._measure(job, truth, scores, model.names)
        text = json.dumps(metrics, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        self.metrics.write_text(text, "utf-8")
        plot_curves(truth, scores, model.names, self.curves)

    def _measure(self, job: Job, truth: Truth, scores: Scores, classes: tuple[str, ...]) -> Metrics:
        """The figures, after telling them."""
        from odflow.ops.multilabel_metrics import F1, MAP, confusions, decision_metrics, ranking_metrics

        metrics = ranking_metrics(truth, scores, classes)
        metrics |= decision_metrics(truth, scores, classes, self.threshold)
        job.say(f"mAP {metrics[MAP]:.4f}, F1 {metrics[F1]:.4f} at {self.threshold:g}, of {len(truth)} images")
        for name, one in zip(classes, confusions(truth, scores, self.threshold), strict=True):
            if one.f1 is None:
                told = "no image shows it"
            else:
                told = f"AP {metrics[f'AP/{name}']:.3f}, F1 {one.f1:.3f}"
            job.say(
                f"{name}: {told}; right {one.true_positives} seen and {one.true_negatives} not, "
                f"wrong {one.false_positives} seen, {one.false_negatives} missed"
            )
        return metrics
