"""Plots as PNG files."""

import json

import numpy as np
from PIL import Image

from odflow.formats.plots import panels, plot_evaluations


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_the_same_drawing_gives_the_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        with panels(tmp_path / name, 2) as (left, right):
            left.plot([1, 2], [3, 4])
            right.plot([1, 2], [4, 3])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert pixels(tmp_path / "a.png").shape == (500, 1600, 3)


def test_evaluations_go_by_step_and_leave_gaps_out(tmp_path):
    def plot(name, evaluations):
        (tmp_path / "evaluations.json").write_text(json.dumps(evaluations))
        plot_evaluations(tmp_path / "evaluations.json", {"IoU": ["mIoU", "none"]}, tmp_path / name)
        return pixels(tmp_path / name)

    ordered = plot("a.png", {"2": {"mIoU": 0.1}, "10": {"mIoU": 0.5}})
    assert (plot("b.png", {"10": {"mIoU": 0.5}, "2": {"mIoU": 0.1}}) == ordered).all()
    assert (plot("c.png", {"2": {"mIoU": 0.1}, "4": {"mIoU": None}, "10": {"mIoU": 0.5}}) == ordered).all()
    assert (plot("d.png", {"2": {"mIoU": 0.1}, "4": {"mIoU": 0.9}, "10": {"mIoU": 0.5}}) != ordered).any()
