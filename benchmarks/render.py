"""Seconds a picture of `python -m odflow render` against a plain script's in Blender, both as commands.

Usage: python benchmarks/render.py [--count 20] [--rounds 3]

Both render 320x240 pixels of 16 samples, in turn, Blender's start included. odflow lets the things
fall as well, and writes masks, boxes and joints. The last line is the ratio of the medians.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--count", type=int, default=20, help="pictures a round")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    seconds = {"odflow": [], "odflow figure": [], "script": []}
    for _ in range(given.rounds):
        for name, times in seconds.items():
            with tempfile.TemporaryDirectory() as folder:
                wall, processor = timed(command(name, given.count, folder))
            times.append(wall / given.count)
            print(
                f"{name}: {times[-1]:.2f} s a picture ({processor / given.count:.2f} s of processor)",
                flush=True,
            )
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    print(f"medians: {', '.join(f'{name} {time:.2f} s' for name, time in medians.items())}")
    print(f"render ratio: {medians['script'] / medians['odflow']:.1f} times the script's pictures a second")


def command(name: str, count: int, folder: str) -> list[str]:
    if name == "script":
        return [str(PROJECT / "benchmarks/render_peer.py"), str(count), folder]
    words = [
        "-m",
        "odflow",
        "render",
        "--count",
        str(count),
        "--objects-per-image",
        "4",
        "4",
        "--out",
        folder,
    ]
    return [*words, "--figure-share", "1"] if "figure" in name else words


def timed(words: list[str]) -> tuple[float, float]:
    """Seconds of the clock, and of all processors."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, cwd=PROJECT, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
