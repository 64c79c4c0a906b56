"""Plots as PNG files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLES = ("-", "--", ":")


@contextmanager
def panels(path: Path, count: int) -> Iterator[Sequence[Axes]]:
    """Panels side by side to draw on; the file is written when the block ends.

    Args:
        path: a PNG file; the same drawing gives the same bytes.
        count: of the panels, each 800 x 500 pixels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8 * count, 5), dpi=100, layout="constrained")
    yield figure.subplots(1, count, squeeze=False)[0]
    figure.savefig(path, format="png", metadata={"Software": None})


def line_style(place: int) -> str:
    """The style of a line: colours come again after ten of them.

    >>> line_style(9), line_style(10)
    ('-', '--')
    """
    return _STYLES[place // 10 % len(_STYLES)]


def legend_beside(axes: Axes) -> None:
    """Name the lines to the right of a panel, where they hide nothing."""
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))


def plot_evaluations(evaluations: Path, shown: Mapping[str, Sequence[str]], path: Path) -> None:
    """Plot how metrics went during a training.

    Args:
        evaluations: the `evaluations.json` of a trained folder: step to metrics.
        shown: what the y axis of a panel is, and the metrics on it; what was never measured is left out.
        path: a PNG file.
    """
    measured = {int(step): found for step, found in json.loads(evaluations.read_text("utf-8")).items()}
    steps = sorted(measured)
    with panels(path, len(shown)) as axes:
        for panel, (title, names) in zip(axes, shown.items(), strict=True):
            for place, name in enumerate(names):
                values = [measured[step].get(name) for step in steps]
                points = [
                    (step, value) for step, value in zip(steps, values, strict=True) if value is not None
                ]
                if points:
                    panel.plot(*zip(*points, strict=True), f"o{line_style(place)}", label=name, markersize=3)
            panel.set(xlabel="step", ylabel=title)
            legend_beside(panel)
