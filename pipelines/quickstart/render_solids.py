"""Render pictures of simple solids with ground-truth boxes, for the quickstart.

Each picture shows one to seven solids (cube, sphere, cone, torus) on a textured ground, in
varied light, seen from a varied camera. Picture i depends only on (seed, i), so any range of
pictures can be rendered again, alone or by several processes that share one --out folder.

Boxes come from visible pixels, not from projected corners: a second, unfiltered render paints
each solid with its own number. A solid counts as hidden when fewer than MIN_PIXELS of its pixels
are visible, or less than MIN_SHARE of those it would show without the other solids. A hidden
solid is taken out of the scene before the picture is rendered, so every solid in a picture has
exactly one box, and no picture shows a solid without a box.

    pip install "bpy==4.5.*" numpy pillow
    python render_solids.py --out DIR --count 20 --seed 1

writes DIR/images/NNNN.jpg, DIR/rows/NNNN.csv (one a picture; a picture that has one is not
rendered again) and, at the end, DIR/ground_truth.csv: all rows in DIR/rows, by filename.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from solids.rendering import box_of, render, set_up, set_up_numbers, set_up_picture, visible_masks
from solids.scene import Settings, build

COLUMNS = ("filename", "width", "height", "class", "score", "xmin", "ymin", "xmax", "ymax")


def make_picture(index: int, settings: Settings, scratch: Path) -> None:
    """Write images/NNNN.jpg, then rows/NNNN.csv, whose presence marks the picture as done."""
    name = f"{index:04d}"
    rows_path = settings.out / "rows" / f"{name}.csv"
    if rows_path.exists():
        return
    masks: list[np.ndarray] = []
    attempt = 0
    while not masks:  # a scene can turn out empty: draw another
        rng = random.Random(f"{settings.seed} {index} {attempt}")
        solids, ground = build(settings, rng)
        set_up(settings)
        set_up_numbers()
        masks = visible_masks(solids, ground, scratch)
        attempt += 1
    set_up_picture(settings)
    pixels = render(scratch)
    image_path = settings.out / "images" / f"{name}.jpg"
    Image.fromarray(pixels).save(image_path, quality=settings.quality, optimize=True)
    size = (settings.width, settings.height)
    rows = [
        (image_path.name, *size, solid.name.split(".")[0], 1, *box_of(mask))
        for solid, mask in zip(solids, masks, strict=True)
    ]
    write_rows(rows_path, rows)


def write_rows(path: Path, rows: list[tuple[object, ...]]) -> None:
    """Write a CSV under another name first, so that `path` is whole or absent."""
    draft = path.with_suffix(f".{os.getpid()}.part")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    draft.replace(path)


def join_rows(out: Path) -> None:
    """Write ground_truth.csv from all of rows/, by filename."""
    rows: list[tuple[object, ...]] = []
    for path in sorted((out / "rows").glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            rows.extend(tuple(row) for row in list(csv.reader(file))[1:])
    write_rows(out / "ground_truth.csv", sorted(rows, key=lambda row: str(row[0])))


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Render pictures of solids with their boxes.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--count", type=int, default=20, help="pictures to render")
    parser.add_argument("--first", type=int, default=0, help="index of the first picture")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other pictures")
    parser.add_argument("--width", type=int, default=320, help="pixels")
    parser.add_argument("--height", type=int, default=240, help="pixels")
    parser.add_argument("--samples", type=int, default=8, help="Cycles samples a pixel")
    parser.add_argument("--quality", type=int, default=85, help="JPEG quality, 1 to 95")
    parser.add_argument("--threads", type=int, default=1, help="threads Blender may use")
    return parser.parse_args()


def main() -> None:
    """Render the pictures asked for that are not there yet."""
    arguments = vars(parse_arguments())
    first, count = arguments.pop("first"), arguments.pop("count")
    settings = Settings(**arguments)
    for folder in ("images", "rows"):
        (settings.out / folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for index in range(first, first + count):
            make_picture(index, settings, Path(scratch) / "render.png")
            print(f"{index - first + 1}/{count}", end="\r", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    join_rows(settings.out)


if __name__ == "__main__":
    main()
