"""Peak memory of commands at ten times the input: `detect`, `records`, `evaluate`, `filter`, `split`.

    python benchmarks/memory.py [--shared ../shared] [--few 128] [--many 1280] [--rows 600000]
                                [--only filter split]

`detect`, `records` and `evaluate` take the photographs of coco128 under as many names as it takes; `filter`
and `split` take tables whose images are scattered through them, 60,000 whatever the number of rows.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def megabytes(command: list[str]) -> float:
    """Run a command and tell the peak of its resident memory, its workers' included."""
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-m", "odflow", *command], cwd=ROOT, **silent)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: odflow {' '.join(command)}")
    return usage.ru_maxrss / 1024


def link_images(shared: Path, folder: Path, count: int) -> None:
    """Give `count` names to the photographs; copies where the disk cannot link."""
    paths = sorted((shared / "data/coco128/images").rglob("*.jpg"))
    folder.mkdir()
    for number in range(count):
        path = paths[number % len(paths)]
        target = folder / f"{number // len(paths):04d}_{path.name}"
        try:
            target.hardlink_to(path)
        except OSError:
            shutil.copy(path, target)


def measure_images(shared: Path, folder: Path, count: int, only: list[str]) -> dict[str, float]:
    """Megabytes of each command with `count` images."""
    images, out = folder / f"images{count}", folder / f"out{count}"
    link_images(shared, images, count)
    model = shared / "models/ssd_mobilenet_v1_coco/frozen_inference_graph.pb"
    label_map = shared / "models/ssd_mobilenet_v1_coco/mscoco_label_map.pbtxt"
    common = ["--images", f"{images}", "--label-map", f"{label_map}", "--out", f"{out}"]
    found = f"{out / 'detections.csv'}"
    commands = {
        "detect": ["detect", "--model", f"{model}", *common],
        "records": ["records", "--detections", found, *common],
        "evaluate": [
            *("evaluate", "--model", f"{model}", "--annotations", found),
            *(*common[:-1], f"{out}/evaluated"),
        ],
    }
    return {name: megabytes(command) for name, command in commands.items() if name in only}


def measure_rows(folder: Path, count: int, only: list[str]) -> dict[str, float]:
    """Megabytes of each command with a table of `count` rows."""
    table, out, numbers = folder / f"{count}.csv", folder / f"rows{count}", random.Random(0)
    row = "frames/of/video_{:05d}.jpg,640,480,{},{:.7f},{},20,{},400.5\n".format
    with table.open("w") as file:
        file.write("filename,width,height,class,score,xmin,ymin,xmax,ymax\n")
        for _ in range(count):
            kind, left = numbers.choice(("person", "car", "dog")), numbers.randrange(300)
            file.write(row(numbers.randrange(60_000), kind, numbers.random(), left, left + 100))
    rules = ["--min-score", "0.3", "--classes", "person", "car"]
    commands = {
        "filter": ["filter", *rules],
        "filter of images": ["filter", *rules, "--max-per-image", "5"],
        "split": ["split"],
    }
    return {
        name: megabytes([*command, "--detections", f"{table}", "--out", f"{out}/{name}"])
        for name, command in commands.items()
        if command[0] in only
    }


def tell(few: dict[str, float], many: dict[str, float], what: str, counts: tuple[int, int]) -> None:
    for name in few:
        print(f"{name}: {few[name]:.0f} MB at {counts[0]} {what}, {many[name]:.0f} MB at {counts[1]}")
        if name == "evaluate":
            kept = (many[name] - few[name]) * 1024 / (counts[1] - counts[0])
            print(f"evaluate keeps {kept:.1f} KB an image (wanted < 4)")
        print(f"{name} memory ratio: {many[name] / few[name]:.3f} (wanted < 1.1)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ["detect", "records", "evaluate", "filter", "split"]
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--few", type=int, default=128)
    parser.add_argument("--many", type=int, default=1280)
    parser.add_argument("--rows", type=int, default=600_000)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    given = parser.parse_args()
    shared = given.shared.resolve()
    with tempfile.TemporaryDirectory() as folder:
        if {"filter", "split"} & set(given.only):
            rows = (given.rows, 10 * given.rows)
            few, many = (measure_rows(Path(folder), count, given.only) for count in rows)
            tell(few, many, "rows", rows)
        if not {"detect", "records", "evaluate"} & set(given.only):
            return
        if not (shared / "models").is_dir():
            sys.exit(f"{shared}: no models there. Give --shared, the folder of models and data.")
        images = (given.few, given.many)
        few, many = (measure_images(shared, Path(folder), count, given.only) for count in images)
        tell(few, many, "images", images)


if __name__ == "__main__":
    main()
