"""Execute a pipeline: what has a result is not run again, what can run at once does."""

from __future__ import annotations

import logging
import os
import re
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from odflow.errors import ConfigError, InputError, OdflowError, StoreError
from odflow.graph.disk import held, make_folder
from odflow.graph.history import Used, keep_run, keep_tree
from odflow.graph.input_places import check_links, check_places
from odflow.graph.key import combined
from odflow.graph.making import Kept, Maker
from odflow.graph.pipeline import Node, Pipeline, Reference, Selection
from odflow.graph.plan import Planner, Step
from odflow.graph.record import RunRecord, StageRecord, State, read_record, write_record
from odflow.graph.result import Result
from odflow.graph.screen import Screen
from odflow.graph.store import Store
from odflow.graph.task import Engine
from odflow.graph.workdir import Workdir, keep_foreign
from odflow.terminal import shown

_log = logging.getLogger("odflow.run")


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        record: what was written to run.json.
        selected: the stages that were asked for, in order.
        exit_code: 0, or that of the first stage that failed.
    """

    record: RunRecord
    selected: list[str]
    exit_code: int


def run(
    pipeline: Pipeline,
    selection: Selection,
    store: Store,
    workdir: Path,
    engine: Engine,
    screen: Screen | None = None,
) -> Outcome:
    """Execute the selected stages that have no result, and put all outputs in the work folder.

    A stage that fails does not stop those that do not read from it.

    Args:
        pipeline: the stages.
        selection: which of them.
        store: where results are kept.
        workdir: gets STAGE/NAME for every output, STAGE/stage.log, and run.json.
        engine: where stages run, `engine.jobs` of them at once.
        screen: shows what they tell; the streams of this process if left out.

    Raises:
        InputError: with `only`, a stage before it has no result; or an input meets an output's place.
        ConfigError: stages know to be wrong what they are given; nothing has run.
        StoreError: run.json cannot be written.
        KeyboardInterrupt: after run.json was written; the next run goes on from there.
    """
    store.memory.check()
    check_places(pipeline, selection, workdir, store.folder)
    make_folder(workdir)
    with held(workdir / ".odflow.lock", f"a run of {pipeline.path}"), store.in_use():
        return _Run(pipeline, selection, store, workdir, engine, screen or Screen()).outcome()


class _Run:
    """One run. Threads make results; all that is noted of them is noted in the main thread.

    Attributes:
        results: of the stages that have one.
        settled: names of the stages that nothing more will happen to.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        selection: Selection,
        store: Store,
        workdir: Path,
        engine: Engine,
        screen: Screen,
    ) -> None:
        self.pipeline, self.selection, self.store = pipeline, selection, store
        self.workdir, self.engine = workdir, engine
        self.last = last = read_record(workdir)
        if last is None:
            keep_foreign(workdir)
        self.checked = False
        before = last.stages if last else {}
        self.planner = Planner(store, before, selection.force)
        self.screen = screen
        self.copies = Workdir(workdir, store, before)
        self.maker = Maker(store, engine, self.copies, self.screen.hear)
        self.results: dict[str, Result] = {}
        self.settled: set[str] = set()
        self.exit_code = 0
        self.began = time.monotonic()
        self.name = f"{time.strftime('%Y%m%dT%H%M%S')}-{time.time_ns() % 10**9:09d}-{os.getpid()}"
        kept = {name: before[name] for name in pipeline.nodes if name in before}
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self.record = RunRecord(str(pipeline.path), "running", started, stages=kept)

    def outcome(self) -> Outcome:
        selected = self.selection.names(self.pipeline)
        if self.selection.only:
            self._find_upstream(self.selection.only)
        if self.last is None or self.last.state != "done":
            self._check()
        under_way: dict[Future[Kept], _Begun] = {}
        with ThreadPoolExecutor(self.engine.jobs, thread_name_prefix="stage") as pool:
            try:
                self._work(selected, under_way, pool)
                self._write("failed" if self.exit_code else "done")
            except BaseException:
                self._interrupt(under_way)
                raise
        return Outcome(self.record, selected, self.exit_code)

    def _work(
        self, selected: list[str], under_way: dict[Future[Kept], _Begun], pool: ThreadPoolExecutor
    ) -> None:
        waiting = [self.pipeline.nodes[name] for name in selected]
        while waiting or under_way:
            ready = next((node for node in waiting if self._is_ready(node, selected)), None)
            if ready and len(under_way) < self.engine.jobs:
                waiting.remove(ready)
                begun = self._begin(ready)
                if begun:
                    under_way[pool.submit(self.maker.make, begun.step)] = begun
                continue
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                self._finish(under_way[future], future)
                del under_way[future]

    def _is_ready(self, node: Node, selected: list[str]) -> bool:
        sources = {source.stage for _, source in node.references()}
        return all(name in self.settled or name not in selected for name in sources)

    def _find_upstream(self, name: str) -> None:
        for other in self.pipeline.upstream(name):
            step = self.planner.step(self.pipeline.nodes[other], self.results)
            if step.result is None:
                raise InputError(f"--only {name}: {other} has to run first ({step.why}). Use --until {name}.")
            self.results[other] = step.result

    def _begin(self, node: Node) -> _Begun | None:
        """Settle a stage that is cached or cannot run; otherwise tell what is to be made."""
        blocked = [source.stage for _, source in node.references() if source.stage not in self.results]
        self._note_begin(node, "not run" if blocked else "running")
        if blocked:
            self.settled.add(node.name)
            _log.warning("%s: not run, since %s has no result.", node.name, blocked[0])
            return None
        began = time.monotonic()
        try:
            step = self.planner.step(node, self.results)
            self._note(node.name, **self._made_from(step))
            if step.result is None:
                self._check()
                self._keep_trees(step)
                self._write("running")
                return _Begun(step, began)
            self.copies.place(node, step.result)
            self.store.send(step.result)
            self._settle(node.name, Kept(step.result, "cached"), began)
        except _Refused:
            raise
        except Exception as error:
            self._fail(node, error, began)
        return None

    def _check(self) -> None:
        """See what stages know to be wrong, before the first of them runs; a cached run has no need to."""
        if self.checked:
            return
        self.checked = True
        try:
            check_links(self.pipeline, self.selection, self.workdir, self.store.folder)
            self.pipeline.check(self.selection, self.store.folder)
        except (ConfigError, InputError) as error:
            raise _Refused(*error.lines) from error

    def _finish(self, begun: _Begun, future: Future[Kept]) -> None:
        node = begun.step.node
        self.screen.forget(node.name)
        self.planner.look_again()
        try:
            self._settle(node.name, future.result(), begun.began)
            self._write("running")
        except BrokenPipeError:
            raise
        except Exception as error:  # a stage may fail in any way at all
            self._fail(node, error, begun.began)

    def _settle(self, name: str, kept: Kept, began: float) -> None:
        result = kept.result
        self.settled.add(name)
        self.results[name] = result
        if kept.state != "done":
            for line in result.said:
                self.screen.say(name, line)
        outputs = {field: str(self.workdir / name / made.name) for field, made in result.outputs.items()}
        told = {"said": list(result.said), "counts": dict(result.counts)}
        self._note_end(name, kept.state, began, outputs=outputs, **told, peak=kept.peak)

    def _keep_trees(self, step: Step) -> None:
        for contents in step.contents.values():
            for content in contents:
                keep_tree(self.store.folder, content)

    def _fail(self, node: Node, error: Exception, began: float) -> None:
        if isinstance(error, OdflowError):
            lines, code = error.lines, error.exit_code
        else:
            first = next(iter(str(error).splitlines()), "")
            lines, code = [f"unexpected {type(error).__name__}: {first} (--debug shows where)"], 1
        lines = [self._shown(line, node) for line in lines]
        for line in lines:
            _log.error("%s", line)
        _log.debug("", exc_info=error)
        self.settled.add(node.name)
        self.exit_code = self.exit_code or code
        self._note_end(node.name, "failed", began, error="\n".join(lines))
        self._write("running")

    def _interrupt(self, under_way: dict[Future[Kept], _Begun]) -> None:
        self.maker.stop()
        wait(under_way)
        for begun in under_way.values():
            self.screen.forget(begun.step.node.name)
            self._note_end(begun.step.node.name, "interrupted", begun.began)
        for name, stage in self.record.stages.items():
            if stage.state == "running":  # it was not yet, or no longer, under way
                self._note(name, state="interrupted")
        self._write("interrupted")

    def _shown(self, line: str, node: Node) -> str:
        """Name the stage, and files as the user finds them, not as they lie in the store."""
        for name, result in self.results.items():
            line = line.replace(shown(f"{result.folder}/"), f"{self.workdir / name}/")
        staging = re.escape(shown(f"{self.store.folder}/staging/")) + r"\w+(/work)?"
        line = re.sub(staging, str(self.workdir / node.name), line)
        return line if line.startswith((f"{node.name}: ", f"{node.name} ")) else f"{node.name}: {line}"

    def _made_from(self, step: Step) -> dict[str, Any]:
        """What run.json tells about what a stage is made from."""
        assert step.recipe is not None
        inputs = {
            field: [
                {"path": str(self._path(source)), "digest": digest}
                for source, digest in zip(sources, step.recipe.inputs[field], strict=True)
            ]
            for field, sources in step.node.sources().items()
        }
        return {
            "key": step.recipe.key,
            "version": step.recipe.version,
            "parameters": step.recipe.parameters,
            "inputs": inputs,
            "also_reads": combined(step.recipe.also_reads),
            "packages": step.recipe.packages,
        }

    def _path(self, source: Path | Reference) -> Path:
        if isinstance(source, Path):
            return source
        made = self.results[source.stage].outputs[source.output]
        return self.workdir / source.stage / made.name / source.subpath

    def _note_begin(self, node: Node, state: State) -> None:
        """Keep what is known of the stage's last recipe, for the next plan to compare with."""
        known = self.record.stages.get(node.name)
        if known is None or known.uses != node.uses:
            known = StageRecord(node.uses, state)
        self.record.stages[node.name] = replace(
            known, state=state, seconds=0.0, peak=0, outputs={}, said=[], counts={}, error=None
        )

    def _note_end(self, name: str, state: State, began: float, **more: Any) -> None:
        self._note(name, state=state, seconds=round(time.monotonic() - began, 3), **more)

    def _note(self, name: str, **facts: Any) -> None:
        self.record.stages[name] = replace(self.record.stages[name], **facts)

    def _write(self, state: State) -> None:
        self.record.state = state
        self.record.seconds = round(time.monotonic() - self.began, 3)
        order = [name for name in self.pipeline.nodes if name in self.record.stages]
        self.record.stages = {name: self.record.stages[name] for name in order}
        write_record(self.workdir, self.record)
        stages = self.record.stages.values()
        digests = [
            source["digest"] for stage in stages for paths in stage.inputs.values() for source in paths
        ]
        used = Used(frozenset(stage.key for stage in stages if stage.key), frozenset(digests))
        try:
            keep_run(self.store.folder, self.name, self.workdir, used)
        except StoreError:
            # A store that cannot be written serves those who only read from it.
            if any(stage.state in ("done", "running") for stage in stages) and not self.exit_code:
                raise


class _Refused(ConfigError):
    """Nothing runs, since stages know that they would fail."""


@dataclass(frozen=True)
class _Begun:
    """A stage that is being made, and since when (monotonic seconds)."""

    step: Step
    began: float
