"""Making the result of one stage: claimed, looked up, run, its inputs looked at again, published."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from odflow.errors import InputError, OdflowError
from odflow.graph.content import Content, changes
from odflow.graph.disk import make_folder, remove
from odflow.graph.execute import can_go_on
from odflow.graph.key import Recipe, recipe
from odflow.graph.listing import stamps
from odflow.graph.plan import Step
from odflow.graph.record import State
from odflow.graph.result import Result
from odflow.graph.stage import Stage
from odflow.graph.store import Store
from odflow.graph.task import Ended, Engine, Message, Task
from odflow.graph.workdir import LOG, Workdir

_LONGEST_PAUSE = 30.0  # seconds before a stage is tried again
_log = logging.getLogger("odflow.run")


@dataclass(frozen=True)
class Kept:
    """A result, and how the run came to it.

    Attributes:
        result: in the store.
        state: "done" when it was made here.
        peak: the most memory that the stage's process held, bytes.
    """

    result: Result
    state: State
    peak: int = 0


class Maker:
    """Makes results; several threads may each make one.

    Args:
        store: where results are kept.
        engine: where stages run.
        workdir: gets outputs and logs.
        hear: takes what a running stage tells, by its name.
    """

    def __init__(
        self, store: Store, engine: Engine, workdir: Workdir, hear: Callable[[str, Message], None]
    ) -> None:
        self.store, self.engine, self.workdir, self.hear = store, engine, workdir, hear
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Have every thread that makes a result end soon, with a KeyboardInterrupt."""
        self._stopped.set()
        self.engine.stop()
        if self.store.remote:
            self.store.remote.stop()

    def make(self, step: Step) -> Kept:
        """Make the result of a stage, unless another run or another machine did so meanwhile.

        Raises:
            OdflowError: the stage failed; nothing is kept but what a later run can go on from.
            KeyboardInterrupt: it was stopped.
        """
        key, stage = _known(step)
        with self.store.claim(key.key, step.node.name, self._stopped.is_set) as staging:
            kept = None if step.why == "forced" else self._look_up(key.key, stage)
            if kept is None:
                if step.why == "forced":
                    self.store.discard(key.key, self._stopped.is_set)
                _log.info("%s: runs (%s).", step.node.name, step.why)
                kept = self._run(step, staging)
            self.store.send(kept.result)
        self.workdir.place(step.node, kept.result)
        return kept

    def _look_up(self, key: str, stage: Stage) -> Kept | None:
        found = self.store.find(key, stage)
        if found:
            return Kept(found, "cached")
        fetched = self.store.fetch(key, stage)
        return Kept(fetched, "fetched") if fetched else None

    def _run(self, step: Step, staging: Path) -> Kept:
        key, stage = _known(step)
        try:
            before, began = _stamps(stage), time.monotonic()
            ended = self._with_retries(step, staging)
            seconds = time.monotonic() - began
            self._check_inputs(step)
            _check_stamps(before, _stamps(stage))
            result = self.store.publish(key.key, stage, ended.said, seconds, ended.counts)
            return Kept(result, "done", ended.peak)
        except BaseException as error:
            self._keep_log(step.node.name, staging)
            if not can_go_on(stage, error):
                self.store.discard(key.key, self._stopped.is_set)
            raise

    def _with_retries(self, step: Step, staging: Path) -> Ended:
        name, left, pause = step.node.name, step.node.retries, 1.0
        while True:
            ended = self._once(step, staging)
            if ended.error is None:
                return ended
            # What is wrong with an input, a configuration or a gate is as wrong the next time.
            if not left or ended.error.exit_code != 1:
                raise ended.error
            _log.warning("%s: %s Is tried again in %.0f s (%d left).", name, ended.error, pause, left)
            left, pause = left - 1, min(2 * pause, _LONGEST_PAUSE)
            if self._stopped.wait(pause / 2):
                raise KeyboardInterrupt

    def _once(self, step: Step, staging: Path) -> Ended:
        _, stage = _known(step)
        make_folder(staging)
        if not stage.resumes:
            remove(staging / LOG)
        task = Task(
            step.node.name,
            stage,
            staging,
            step.node.needs or stage.needs,
            bars=sys.stderr.isatty(),
            debug=_log.isEnabledFor(logging.DEBUG),
        )
        if self._stopped.is_set():
            raise KeyboardInterrupt
        return self.engine.run(task, lambda message: self.hear(step.node.name, message))

    def _check_inputs(self, step: Step) -> None:
        """A result belongs to what its inputs held; nobody knows to what it belongs when they changed.

        Raises:
            InputError: names the first file that changed.
        """
        key, stage = _known(step)
        now: dict[str, list[Content]] = {}
        for field, paths in stage.input_paths().items():
            now[field] = [self._look(path) for path in paths]
            for path, before, after in zip(paths, step.contents[field], now[field], strict=True):
                if before != after:
                    raise _changed(path, before, after)
        again = recipe(step.node.uses, stage, now, self.store.digests)
        if again.key != key.key:
            files = zip(stage.also_reads(), key.also_reads, again.also_reads, strict=False)
            first = next((path for path, before, after in files if before != after), "a file that they name")
            raise InputError(f"{first}: changed while the stage ran, so its result is not kept. Run again.")

    def _look(self, path: Path) -> Content:
        try:
            return self.store.digests.content(path)
        except InputError as error:
            raise InputError(f"{error} It was there when the stage began; the result is not kept.") from error

    def _keep_log(self, name: str, staging: Path) -> None:
        with suppress(OSError):  # what made the stage fail is told; its log is a help
            folder = self.workdir.folder / name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(staging / LOG, folder / LOG)


def _known(step: Step) -> tuple[Recipe, Stage]:
    assert step.recipe is not None, "every stage before it has a result"
    assert step.stage is not None
    return step.recipe, step.stage


def _stamps(stage: Stage) -> dict[Path, list[str]]:
    """What tells one state of a stage's inputs, and of the files that they name, from another."""
    paths = [path for given in stage.input_paths().values() for path in given]
    return {path: stamps(path) for path in (*paths, *stage.also_reads())}


def _check_stamps(before: dict[Path, list[str]], after: dict[Path, list[str]]) -> None:
    """See that no file was another while the stage ran, and is as it was again.

    Raises:
        InputError: names the first.
    """
    for path, lines in before.items():
        touched = sorted(set(lines) ^ set(after[path]))
        if touched:
            name = touched[0].partition("\0")[0]
            raise InputError(
                f"{path / name if name else path}: was moved away and back, or touched, while the stage ran, "
                "so its result is not kept. Run again."
            )


def _changed(path: Path, before: Content, after: Content) -> OdflowError:
    faults = changes(before.entries, after.entries)
    names = [*faults.changed, *faults.removed, *faults.added]
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return InputError(
        f"{path / names[0] if names else path}: changed while the stage ran{more}, "
        "so its result is not kept. Run again."
    )
