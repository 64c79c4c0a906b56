"""Images per second of `python -m odflow records` against the usual script's, both as commands.

Usage: python benchmarks/records.py [--images 3000] [--data ../shared/data/coco128] [--rounds 3]

All write every image of one table, imports included, in turn: odflow with both kinds of
`verify`, and the script, which looks at headers alone. The last lines are the ratios of their
median rates.
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

from odflow.formats.detection_writer import write_detections
from odflow.formats.detections import read_detections
from odflow.formats.images import find_images
from odflow.formats.label_map import read_label_map

PROJECT = Path(__file__).resolve().parent.parent
LABEL_MAP = PROJECT / "label_maps/mscoco_label_map.pbtxt"
WANTED = {"pixels": 2.0, "structure": 3.8}


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
    print(f"medians: {', '.join(f'{name} {rate:.0f} images/s' for name, rate in rates.items())}")
    for verify, wanted in WANTED.items():
        ratio = rates[verify] / rates["peer"]
        print(f"records ratio, verify: {verify}: {ratio:.1f} (wanted >= {wanted})")


def prepare(folder: Path, data: Path, count: int) -> None:
    """Link the photographs under as many names as it takes, and write their table."""
    import pandas as pd

    given = ["--annotations", data / "object_detection/labels", "--images", data / "images"]
    given += ["--names", data / "object_detection/config.yaml", "--out", folder / "imported"]
    timed(["-m", "odflow", "import", "--format", "yolo", *given])
    images = find_images(data / "images")
    once = read_detections(folder / "imported/annotations.csv")
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
    both = {verify: [*ours, "--verify", verify, "--out", folder / verify] for verify in WANTED}
    return {**both, "peer": peer}


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, cwd=PROJECT, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
