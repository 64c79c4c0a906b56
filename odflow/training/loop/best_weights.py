"""Evaluate a training now and then, and keep the weights that do best."""

from __future__ import annotations

import shutil
from pathlib import Path

import tensorflow as tf

from odflow.ops.metrics import AP50, MAP
from odflow.training.loop.curves import write_scalars
from odflow.training.loop.evaluation import Evaluator, History
from odflow.training.loop.run_options import Data, Folders, Options
from odflow.training.loop.trainer import Trainer


class BestWeights:
    """The weights with the highest mAP so far.

    Args:
        trainer: whose weights are evaluated.
        data: with `valid` and `label_map`.
        folders: the scratch folder keeps the best weights and the history over a kill.
        options: with `patience`.
    """

    def __init__(self, trainer: Trainer, data: Data, folders: Folders, options: Options) -> None:
        assert data.valid is not None
        assert data.label_map is not None
        self._trainer, self._folders, self._patience = trainer, folders, options.patience
        self._evaluator = Evaluator(trainer.kind, data.valid, data.label_map)
        self._history = History(folders.scratch / "evaluations.json")
        self._writer = tf.summary.create_file_writer(str(folders.trained / "tensorboard" / "eval"))

    @property
    def enough(self) -> bool:
        """Whether the patience is over."""
        return bool(self._patience) and self._history.waited(self._trainer.step) >= self._patience

    def evaluate(self) -> str:
        """Evaluate the present weights; what to tell of it."""
        step = self._trainer.step
        # Done before a kill, or by weights that went the same way: their files are there.
        if step not in self._history:
            self._measure(step)
        metrics = self._history.metrics(step)
        write_scalars(self._writer, metrics, step)
        best = "the best so far" if step == self._history.best else f"best at step {self._history.best}"
        return f"step {step}: mAP {metrics[MAP]:.4f}, AP50 {metrics[AP50]:.4f}, {best}"

    def publish(self) -> str:
        """Put the best weights and the history where the trained model goes; what to tell of it."""
        best, trained = self._history.best, self._folders.trained
        assert best is not None  # the last step is always evaluated
        shutil.copytree(self._kept(best), trained / "checkpoint", dirs_exist_ok=True)
        shutil.copyfile(self._history.file, trained / "evaluations.json")
        ended = f"ended after step {self._trainer.step}: no better mAP in {self._patience} evaluations; "
        return f"{ended if self.enough else ''}kept step {best}, mAP {self._history.metrics(best)[MAP]:.4f}"

    def _measure(self, step: int) -> None:
        before = self._history.best
        candidate = self._kept(step)
        shutil.rmtree(candidate, ignore_errors=True)
        self._trainer.save_weights(candidate)
        metrics = self._evaluator.measure(candidate)
        metrics[MAP] = self._trainer.agree(metrics[MAP] or 0.0)
        self._history.add(step, metrics)
        worse = before if self._history.best == step else step
        if worse is not None:
            shutil.rmtree(self._kept(worse), ignore_errors=True)

    def _kept(self, step: int) -> Path:
        return self._folders.scratch / f"weights-{step}"
