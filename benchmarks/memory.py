"""Peak memory of `detect` and `records`, as commands, at 1,280 images over that at 128.

    python benchmarks/memory.py [--shared ../shared] [--few 128] [--many 1280]

The images are the photographs of coco128 under as many names as it takes.
"""

from __future__ import annotations

import argparse
import os
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


def measure(shared: Path, folder: Path, count: int) -> dict[str, float]:
    """Megabytes of each command with `count` images."""
    images, out = folder / f"images{count}", folder / f"out{count}"
    link_images(shared, images, count)
    model = shared / "models/ssd_mobilenet_v1_coco/frozen_inference_graph.pb"
    label_map = shared / "models/ssd_mobilenet_v1_coco/mscoco_label_map.pbtxt"
    common = ["--images", f"{images}", "--label-map", f"{label_map}", "--out", f"{out}"]
    detections = ["--detections", f"{out / 'detections.csv'}"]
    return {
        "detect": megabytes(["detect", "--model", f"{model}", *common]),
        "records": megabytes(["records", *detections, *common]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--few", type=int, default=128)
    parser.add_argument("--many", type=int, default=1280)
    given = parser.parse_args()
    shared = given.shared.resolve()
    if not (shared / "models").is_dir():
        sys.exit(f"{shared}: no models there. Give --shared, the folder of models and data.")
    with tempfile.TemporaryDirectory() as folder:
        few, many = (measure(shared, Path(folder), count) for count in (given.few, given.many))
    for name in few:
        print(f"{name}: {few[name]:.0f} MB at {given.few} images, {many[name]:.0f} MB at {given.many}")
    for name in few:
        print(f"{name} memory ratio: {many[name] / few[name]:.3f} (wanted < 1.1)")


if __name__ == "__main__":
    main()
