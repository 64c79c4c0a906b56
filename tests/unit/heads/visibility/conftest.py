"""Pictures of squares, discs and crosses, and records of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from odflow.formats.label_map import LabelMap, read_label_map
from odflow.graph.execute import run_alone
from odflow.stages.records import Records

SIDE = 16
"""Of a shape, pixels."""

LABEL_MAP = """
item { id: 3 name: "square" }
item { id: 1 name: "disc" display_name: "a disc" }
item { id: 7 name: "cross" }
item { id: 9 name: "ghost" }
"""

_GRID = np.stack(np.mgrid[:SIDE, :SIDE], -1) - (SIDE - 1) / 2
_MASKS = {
    "square": np.ones((SIDE, SIDE), bool),
    "disc": np.hypot(*_GRID.transpose(2, 0, 1)) <= SIDE / 2,
    "cross": (np.abs(_GRID) < 3).any(-1),
}
NAMES = tuple(_MASKS)


@dataclass(frozen=True)
class Shapes:
    """Images, a table of their boxes, and both as records.

    Attributes:
        folder: with the images, `boxes.csv`, `label_map.pbtxt` and `records/`.
        shown: which of `NAMES` each image shows, by its file name.
    """

    folder: Path
    shown: dict[str, set[str]]

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def records(self) -> Path:
        return self.folder / "records"

    @property
    def label_map_file(self) -> Path:
        return self.folder / "label_map.pbtxt"

    @property
    def label_map(self) -> LabelMap:
        return read_label_map(self.label_map_file)


def draw_shapes(folder: Path, count: int, seed: int) -> Shapes:
    """Draw images of 72 x 96 pixels, the first of them without a shape, and write records."""
    chance = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    rows, shown = ["filename,width,height,class,xmin,ymin,xmax,ymax"], {}
    for number in range(count):
        name, picture = f"{number:03}.png", chance.integers(90, 120, (72, 96, 3))
        here = [] if number == 0 else [one for one in NAMES if chance.random() < 0.5]
        for place, one in enumerate(here):
            x, y = 32 * place + chance.integers(0, 32 - SIDE), chance.integers(0, 72 - SIDE)
            picture[y : y + SIDE, x : x + SIDE][_MASKS[one]] = chance.choice([20, 240], 3)
            called = "a disc" if one == "disc" and number % 2 else one  # either name may stand in a table
            rows.append(f"{name},96,72,{called},{x},{y},{x + SIDE},{y + SIDE}")
        Image.fromarray(picture.astype(np.uint8)).save(folder / "images" / name)
        shown[name] = set(here)
    (folder / "boxes.csv").write_text("\n".join(rows) + "\n")
    (folder / "label_map.pbtxt").write_text(LABEL_MAP)
    (folder / "images.txt").write_text("".join(f"{name}\n" for name in shown))
    made = Records(
        detections=folder / "boxes.csv",
        images=folder / "images",
        label_map=folder / "label_map.pbtxt",
        image_list=folder / "images.txt",
    )
    run_alone(made, folder)
    return Shapes(folder, shown)


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Shapes:
    """Twenty images."""
    return draw_shapes(tmp_path_factory.mktemp("shapes") / "drawn", 20, seed=3)
