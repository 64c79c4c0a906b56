"""Peak memory of commands at ten times the input: `detect`, `records`, `evaluate`, `filter`, `split`.

    python benchmarks/memory.py [--shared ../shared] [--few 128] [--many 1280] [--rows 600000]
                                [--names 10000] [--only filter split]

`detect`, `records` and `evaluate` take the photographs of coco128 under as many names as it takes; `filter`
and `split` take tables whose images are scattered through them, 60,000 whatever the number of rows.
What `evaluate` keeps of an image is too little beside TensorFlow's own to show there: it is told from a model
that finds the same 100 boxes in every image, of --names images and three times as many, 8 boxes in each.
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

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent

SAME_BOXES = """
import sys
import numpy as np
import tensorflow as tf

rng = np.random.default_rng(0)
low = rng.uniform(0, 0.6, (1, 100, 2))
with tf.Graph().as_default() as graph:
    tf.compat.v1.placeholder(tf.uint8, (None, None, None, 3), name="image_tensor")
    boxes = np.concatenate((low, low + rng.uniform(0.1, 0.4, (1, 100, 2))), axis=-1)
    tf.constant(boxes, tf.float32, name="detection_boxes")
    tf.constant(-np.sort(-rng.random((1, 100))), tf.float32, name="detection_scores")
    tf.constant(rng.choice([1, 2, 3], (1, 100)), tf.float32, name="detection_classes")
    tf.constant([100], tf.float32, name="num_detections")
open(sys.argv[1], "wb").write(graph.as_graph_def().SerializeToString())
"""
CLASSES = ("person", "car", "dog")


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
    run = {"detect", *only}  # the others take what it finds
    measured = {name: megabytes(command) for name, command in commands.items() if name in run}
    return {name: used for name, used in measured.items() if name in only}


def measure_rows(folder: Path, count: int, only: list[str]) -> dict[str, float]:
    """Megabytes of each command with a table of `count` rows."""
    table, out, numbers = folder / f"{count}.csv", folder / f"rows{count}", random.Random(0)
    row = "frames/of/video_{:05d}.jpg,640,480,{},{:.7f},{},20,{},400.5\n".format
    with table.open("w") as file:
        file.write("filename,width,height,class,score,xmin,ymin,xmax,ymax\n")
        for _ in range(count):
            kind, left = numbers.choice(CLASSES), numbers.randrange(300)
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


def measure_truths(folder: Path, count: int) -> dict[str, float]:
    """Megabytes of `evaluate` with `count` small images, whose ground truth is records or a table."""
    images, out, numbers = folder / f"names{count}", folder / f"truths{count}", random.Random(0)
    table, model, label_map = folder / f"truth{count}.csv", folder / "same.pb", folder / "classes.pbtxt"
    items = (f"item {{ id: {number} name: '{name}' }}" for number, name in enumerate(CLASSES, 1))
    label_map.write_text("\n".join(items))
    subprocess.run([sys.executable, "-c", SAME_BOXES, model], check=True, stderr=subprocess.DEVNULL)
    images.mkdir()
    Image.new("RGB", (64, 64)).save(first := images / "0000000.jpg")
    for number in range(1, count):
        shutil.copy(first, images / f"{number:07d}.jpg")
    with table.open("w") as file:
        file.write("filename,width,height,class,xmin,ymin,xmax,ymax\n")
        for number in range(8 * count):
            left, kind = numbers.uniform(0, 30), numbers.choice(CLASSES)
            file.write(f"{number // 8:07d}.jpg,64,64,{kind},{left:.2f},9,{left + 20:.2f},29\n")
    of_images, known = ["--images", f"{images}"], ["--label-map", f"{label_map}", "--out"]
    megabytes(["records", "--detections", f"{table}", *of_images, *known, f"{out}"])
    evaluate = ["evaluate", "--model", f"{model}"]
    return {
        "records": megabytes([*evaluate, "--records", f"{out}/records", *known, f"{out}/1"]),
        "a table": megabytes([*evaluate, *of_images, "--annotations", f"{table}", *known, f"{out}/2"]),
    }


def tell_truths(few: dict[str, float], many: dict[str, float], counts: tuple[int, int]) -> None:
    for name in few:
        kept = (many[name] - few[name]) * 1024 / (counts[1] - counts[0])
        print(f"evaluate keeps {kept:.1f} KB an image where {name} holds the truth (wanted < 4)")


def tell(few: dict[str, float], many: dict[str, float], what: str, counts: tuple[int, int]) -> None:
    for name in few:
        print(f"{name}: {few[name]:.0f} MB at {counts[0]} {what}, {many[name]:.0f} MB at {counts[1]}")
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
    parser.add_argument("--names", type=int, default=10_000)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    given = parser.parse_args()
    shared = given.shared.resolve()
    with tempfile.TemporaryDirectory() as folder:
        if {"filter", "split"} & set(given.only):
            rows = (given.rows, 10 * given.rows)
            few, many = (measure_rows(Path(folder), count, given.only) for count in rows)
            tell(few, many, "rows", rows)
        if "evaluate" in given.only:
            names = (given.names, 3 * given.names)
            few, many = (measure_truths(Path(folder), count) for count in names)
            tell_truths(few, many, names)
        if not {"detect", "records", "evaluate"} & set(given.only):
            return
        if not (shared / "models").is_dir():
            sys.exit(f"{shared}: no models there. Give --shared, the folder of models and data.")
        images = (given.few, given.many)
        few, many = (measure_images(shared, Path(folder), count, given.only) for count in images)
        tell(few, many, "images", images)


if __name__ == "__main__":
    main()
