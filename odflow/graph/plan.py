"""What would run, and why."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from odflow.errors import InputError, nearest
from odflow.graph.content import Content, Digests
from odflow.graph.key import Recipe, recipe
from odflow.graph.pipeline import Node, Pipeline, Reference, Selection
from odflow.graph.record import StageRecord
from odflow.graph.stage import Stage
from odflow.graph.store import Result, Store


@dataclass(frozen=True)
class Step:
    """What a run would do with one stage.

    Attributes:
        node: the stage in its pipeline.
        why: it has to run; "" when it is cached.
        result: when it is cached.
        recipe: None while a stage before it has no result.
        stage: its inputs existing paths; None while a stage before it has no result.
    """

    node: Node
    why: str
    result: Result | None = None
    recipe: Recipe | None = None
    stage: Stage | None = None


class Planner:
    """Decides for one stage after the other.

    Args:
        store: where results are looked up.
        last: what the last run did with each stage.
        force: stages that run in any case.
    """

    def __init__(self, store: Store, last: Mapping[str, StageRecord], force: Sequence[str] = ()) -> None:
        self.store, self.last, self.force = store, last, force
        self._digests = Digests()

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
            reasons = [f"{name} will run" for name in waits]
            return Step(node, ", ".join(reasons + self._changes(node, None)))
        stage, contents = self._resolve(node, results)
        made_from = recipe(node.uses, stage, contents, self._digests)
        if node.name in self.force:
            return Step(node, "forced", None, made_from, stage)
        result = self.store.find(made_from.key, stage)
        return Step(node, "" if result else self._why(node, made_from), result, made_from, stage)

    def _resolve(self, node: Node, results: Mapping[str, Result]) -> tuple[Stage, dict[str, list[Content]]]:
        paths: dict[str, list[Path]] = {}
        contents: dict[str, list[Content]] = {}
        for field, sources in node.sources().items():
            found = [self._look(f"{node.name}.{field}", source, results) for source in sources]
            paths[field] = [path for path, _ in found]
            contents[field] = [content for _, content in found]
        return node.with_inputs(paths), contents

    def _look(
        self, place: str, source: Path | Reference, results: Mapping[str, Result]
    ) -> tuple[Path, Content]:
        if isinstance(source, Path):
            return source, self._digests.content(source)
        result = results[source.stage]
        whole = result.outputs[source.output].content
        content = whole.below(source.subpath)
        if content is None:
            near = nearest(source.subpath, {entry.path for entry in whole.entries})
            raise InputError(f'{place}: "{source}": {source.output} holds no "{source.subpath}".{near}')
        return result.path(source.output) / source.subpath, content

    def _why(self, node: Node, made_from: Recipe) -> str:
        last = self.last.get(node.name)
        if last is None or last.key is None:
            return "never ran"
        changes = self._changes(node, made_from)
        if changes:
            return ", ".join(changes)
        if last.state in ("running", "interrupted"):
            return "was interrupted"
        if last.state == "failed":
            return "failed last time"
        return "its result is not in the store"

    def _changes(self, node: Node, made_from: Recipe | None) -> list[str]:
        """What is not as in the last run; inputs only when they are known."""
        last = self.last.get(node.name)
        if last is None or last.key is None:
            return []
        if last.uses != node.uses:
            return [f"uses {last.uses} -> {node.uses}"]
        found = []
        if last.version != node.stage.version:
            found.append(f"version {last.version} -> {node.stage.version}")
        now = node.stage.model_dump(mode="json", include=set(node.stage.parameters()))
        for name in sorted({*now, *last.parameters}):
            if now.get(name) != last.parameters.get(name):
                found.append(f"{name} {_short(last.parameters.get(name))} -> {_short(now.get(name))}")
        if made_from is not None:
            before = {name: [one["digest"] for one in sources] for name, sources in last.inputs.items()}
            found += [
                f"{name} changed"
                for name in sorted({*before, *made_from.inputs})
                if before.get(name, []) != list(made_from.inputs.get(name, []))
            ]
        return found


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
        step = planner.step(node, results)
        if step.result:
            results[node.name] = step.result
        if node.name in selected:
            steps.append(step)
    return steps


def _short(value: Any) -> str:
    return textwrap.shorten(json.dumps(value, ensure_ascii=False), 60, placeholder="...")
