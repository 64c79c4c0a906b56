"""Evaluate a training now and then, keep the weights that do best, and lower the rate on a plateau."""

from __future__ import annotations

import shutil
from pathlib import Path

import tensorflow as tf

from odflow.odapi.checkpoint import damage
from odflow.training.disk import told_by_disk
from odflow.training.loop.curves import write_scalars
from odflow.training.loop.history import History
from odflow.training.loop.run_options import Data, Folders, Options
from odflow.training.loop.trainer import Trainer


class BestWeights:
    """The weights with the best evaluation so far.

    Args:
        trainer: whose weights are evaluated.
        data: with `valid`.
        folders: the scratch folder keeps the best weights and the history over a kill.
        options: with `patience`.
    """

    def __init__(self, trainer: Trainer, data: Data, folders: Folders, options: Options) -> None:
        assert data.valid is not None
        self._trainer, self._folders, self._patience = trainer, folders, options.patience
        self._goal = trainer.kind.goal
        self._plateau = trainer.kind.settings.training.optimizer.plateau
        self._evaluator = trainer.kind.evaluator(data.valid, data.label_map)
        self._history = History(folders.scratch / "evaluations.json", self._goal)
        self.lost = self._lost()
        """What to tell of that was kept over a kill and is damaged."""
        self._waited = self._agreed_wait()
        with told_by_disk():
            self._writer = tf.summary.create_file_writer(str(folders.trained / "tensorboard" / "eval"))

    @property
    def enough(self) -> bool:
        """Whether the patience is over."""
        return bool(self._patience) and self._waited >= self._patience

    def evaluate(self) -> str:
        """Evaluate the present weights; what to tell of it."""
        step = self._trainer.step
        # Done before a kill, or by weights that went the same way: their files are there.
        if not self._trainer.agree(step in self._history):
            self._measure(step)
        self._waited = self._agreed_wait()
        metrics = self._history.metrics(step)
        write_scalars(self._writer, metrics, step)
        if self._plateau:
            factor = self._plateau.factor ** self._history.drops(step, self._plateau)
            self._trainer.lower_rate(self._trainer.agree(factor))
        best = "the best so far" if step == self._history.best else f"best at step {self._history.best}"
        shown = ", ".join(f"{name} {_told(metrics[key])}" for name, key in self._goal.shown.items())
        return f"step {step}: {shown}, {best}"

    def publish(self) -> str:
        """Put the best weights and the history where the trained model goes; what to tell of it."""
        # The last step is always evaluated; what is kept of it may have been lost since.
        if not self._trainer.agree(self._history.best is not None):
            self._measure(self._trainer.step)
        best, trained = self._history.best, self._folders.trained
        assert best is not None
        shutil.rmtree(trained / "checkpoint", ignore_errors=True)
        (trained / "checkpoint").mkdir()
        for file in self._kept(best).iterdir():
            shutil.copyfile(file, trained / "checkpoint" / file.name)
        shutil.copyfile(self._history.file, trained / "evaluations.json")
        short, reached = self._goal.short, self._history.metrics(best)[self._goal.metric]
        ended = f"ended after step {self._trainer.step}: no better {short} in {self._patience} evaluations; "
        return f"{ended if self.enough else ''}kept step {best}, {short} {_told(reached)}"

    def _measure(self, step: int) -> None:
        before = self._history.best
        candidate = self._kept(step)
        self._trainer.save_weights(candidate)
        metrics = self._evaluator.measure(candidate)
        for name in {self._goal.metric} | ({self._plateau.metric} if self._plateau else set()):
            metrics[name] = self._trainer.agree(metrics[name] or 0.0)
        self._history.add(step, metrics)
        worse = before if self._history.best == step else step
        if worse not in (None, self._history.best):
            shutil.rmtree(self._kept(worse), ignore_errors=True)

    def _agreed_wait(self) -> float:
        return self._trainer.agree(self._history.waited(self._trainer.step))

    def _lost(self) -> list[str]:
        if self._history.damaged:
            return [f"{self._history.file}: is damaged, so the best is that of the evaluations from now on"]
        best = self._history.best
        wrong = None if best is None else self._damage(best)
        if best is None or wrong is None:
            return []
        self._history.keep_only({step for step in self._history if self._damage(step) is None})
        return [
            f"{self._kept(best)}: {wrong}; those were the best weights, "
            "so the best is that of the evaluations from now on"
        ]

    def _damage(self, step: int) -> str | None:
        return damage(self._kept(step) / f"ckpt-{step}")

    def _kept(self, step: int) -> Path:
        return self._folders.scratch / f"weights-{step}"


def _told(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
