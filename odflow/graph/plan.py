"""What would run, and why."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from odflow.errors import InputError, nearest
from odflow.graph.content import Content, changes
from odflow.graph.history import read_tree
from odflow.graph.key import Recipe, combined, recipe, versions
from odflow.graph.pipeline import Node, Pipeline, Reference, Selection
from odflow.graph.record import StageRecord
from odflow.graph.result import Result
from odflow.graph.stage import Stage
from odflow.graph.store import Store


@dataclass(frozen=True)
class Step:
    """What a run would do with one stage.

    Attributes:
        node: the stage in its pipeline.
        why: it has to run; "" when it is cached.
        result: when it is cached.
        recipe: None while a stage before it has no result.
        stage: its inputs existing paths; None while a stage before it has no result.
        contents: what each input field reads.
        remote: the result has to be fetched from the remote store.
    """

    node: Node
    why: str
    result: Result | None = None
    recipe: Recipe | None = None
    stage: Stage | None = None
    contents: Mapping[str, list[Content]] = field(default_factory=dict)
    remote: bool = False

    @property
    def state(self) -> str:
        """What would happen, in one word."""
        return "fetch" if self.remote else "cached" if self.result else "run"


class Planner:
    """Decides for one stage after the other.

    Args:
        store: where results are looked up.
        last: what the last run did with each stage.
        force: stages that run in any case.
    """

    def __init__(self, store: Store, last: Mapping[str, StageRecord], force: Sequence[str] = ()) -> None:
        self.store, self.last, self.force = store, last, force
        self._seen: dict[Path, Content] = {}

    def step(self, node: Node, results: Mapping[str, Result]) -> Step:
        """Decide for a stage.

        Args:
            node: the stage.
            results: of the stages before it, as far as they have some.

        Raises:
            InputError: an input cannot be read, or an output lacks the file that is asked for.
        """
        waits = dict.fromkeys(source.stage for _, source in node.references() if source.stage not in results)
        if waits:
            return Step(node, ", ".join([f"{name} will run" for name in waits] + self._changes(node, None)))
        stage, contents = self._resolve(node, results)
        absent = [source.stage for _, source in node.references() if not results[source.stage].home.exists()]
        if absent and type(stage).also_reads is not Stage.also_reads:
            return Step(node, f"not known before {absent[0]} is fetched")
        step = Step(node, "", None, recipe(node.uses, stage, contents, self.store.digests), stage, contents)
        assert step.recipe is not None
        if node.name in self.force:
            return replace(step, why="forced")
        result = self.store.find(step.recipe.key, stage)
        return replace(step, result=result) if result else replace(step, why=self._why(step))

    def look_again(self) -> None:
        """Forget what the inputs held: time has gone by."""
        self._seen.clear()

    def _resolve(self, node: Node, results: Mapping[str, Result]) -> tuple[Stage, dict[str, list[Content]]]:
        paths: dict[str, list[Path]] = {}
        contents: dict[str, list[Content]] = {}
        for name, sources in node.sources().items():
            found = [self._look(f"{node.name}.{name}", source, results) for source in sources]
            paths[name] = [path for path, _ in found]
            contents[name] = [content for _, content in found]
        return node.with_inputs(paths), contents

    def _look(
        self, place: str, source: Path | Reference, results: Mapping[str, Result]
    ) -> tuple[Path, Content]:
        if isinstance(source, Path):
            if source not in self._seen:
                self._seen[source] = self.store.digests.content(source)
            return source, self._seen[source]
        result = results[source.stage]
        whole = result.outputs[source.output].content
        content = whole.below(source.subpath)
        if content is None:
            near = nearest(source.subpath, {entry.path for entry in whole.entries})
            raise InputError(f'{place}: "{source}": {source.output} holds no "{source.subpath}".{near}')
        return result.path(source.output) / source.subpath, content

    def _why(self, step: Step) -> str:
        last = self.last.get(step.node.name)
        if last is None or last.key is None:
            return "never ran"
        changed = self._changes(step.node, step)
        if changed:
            return ", ".join(changed)
        if last.state in ("running", "interrupted"):
            return "was interrupted"
        if last.state == "failed":
            return "failed last time"
        return "output missing"

    def _changes(self, node: Node, step: Step | None) -> list[str]:
        """What is not as in the last run; inputs only when they are known."""
        last = self.last.get(node.name)
        if last is None or last.key is None:
            return []
        if last.uses != node.uses:
            return [f"uses {last.uses} -> {node.uses}"]
        found = []
        if last.version != node.stage.version:
            found.append(f"{node.uses}: version {last.version} -> {node.stage.version}")
        now = node.stage.model_dump(mode="json", include=set(node.stage.parameters()))
        found += _differences(last.parameters, now, _short)
        found += _differences(last.packages, versions(node.stage.packages), str)
        return found + (self._input_changes(last, step) if step and step.recipe else [])

    def _input_changes(self, last: StageRecord, step: Step) -> list[str]:
        assert step.recipe is not None
        found = []
        for name in sorted({*last.inputs, *step.recipe.inputs}):
            before = [source["digest"] for source in last.inputs.get(name, [])]
            after = list(step.recipe.inputs.get(name, []))
            if before != after:
                sources = step.node.sources().get(name, [])
                found.append(self._changed_files(name, sources, before, step.contents.get(name, [])))
        if last.also_reads != combined(step.recipe.also_reads):
            found.append("files that its inputs name changed")
        return found

    def _changed_files(
        self, name: str, sources: Sequence[Path | Reference], before: list[str], after: list[Content]
    ) -> str:
        """``images: 3 files added, 1 changed``, where it is known what the folder held; ``a.csv changed``."""
        pairs = [
            (source, old, new)
            for source, old, new in zip(sources, before, after, strict=False)
            if old != new.digest
        ]
        if len(before) != len(after) or len(pairs) != 1:
            return f"{name} changed"
        source, old, new = pairs[0]
        if not new.folder:
            return f"{source} changed" if isinstance(source, Path) else f"{name} changed"
        tree = read_tree(self.store.folder, old) if len(after) == 1 else None
        return f"{name} changed" if tree is None else f"{name}: {changes(tree, new.entries)}"


def plan(pipeline: Pipeline, selection: Selection, planner: Planner) -> list[Step]:
    """Tell what a run would do; nothing runs.

    Args:
        pipeline: the stages.
        selection: which of them.
        planner: decides.

    Returns:
        A step for each selected stage, in order.

    Raises:
        InputError: an input cannot be read.
    """
    selected = set(selection.names(pipeline))
    results: dict[str, Result] = {}
    steps = []
    for node in pipeline.nodes.values():
        step = _with_remote(planner.step(node, results), planner.store)
        if step.result:
            results[node.name] = step.result
        if node.name in selected:
            steps.append(step)
    return steps


def _with_remote(step: Step, store: Store) -> Step:
    if step.recipe is None or step.stage is None or step.result or step.why == "forced":
        return step
    result = store.remote_result(step.recipe.key, step.stage)
    return replace(step, result=result, remote=True, why="in the remote store") if result else step


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], shown: Callable[[Any], str]) -> list[str]:
    return [
        f"{name} {shown(before.get(name))} -> {shown(now.get(name))}"
        for name in sorted({*now, *before})
        if now.get(name) != before.get(name)
    ]


def _short(value: Any) -> str:
    return textwrap.shorten(json.dumps(value, ensure_ascii=False), 60, placeholder="...")
