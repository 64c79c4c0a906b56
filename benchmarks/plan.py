"""Time of `python -m odflow plan` that finds a mistake, over that of importing pandas alone.

    python benchmarks/plan.py [--rounds 3]

Plants every mistake of tests/unit/test_check_mistakes.py, one after the other, in a copy of
pipelines/retrain.yaml with the quickstart's teacher. A figure is the wall time of the whole
command. Prints the median and the slowest, and the ratio of medians to a Python that imports
pandas, run in turn. A median of a second or more is a failure.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

PROJECT = Path(__file__).resolve().parent.parent
WANTED = 1.0


def mistakes() -> ModuleType:
    """The table of the tests."""
    path = PROJECT / "tests/unit/test_check_mistakes.py"
    spec = importlib.util.spec_from_file_location("mistakes", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def seconds(command: list[str], code: int) -> float:
    """Wall time of a command that must end with a code."""
    began = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(PROJECT)}
    )
    spent = time.perf_counter() - began
    if done.returncode != code:
        raise SystemExit(f"{command}: ended with {done.returncode}, not {code}: {done.stderr.decode()}")
    return spent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="times that each mistake is told")
    given = parser.parse_args()
    table = mistakes()
    ours: dict[str, float] = {}
    peer: list[float] = []
    for name in table.MISTAKES:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            table.set_up(PROJECT)
            mistake = table.mistake(name)
            if mistake.here_only:  # plants it in the test's own process
                os.chdir(PROJECT)
                continue
            mistake.change()
            words = [word for setting in mistake.settings for word in ("--set", setting)]
            command = [sys.executable, "-m", "odflow", "plan", "retrain.yaml", *words]
            ours[name] = statistics.median(seconds(command, 2) for _ in range(given.rounds))
            peer.append(seconds([sys.executable, "-c", "import pandas"], 0))
            os.chdir(PROJECT)
    for name, spent in ours.items():
        print(f"{spent:6.2f} s  {name}")
    middle, slowest = statistics.median(ours.values()), max(ours.values())
    print(f"{len(ours)} mistakes: median {middle:.2f} s, slowest {slowest:.2f} s")
    print(
        f"ratio to importing pandas ({statistics.median(peer):.2f} s): {middle / statistics.median(peer):.2f}"
    )
    return int(slowest >= WANTED)


if __name__ == "__main__":
    raise SystemExit(main())
