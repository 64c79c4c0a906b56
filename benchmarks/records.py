"""Images per second of `python -m odflow records` against the usual script's, both as commands.

Usage: python benchmarks/records.py [--images 3000] [--data ../shared/data/coco128] [--rounds 3]

Both write every image of one table, imports included, in turn. The last line is the ratio
of their median rates.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from odflow.formats.detections import write_detections
from odflow.formats.images import find_images
from odflow.formats.label_map import read_label_map
from odflow.formats.yolo import read_yolo, read_yolo_names

PROJECT = Path(__file__).resolve().parent.parent
LABEL_MAP = PROJECT / "label_maps/mscoco_label_map.pbtxt"
WANTED = 3


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=3000, help="how many, as copies of those of --data")
    options.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data/coco128")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), given.data, given.images)
        seconds = {name: [] for name in commands(Path(folder))}
        for _ in range(given.rounds):
            for name, command in commands(Path(folder)).items():
                seconds[name].append(timed(command))
                print(f"{name}: {given.images / seconds[name][-1]:.0f} images/s", flush=True)
    rates = {name: given.images / statistics.median(times) for name, times in seconds.items()}
    ratio = rates["odflow"] / rates["peer"]
    print(f"medians: {', '.join(f'{name} {rate:.0f} images/s' for name, rate in rates.items())}")
    print(f"records ratio: {ratio:.1f} (wanted >= {WANTED})")


def prepare(folder: Path, data: Path, count: int) -> None:
    """Link the photographs under as many names as it takes, and write their table."""
    import pandas as pd

    names = read_yolo_names(data / "object_detection/config.yaml")
    images = find_images(data / "images")
    once = read_yolo(data / "object_detection/labels", images, names)
    images = [image for image in images if image.name in set(once["filename"])]
    tables = []
    for index in range(count):
        image = images[index % len(images)]
        copy = f"{index:06d}_{image.path.name}"
        link(image.path, folder / "images" / copy)
        tables.append(once[once["filename"] == image.name].assign(filename=copy))
    write_detections(pd.concat(tables), folder / "boxes.csv")
    (folder / "names.txt").write_text("\n".join(read_label_map(LABEL_MAP).names.values()))


def link(source: Path, target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def commands(folder: Path) -> dict[str, list[str]]:
    table, images, names = folder / "boxes.csv", folder / "images", folder / "names.txt"
    ours = ["-m", "odflow", "records", "--detections", table, "--images", images, "--label-map", LABEL_MAP]
    peer = [PROJECT / "benchmarks/records_peer.py", table, images, names, folder / "train", folder / "valid"]
    return {"odflow": [*ours, "--out", folder / "ours"], "peer": peer}


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, cwd=PROJECT, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
