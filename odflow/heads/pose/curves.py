"""A plot of how many joints are found within how much."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from odflow.formats.plots import legend_beside, line_style, panels
from odflow.ops.keypoint_metrics import THRESHOLDS, CorrectKeypoints

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_TITLES = {"PCK": "share of the torso", "PCKh": "share of the head"}


def plot_curves(
    correct: Sequence[CorrectKeypoints], baseline: Sequence[CorrectKeypoints], path: Path
) -> None:
    """Plot PCK against its threshold, 0 to 0.5, for each joint and all together.

    Args:
        correct: a panel each.
        baseline: the mean pose's, for the same panels; may be empty.
        path: a PNG file; the same figures give the same bytes.
    """
    with panels(path, len(correct)) as drawn:
        for place, (axes, one) in enumerate(zip(drawn, correct, strict=True)):
            _panel(axes, one, baseline[place].mean_curve() if place < len(baseline) else None)


def _panel(axes: Axes, correct: CorrectKeypoints, baseline: NDArray[np.float64] | None) -> None:
    for place, (joint, curve) in enumerate(correct.curves().items()):
        axes.plot(THRESHOLDS, curve, line_style(place), label=joint, linewidth=1)
    axes.plot(THRESHOLDS, correct.mean_curve(), color="black", linewidth=2.5, label="all joints")
    if baseline is not None:
        axes.plot(THRESHOLDS, baseline, color="grey", linewidth=2.5, label="mean pose")
    axes.set(xlim=(0, 0.5), ylim=(0, 1), title=f"{correct.name} of {correct.persons} people")
    axes.set(xlabel=f"threshold, {_TITLES[correct.name]}", ylabel="share of labelled joints found")
    legend_beside(axes)
