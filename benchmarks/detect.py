"""Images per second of `python -m odflow detect` over those of the plain detection loop.

    python benchmarks/detect.py [--rounds 3] [--shared ../shared]

Both are whole commands, imports included, on the same frozen graph and the 128 val2017
images, in turn; the figure is the median of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def seconds(command: list[str]) -> float:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return time.perf_counter() - begin


def commands(shared: Path, out: Path) -> tuple[list[str], list[str]]:
    model = shared / "models/ssd_mobilenet_v1_coco/frozen_inference_graph.pb"
    label_map = shared / "models/ssd_mobilenet_v1_coco/mscoco_label_map.pbtxt"
    images = shared / "data/coco128/images/val2017"
    ours = [sys.executable, "-m", "odflow", "detect", "--model", model, "--label-map", label_map]
    ours += ["--images", images, "--out", out / "odflow"]
    loop = [
        sys.executable,
        "benchmarks/detect_peer.py",
        model,
        label_map,
        images,
        out / "loop.csv",
        "0.5",
    ]
    return list(map(str, ours)), list(map(str, loop))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    given = parser.parse_args()
    if not (given.shared / "models").is_dir():
        sys.exit(f"{given.shared}: no models there. Give --shared, the folder of models and data.")
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        ours, loop = commands(given.shared, Path(folder))
        for number in range(given.rounds):
            took_loop, took_ours = seconds(loop), seconds(ours)
            ratios.append(took_loop / took_ours)
            both = f"loop {took_loop:.1f} s, odflow {took_ours:.1f} s"
            print(f"round {number + 1}: {both}, ratio {ratios[-1]:.2f}", flush=True)
    print(f"detect ratio: {statistics.median(ratios):.2f} (wanted >= 1)")


if __name__ == "__main__":
    main()
