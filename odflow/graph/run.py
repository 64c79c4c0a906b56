"""Execute a pipeline: what has a result is not run again."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from odflow.errors import InputError, OdflowError
from odflow.graph.disk import held, make_folder
from odflow.graph.execute import can_go_on, execute
from odflow.graph.job import Workers
from odflow.graph.pipeline import Node, Pipeline, Reference, Selection
from odflow.graph.plan import Planner, Step
from odflow.graph.record import RunRecord, StageRecord, State, read_record, write_record
from odflow.graph.store import Result, Store
from odflow.graph.workdir import place_outputs

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


def run(pipeline: Pipeline, selection: Selection, store: Store, workdir: Path, workers: Workers) -> Outcome:
    """Execute the selected stages that have no result, and put all outputs in the work folder.

    A stage that fails does not stop those that do not read from it.

    Args:
        pipeline: the stages.
        selection: which of them.
        store: where results are kept.
        workdir: gets STAGE/NAME for every output, and run.json.
        workers: where `Job.map` sends its items.

    Raises:
        InputError: with `only`, a stage before it has no result.
        StoreError: run.json cannot be written.
        KeyboardInterrupt: after run.json was written; the next run goes on from there.
    """
    make_folder(workdir)
    with held(workdir / ".lock"):
        return _Run(pipeline, selection, store, workdir, workers).outcome()


class _Run:
    def __init__(
        self, pipeline: Pipeline, selection: Selection, store: Store, workdir: Path, workers: Workers
    ) -> None:
        self.pipeline, self.selection, self.store = pipeline, selection, store
        self.workdir, self.workers = workdir, workers
        last = read_record(workdir)
        before = last.stages if last else {}
        self.planner = Planner(store, before, selection.force)
        self.results: dict[str, Result] = {}
        self.exit_code = 0
        self.began = time.monotonic()
        kept = {name: before[name] for name in pipeline.nodes if name in before}
        started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self.record = RunRecord(str(pipeline.path), "running", started, stages=kept)

    def outcome(self) -> Outcome:
        selected = self.selection.names(self.pipeline)
        if self.selection.only:
            self._find_upstream(self.selection.only)
        try:
            for name in selected:
                self._stage(self.pipeline.nodes[name])
        except BaseException:
            self._write("interrupted")
            raise
        self._write("failed" if self.exit_code else "done")
        return Outcome(self.record, selected, self.exit_code)

    def _find_upstream(self, name: str) -> None:
        for other in self.pipeline.upstream(name):
            step = self.planner.step(self.pipeline.nodes[other], self.results)
            if step.result is None:
                raise InputError(f"--only {name}: {other} has to run first ({step.why}). Use --until {name}.")
            self.results[other] = step.result

    def _stage(self, node: Node) -> None:
        blocked = [source.stage for _, source in node.references() if source.stage not in self.results]
        self._begin(node, "not run" if blocked else "running")
        if blocked:
            _log.warning("%s: not run, since %s has no result.", node.name, blocked[0])
            return
        began = time.monotonic()
        try:
            self._make(node, began)
        except KeyboardInterrupt:
            self._end(node, "interrupted", began)
            raise
        except BrokenPipeError:
            raise
        except Exception as error:  # a stage may fail in any way at all
            self._fail(node, error, began)

    def _make(self, node: Node, began: float) -> None:
        name = node.name
        step = self.planner.step(node, self.results)
        self.record.stages[name] = replace(self.record.stages[name], **self._recipe(step))
        result, ran = (step.result, False) if step.result else self._execute(step)
        self.results[name] = result
        self._place(step, result)
        if not ran:
            for line in result.said:
                print(f"{name}: {line}", flush=True)
        outputs = {field: str(self.workdir / name / made.name) for field, made in result.outputs.items()}
        self._end(node, "done" if ran else "cached", began, outputs=outputs, said=list(result.said))
        if ran:
            self._write("running")

    def _place(self, step: Step, result: Result) -> None:
        name = step.node.name
        last = self.planner.last.get(name)
        for path in place_outputs(result, self.workdir / name):
            if last and step.recipe and last.key == step.recipe.key and step.result:
                _log.warning("%s: was changed by hand; the stage's own output is back.", path)

    def _execute(self, step: Step) -> tuple[Result, bool]:
        """The result, and whether it was made here: another run may have made it meanwhile."""
        name, stage, recipe = step.node.name, step.stage, step.recipe
        assert stage is not None, "every stage before it has a result"
        assert recipe is not None
        forced = name in self.selection.force
        with self.store.claim(recipe.key) as work:
            made_meanwhile = None if forced else self.store.find(recipe.key, stage)
            if made_meanwhile:
                return made_meanwhile, False
            if forced:
                self.store.discard(recipe.key)
            _log.info("%s: runs (%s).", name, step.why)
            self._write("running")
            began = time.monotonic()
            try:
                job = execute(stage, work, name=name, workers=self.workers)
                return self.store.publish(recipe.key, stage, job.said, time.monotonic() - began), True
            except BaseException as error:
                if not can_go_on(stage, error):
                    self.store.discard(recipe.key)
                raise

    def _fail(self, node: Node, error: Exception, began: float) -> None:
        if isinstance(error, OdflowError):
            lines, code = str(error).splitlines(), error.exit_code
        else:
            first = next(iter(str(error).splitlines()), "")
            lines, code = [f"unexpected {type(error).__name__}: {first} (--debug shows where)"], 1
        name = f"{node.name}: "
        message = "\n".join(name + self._shown(line, node).removeprefix(name) for line in lines)
        _log.error("%s", message)
        _log.debug("", exc_info=error)
        self.exit_code = self.exit_code or code
        self._end(node, "failed", began, error=message)
        self._write("running")

    def _shown(self, line: str, node: Node) -> str:
        """Name files as the user finds them, not as they lie in the store."""
        for name, result in self.results.items():
            line = line.replace(f"{result.folder}/", f"{self.workdir / name}/")
        return re.sub(
            re.escape(f"{self.store.folder}/staging/") + r"\w+/work/", f"{self.workdir / node.name}/", line
        )

    def _recipe(self, step: Step) -> dict[str, Any]:
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
        }

    def _path(self, source: Path | Reference) -> Path:
        if isinstance(source, Path):
            return source
        made = self.results[source.stage].outputs[source.output]
        return self.workdir / source.stage / made.name / source.subpath

    def _begin(self, node: Node, state: State) -> None:
        """Keep what is known of the stage's last recipe, for the next plan to compare with."""
        known = self.record.stages.get(node.name)
        if known is None or known.uses != node.uses:
            known = StageRecord(node.uses, state)
        self.record.stages[node.name] = replace(
            known, state=state, seconds=0.0, outputs={}, said=[], error=None
        )

    def _end(self, node: Node, state: State, began: float, **more: Any) -> None:
        seconds = round(time.monotonic() - began, 3)
        self.record.stages[node.name] = replace(
            self.record.stages[node.name], state=state, seconds=seconds, **more
        )

    def _write(self, state: State) -> None:
        self.record.state = state
        self.record.seconds = round(time.monotonic() - self.began, 3)
        order = [name for name in self.pipeline.nodes if name in self.record.stages]
        self.record.stages = {name: self.record.stages[name] for name in order}
        write_record(self.workdir, self.record)
