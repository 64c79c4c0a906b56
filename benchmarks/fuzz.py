"""Damaged files for every reader, for as long as there is time.

    python benchmarks/fuzz.py [--minutes 5] [--only NAME ...] [--seed TEXT]

Each reader has a process of its own and the same share of the time. Of each it prints how many files
were read and refused, the slowest in seconds of processor time, and the memory that reading took at
its most, in MiB. Unexpected is any error but odflow's own, a message that does not name the file or
cannot be shown, more than 10 s or 1 GiB, no answer for two minutes, and a process that dies. The table
is tests/fuzz/readers.py. The last line counts what was unexpected; above 0 is a failure.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]

SILENT = 120.0
MOST_MEMORY = 1 << 30


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--only", nargs="+", help="names of readers; all if left out")
    parser.add_argument("--seed", default="", help="another text gives other files")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--skip", type=int, default=0, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        return read_files(given.child, given.seed, given.skip, given.minutes * 60)
    from fuzz.readers import READERS

    names = given.only or list(READERS)
    total = unexpected = 0
    print(f"{'reader':24} {'files':>8} {'read':>8} {'refused':>8} {'slowest':>8} {'memory':>7} unexpected")
    for name in names:
        found = watch(name, given.seed, given.minutes * 60 / len(names))
        print(
            f"{name:24} {found['files']:8} {found['read']:8} {found['refused']:8} {found['slowest']:7.2f}s "
            f"{found['memory'] / 2**20:6.0f}M {len(found['unexpected'])}",
            flush=True,
        )
        for line in found["unexpected"][:5]:
            print(f"    {line[:1000]}")
        total, unexpected = total + found["files"], unexpected + len(found["unexpected"])
    print(f"files: {total}\nunexpected: {unexpected}")
    return int(unexpected > 0)


def watch(name: str, seed: str, seconds: float) -> dict:
    """Have a process read files; where it dies or hangs, another goes on after the file."""
    found = {"files": 0, "read": 0, "refused": 0, "slowest": 0.0, "memory": 0, "unexpected": []}
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        command = [sys.executable, __file__, "--child", name, "--seed", seed]
        command += ["--skip", str(found["files"]), "--minutes", str(left / 60)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
            heard = [time.monotonic()]
            guard = threading.Thread(target=kill_silent, args=(child, heard), daemon=True)
            guard.start()
            for line in child.stdout or ():
                heard[0] = time.monotonic()
                note(found, json.loads(line))
        if child.returncode == 0:
            break
        found["files"] += 1
        found["unexpected"].append(f"file {found['files'] - 1}: the process ended with {child.returncode}")
    return found


def kill_silent(child: subprocess.Popen, heard: list[float]) -> None:
    while child.poll() is None:
        if time.monotonic() - heard[0] > SILENT:
            child.kill()
        time.sleep(1)


def note(found: dict, said: dict) -> None:
    """Add what a process told of some files."""
    for key in ("files", "read", "refused"):
        found[key] += said[key]
    for key in ("slowest", "memory"):
        found[key] = max(found[key], said[key])
    found["unexpected"] += said["unexpected"]


def read_files(name: str, seed: str, skip: int, seconds: float) -> int:
    """Read files, and tell of each on standard output; what one does to the process, its exit tells."""
    import warnings

    from fuzz.readers import READERS, attempt

    warnings.simplefilter("ignore")
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        for seeded in reader.seeds():  # libraries are loaded before memory is counted
            attempt(reader, Path(folder), seeded)
        base, end = peak(), time.monotonic() + seconds
        for number, content in enumerate(reader.contents(f"{name}{seed}")):
            if time.monotonic() > end and number >= skip + 1:
                break
            if number < skip:
                continue
            outcome = attempt(reader, Path(folder), content)
            unexpected = []
            memory = peak() - base
            if outcome.kind == "unexpected":
                unexpected = [f"file {number}: {outcome.said} {content[:300]!r}"]
            elif memory > MOST_MEMORY:
                unexpected, base = [f"file {number}: took {memory / 2**20:.0f} MiB"], peak()
            told = {"files": 1, "read": outcome.kind == "read", "refused": outcome.kind == "refused"}
            told |= {"slowest": outcome.seconds, "memory": memory, "unexpected": unexpected}
            print(json.dumps(told), flush=True)
    return 0


def peak() -> int:
    """Bytes of memory that this process had at its most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    sys.exit(main())
