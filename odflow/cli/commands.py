"""The commands that take a pipeline, and those about stages."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from odflow.cli.parser import Parser
from odflow.errors import ConfigError
from odflow.graph.registry import Registry
from odflow.terminal import shown

if TYPE_CHECKING:
    from odflow.graph.record import StageRecord
    from odflow.graph.store import Store
    from odflow.graph.task import Engine

_HEAD = ("stage", "state", "seconds", "peak memory")


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        help: one line.
        flags: adds its flags to a parser.
        run: does it; gives the exit code.
    """

    help: str
    flags: Callable[[Parser], None]
    run: Callable[[Namespace, Registry], int]


def start(name: str, words: list[str], registry: Registry) -> int:
    """Run a command with the words after it; the exit code."""
    command = COMMANDS[name]
    parser = Parser(name, f"{command.help}.")
    command.flags(parser)
    return command.run(parser.parse(words), registry)


def jobs_flag(parser: Parser) -> None:
    """Add --jobs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    about = f"how many pieces of work at once (here {cores} if left out)"
    parser.add_argument("--jobs", type=_positive, default=cores, metavar="N", help=about)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"--keep-runs is {text!r}; wanted a whole number from 0.")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ConfigError(f"--jobs is {text!r}; wanted a whole number from 1.")
    return int(text)


def json_flag(parser: Parser) -> None:
    """Add --json."""
    about = (
        "print what was done as JSON, with the numbers that stages counted; their lines go to standard error"
    )
    parser.add_argument("--json", action="store_true", help=about)


def _pipeline_flag(parser: Parser) -> None:
    parser.add_argument("pipeline", type=Path, metavar="PIPELINE", help="the YAML file")


def _status_flags(parser: Parser) -> None:
    _pipeline_flag(parser)
    _workdir_flag(parser)
    json_flag(parser)


def _set_flag(parser: Parser) -> None:
    _pipeline_flag(parser)
    about = "params.NAME=VALUE or STAGE.FIELD=VALUE, in place of what the file says; may come several times"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=about)


def _workdir_flag(parser: Parser) -> None:
    about = "where outputs and run.json are (runs/NAME-OF-THE-PIPELINE if left out)"
    parser.add_argument("--workdir", type=Path, metavar="DIR", help=about)


def _selection_flags(parser: Parser) -> None:
    _set_flag(parser)
    _workdir_flag(parser)
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--only", metavar="STAGE", help="this stage alone, from the results of those before it")
    one.add_argument("--until", metavar="STAGE", help="this stage and those before it")
    about = "run it even when it has a result; may come several times"
    parser.add_argument("--force", action="append", default=[], metavar="STAGE", help=about)
    json_flag(parser)


def _run_flags(parser: Parser) -> None:
    _selection_flags(parser)
    jobs_flag(parser)
    about = "where work runs: processes of this machine, or tasks of a Ray cluster (local)"
    parser.add_argument("--engine", choices=["local", "ray"], default="local", help=about)
    about = "of the Ray cluster; one of this machine is started if left out"
    parser.add_argument("--address", metavar="ADDRESS", help=about)


def _format_flag(parser: Parser) -> None:
    _set_flag(parser)
    parser.add_argument(
        "--format", choices=["mermaid", "dot"], default="mermaid", help="of the text (mermaid)"
    )


def _gc_flags(parser: Parser) -> None:
    about = "how many runs of each work folder keep their results"
    parser.add_argument("--keep-runs", type=_count, required=True, metavar="N", help=about)


def _no_flags(parser: Parser) -> None:
    pass


def _run(given: Namespace, registry: Registry) -> int:
    from odflow.graph.pipeline import Selection
    from odflow.graph.reading import read_pipeline
    from odflow.graph.record import record_text
    from odflow.graph.run import run
    from odflow.graph.screen import Screen

    selection = Selection(given.only, given.until, tuple(given.force))
    pipeline = read_pipeline(given.pipeline, registry, given.set, selection)
    workdir = _workdir(given)
    store = _store()
    engine = _engine(given)
    try:
        screen = Screen(sys.stderr if given.json else None)
        outcome = run(pipeline, selection, store, workdir, engine, screen)
    finally:
        engine.close()
    if given.json:
        print(record_text(outcome.record), end="")
        return outcome.exit_code
    stages = outcome.record.stages
    rows = [_row(name, stages[name]) for name in outcome.selected]
    _print_table(_HEAD, rows)
    states = [row[1] for row in rows]
    if outcome.exit_code:
        failed = [row[0] for row in rows if row[1] == "failed"]
        _tell(f"failed: {', '.join(failed)} ({outcome.record.seconds:.1f} s)")
    elif set(states) == {"cached"}:
        _tell(f"nothing to do: all {len(rows)} stages are cached. Outputs: {workdir}")
    else:
        told = {"done": "ran", "cached": "cached", "fetched": "fetched"}
        counts = [f"{states.count(state)} {word}" for state, word in told.items() if state in states]
        _tell(f"done: {', '.join(counts)}, {outcome.record.seconds:.1f} s. Outputs: {workdir}")
    return outcome.exit_code


def _engine(given: Namespace) -> Engine:
    if given.engine == "ray":
        from odflow.engines.ray import RayEngine

        return RayEngine(given.jobs, given.address)
    from odflow.engines.local import LocalEngine

    if given.address:
        raise ConfigError("--address is of a Ray cluster. Add --engine ray.")
    return LocalEngine(given.jobs)


def _plan(given: Namespace, registry: Registry) -> int:
    from odflow.graph.input_places import check_links, check_places
    from odflow.graph.pipeline import Selection
    from odflow.graph.plan import Planner, plan
    from odflow.graph.reading import read_pipeline
    from odflow.graph.record import read_record
    from odflow.graph.workdir import Workdir

    selection = Selection(given.only, given.until, tuple(given.force))
    pipeline = read_pipeline(given.pipeline, registry, given.set, selection)
    store, workdir = _store(), _workdir(given)
    check_places(pipeline, selection, workdir, store.folder)
    record = read_record(workdir)
    ended_well = record is not None and record.state == "done"
    if not ended_well:
        check_links(pipeline, selection, workdir, store.folder)
        pipeline.check(selection, store.folder)
    last = record.stages if record else {}
    steps = plan(pipeline, selection, Planner(store, last, selection.force))
    if ended_well and any(step.result is None for step in steps):  # what is cached has been checked
        check_links(pipeline, selection, workdir, store.folder)
        pipeline.check(selection, store.folder)
    copies = Workdir(workdir, store, last)
    moves = [line for step in steps for line in copies.moves(step)]
    if given.json:
        told = [{"stage": step.node.name, "state": step.state, "why": step.why} for step in steps]
        print(json.dumps({"stages": told, "moves": moves}, indent=1))
        return 0
    _print_table(
        ("stage", "state", "why"),
        [(step.node.name, step.state, step.why) for step in steps],
    )
    for line in moves:
        _tell(line)
    return 0


def _status(given: Namespace, registry: Registry) -> int:
    from odflow.graph.record import read_record, record_text

    if not given.pipeline.is_file():
        raise ConfigError(f"{given.pipeline}: there is no such pipeline file.")
    record = read_record(_workdir(given))
    if record is None:
        known = os.path.lexists(_workdir(given) / "run.json")  # what is wrong with it has been told
        told = "its last run is not known" if known else "has not run yet"
        _tell("null" if given.json else f"{given.pipeline}: {told}.")
        return 0
    if given.json:
        print(record_text(record), end="")
        return 0
    _tell(f"{record.pipeline}: {record.state}, {record.started}, {record.seconds:.1f} s")
    rows = [
        (*_row(name, stage), (stage.key or "-")[:12], " ".join(stage.outputs.values()))
        for name, stage in record.stages.items()
    ]
    _print_table((*_HEAD, "key", "outputs"), rows)
    for stage in record.stages.values():
        for line in stage.error.split("\n") if stage.error else ():
            _tell(line)
    return 0


def _graph(given: Namespace, registry: Registry) -> int:
    from odflow.graph.drawing import dot, mermaid
    from odflow.graph.reading import read_pipeline

    pipeline = read_pipeline(given.pipeline, registry, given.set)
    print(mermaid(pipeline) if given.format == "mermaid" else dot(pipeline), end="")
    return 0


def _stages(given: Namespace, registry: Registry) -> int:
    from odflow.graph.stage import summary

    rows = [(name, summary(stage)) for name, stage in registry.working().items()]
    _print_table(("stage", "what for"), rows)
    return 0


def _schema(given: Namespace, registry: Registry) -> int:
    from odflow.graph.schema import schema

    print(json.dumps(schema(registry), indent=2))
    return 0


def _gc(given: Namespace, registry: Registry) -> int:
    from odflow.graph.upkeep import collect

    removed = collect(_existing_store(), given.keep_runs)
    print(f"removed {removed.results} results, {removed.size / 2**20:.1f} MiB")
    return 0


def _verify(given: Namespace, registry: Registry) -> int:
    from tqdm import tqdm

    from odflow.graph.upkeep import results, verify

    store = _existing_store()
    folders = results(store)
    with store.in_use():
        wrong = verify(store, tqdm(folders, desc="verify", unit="result", disable=None, leave=False))
    for line in wrong:
        _tell(line)
    print(f"{len(folders)} results, {len(wrong)} files wrong")
    return 1 if wrong else 0


def _existing_store() -> Store:
    folder = _store_folder()
    if not folder.is_dir():
        raise ConfigError(f"{folder}: there is no store. Run a pipeline, or name another in ODFLOW_STORE.")
    return _store()


def _workdir(given: Namespace) -> Path:
    return Path(given.workdir or Path("runs") / given.pipeline.stem)


def _store() -> Store:
    from odflow.graph.store import Store

    url = os.environ.get("ODFLOW_REMOTE")
    if not url:
        return Store(_store_folder())
    from odflow.graph.remote import Remote

    return Store(_store_folder(), Remote(url))


def _store_folder() -> Path:
    return Path(os.environ.get("ODFLOW_STORE") or ".odflow")


def _row(name: str, stage: StageRecord) -> tuple[str, str, str, str]:
    mebibytes = stage.peak / 2**20
    memory = f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"
    return name, stage.state, f"{stage.seconds:.1f}", memory if stage.peak else "-"


def _tell(line: str) -> None:
    """Print a line that may hold names of files, or what another machine wrote."""
    print(shown(line))


def _print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    lines = [[shown(cell) for cell in line] for line in (head, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


COMMANDS = {
    "run": Command("Run what has no result yet", _run_flags, _run),
    "plan": Command("Tell what would run and why; nothing runs", _selection_flags, _plan),
    "status": Command("Tell what the last run did", _status_flags, _status),
    "graph": Command("Draw which stage reads from which", _format_flag, _graph),
    "stages": Command("List every stage, built in or plugged in", _no_flags, _stages),
    "gc": Command("Remove the results that the last runs did not use", _gc_flags, _gc),
    "verify": Command("Read every result in the store again and list what is damaged", _no_flags, _verify),
    "schema": Command("Print the JSON Schema of pipeline files, for editors", _no_flags, _schema),
}
