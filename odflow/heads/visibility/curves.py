"""A plot of what is right of what is found, as the threshold falls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from odflow.formats.plots import legend_beside, line_style, panels
from odflow.ops.multilabel_metrics import Scores, Truth, average_precision, precision_recall


def plot_curves(truth: Truth, scores: Scores, classes: Sequence[str], path: Path) -> None:
    """Plot precision over recall for each class that occurs, with its AP.

    Args:
        truth: (N, C) bool.
        scores: (N, C).
        classes: C names.
        path: a PNG file; the same figures give the same bytes.
    """
    with panels(path, 1) as (axes,):
        for place, (name, is_so, score) in enumerate(zip(classes, truth.T, scores.T, strict=True)):
            if is_so.any():
                precision, recall = precision_recall(is_so, score)
                label = f"{name}: AP {average_precision(is_so, score):.3f}"
                # Steps, whose area is the AP: a precision holds back to the recall before.
                points = [0, *recall], [precision[0], *precision]
                axes.step(*points, line_style(place), where="pre", label=label)
        axes.set(xlim=(0, 1.01), ylim=(0, 1.01), title=f"{len(truth)} images")
        axes.set(xlabel="recall: share of the images that show the class", ylabel="precision")
        legend_beside(axes)
