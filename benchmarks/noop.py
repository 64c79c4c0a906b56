"""CPU time of `python -m odflow run` with nothing to do, over that of `dvc repro`.

    python benchmarks/noop.py [--files 10000 100000] [--rounds 5] [--dvc PATH]

Three stages, each of which reads one folder of small files and what the stage before it
wrote. Both run them once, and once more to warm up; then both are asked again, in turn, with
the same folder and nothing changed. A figure is the ratio of the medians of user and system
time of the whole commands. Without --dvc, DVC is installed into an environment of its own
(needs the network). The last lines are the ratios; above 0.35 is a failure.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
WANTED = 0.35
STAGES = ["first", "second", "third"]
NOT_SENT = ["analytics", "check_update"]


class Odflow:
    """Three stages of `odflow`.

    Args:
        home: an empty folder to work in.
        data: the folder that the stages read.
    """

    def __init__(self, home: Path, data: Path) -> None:
        self.home = home
        lines = ["stages:"]
        for before, name in zip([None, *STAGES], STAGES, strict=False):
            lines += [f"  {name}:", "    uses: noop_count", f"    folder: {data}"]
            lines += [f"    after: ${{{before}.counted}}"] * (before is not None)
        (home / "noop.yaml").write_text("\n".join(lines) + "\n")

    def ask(self) -> tuple[float, int]:
        """Run the pipeline; the CPU seconds, and how many stages were skipped."""
        ours = {"PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'benchmarks/noop_stages'}"}
        command = [sys.executable, "-m", "odflow", "run", "noop.yaml"]
        spent, _ = cpu_seconds(command, self.home, without("ODFLOW_STORE", "ODFLOW_REMOTE") | ours)
        record = json.loads((self.home / "runs/noop/run.json").read_text())
        return spent, sum(stage["state"] == "cached" for stage in record["stages"].values())


class Dvc:
    """The same stages of `dvc`, with its own settings, but that it sends nothing about us.

    Args:
        home: the folder that holds the data, as DVC has it.
        data: the folder that the stages read.
        program: `dvc`.
    """

    def __init__(self, home: Path, data: Path, program: Path) -> None:
        self.home, self.program = home, program
        name = data.relative_to(home)
        lines = ["stages:"]
        for before, stage in zip([None, *STAGES], STAGES, strict=False):
            source = f"{before}.txt" if before else ""
            command = f"(cat {source or '/dev/null'}; find {name} -type f | wc -l) > {stage}.txt"
            lines += [f"  {stage}:", f"    cmd: {command}", "    deps:", f"    - {name}"]
            lines += [f"    - {source}"] * bool(source) + ["    outs:", f"    - {stage}.txt"]
        (home / "dvc.yaml").write_text("\n".join(lines) + "\n")
        for words in (["init", "--no-scm"], *(["config", f"core.{key}", "false"] for key in NOT_SENT)):
            self._run(*words)

    def ask(self) -> tuple[float, int]:
        """Run the pipeline; the CPU seconds, and how many stages were skipped."""
        spent, said = self._run("repro")
        return spent, said.count("didn't change, skipping")

    def _run(self, *words: str) -> tuple[float, str]:
        cache = {"DVC_SITE_CACHE_DIR": str(self.home.parent / "dvc_site_cache")}
        return cpu_seconds([str(self.program), *words], self.home, without("PYTHONPATH") | cache)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--files", type=int, nargs="+", default=[10_000, 100_000])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--dvc", type=Path, help="the program; installed for this run if left out")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        program = given.dvc.absolute() if given.dvc else install_dvc(Path(temporary, "environment"))
        ratios: dict[int, float] = {}
        for count in given.files:
            home = Path(temporary, f"{count}")
            ratios[count] = measure(home, count, given.rounds, program)
    for count, ratio in ratios.items():
        print(f"noop cpu ratio {count}: {ratio:.2f}")
    sys.exit(any(ratio > WANTED for ratio in ratios.values()))


def measure(home: Path, count: int, rounds: int, program: Path) -> float:
    data = home / "dvc" / "data"
    write_files(data, count)
    (home / "odflow").mkdir()
    peers = {"dvc": Dvc(home / "dvc", data, program), "odflow": Odflow(home / "odflow", data)}
    for peer in peers.values():
        peer.ask()
        peer.ask()
    spent: dict[str, list[float]] = {name: [] for name in peers}
    for number in range(rounds):
        for name, peer in peers.items():
            seconds, skipped = peer.ask()
            if skipped != len(STAGES):
                sys.exit(f"{name}: skipped {skipped} stages of {len(STAGES)}; the figure would be of no use.")
            spent[name].append(seconds)
        both = ", ".join(f"{name} {found[-1]:.2f} s" for name, found in spent.items())
        print(f"{count} files, round {number + 1}: {both}", flush=True)
    medians = {name: statistics.median(found) for name, found in spent.items()}
    print(f"{count} files, medians: {', '.join(f'{name} {cpu:.2f} s' for name, cpu in medians.items())}")
    return medians["odflow"] / medians["dvc"]


def write_files(folder: Path, count: int) -> None:
    for number in range(count):
        path = folder / f"{number // 1000:03d}" / f"image_{number:06d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"a small file, number {number}\n")


def install_dvc(environment: Path) -> Path:
    print("installing DVC into an environment of its own ...", flush=True)
    venv.create(environment, with_pip=True)
    install = [environment / "bin/python", "-m", "pip", "install", "--quiet", "dvc"]
    subprocess.run(install, check=True, env=without("PYTHONPATH"))
    return environment / "bin/dvc"


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in names}


def cpu_seconds(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, str]:
    """Run a command; the user and system seconds of it and its children, and what it said."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT, text=True
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{text}")
    return usage.ru_utime + usage.ru_stime, text


if __name__ == "__main__":
    main()
