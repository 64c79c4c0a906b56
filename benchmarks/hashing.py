"""Bytes per second of odflow's first look at a folder over those of sha256sum in two processes.

    python benchmarks/hashing.py [--rounds 5] [--files 5000] [--mebibytes 1024]

Both are whole processes on the same files of random bytes, which the page cache holds, in
turn. odflow starts with an empty memory and fills it. Both must find the same digests. The
last line is the ratio of the medians.
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

PROJECT = Path(__file__).resolve().parent.parent
WANTED = 0.8
ODFLOW = """
import sys
from pathlib import Path
from odflow.graph.content import Digests
from odflow.graph.memory import Memory

content = Digests(Memory(Path(sys.argv[2]))).content(Path(sys.argv[1]))
sys.stdout.writelines(f"{entry.sha256}  {entry.path}\\n" for entry in content.entries)
"""


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--files", type=int, default=5000)
    options.add_argument("--mebibytes", type=int, default=1024, help="of all files together")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "files")
        write_files(folder, given.files, given.mebibytes * 2**20)
        check(folder, Path(temporary, "checked.sqlite"))
        rates: dict[str, list[float]] = {"sha256sum": [], "odflow": []}
        for number in range(given.rounds):
            memory = Path(temporary, f"{number}.sqlite")
            for name, command in (("sha256sum", peer(folder, 2)), ("odflow", ours(folder, memory))):
                rates[name].append(given.mebibytes / seconds(command))
            both = ", ".join(f"{name} {found[-1]:.0f} MiB/s" for name, found in rates.items())
            print(f"round {number + 1}: {both}", flush=True)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    ratio = medians["odflow"] / medians["sha256sum"]
    print(f"medians: {', '.join(f'{name} {rate:.0f} MiB/s' for name, rate in medians.items())}")
    print(f"hashing ratio: {ratio:.2f} (wanted >= {WANTED})")
    sys.exit(ratio < WANTED)


def write_files(folder: Path, count: int, size: int) -> None:
    """Spread random bytes over files in folders of 500, their sizes from half to one and a half."""
    for number in range(count):
        path = folder / f"{number // 500:03d}" / f"image_{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        # Sizes that differ, and pair by pair come to twice the mean.
        part = (number // 2) % 100 / 100 - 0.5
        path.write_bytes(os.urandom(int(size / count * (1 + (part if number % 2 else -part)))))


def peer(folder: Path, processes: int) -> list[str]:
    find = f"cd '{folder}' && find . -type f -print0"
    return ["sh", "-c", f"{find} | xargs -0 -P{processes} -n 64 sha256sum"]


def ours(folder: Path, memory: Path) -> list[str]:
    return [sys.executable, "-c", ODFLOW, str(folder), str(memory)]


def check(folder: Path, memory: Path) -> None:
    """Compare every digest; one process of sha256sum, since the lines of two may run into each other."""
    told = [
        sorted(line.replace("  ./", "  ") for line in run(command).splitlines())
        for command in (peer(folder, 1), ours(folder, memory))
    ]
    if told[0] != told[1]:
        sys.exit("odflow and sha256sum disagree about a digest.")
    print(f"{len(told[0])} digests are the same")


def seconds(command: list[str]) -> float:
    start = time.perf_counter()
    run(command)
    return time.perf_counter() - start


def run(command: list[str]) -> str:
    return subprocess.run(command, check=True, cwd=PROJECT, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
