"""What a training is given beside its settings: inputs, places, and how it is run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from odflow.formats.label_map import LabelMap
from odflow.formats.tfrecord import Records


@dataclass(frozen=True)
class Data:
    """What a training reads.

    Attributes:
        train: the TFRecord files to train on.
        valid: the records to evaluate on.
        label_map: the classes of `valid`.
        start: the fine-tune checkpoint.
    """

    train: Sequence[str]
    valid: Records | None = None
    label_map: LabelMap | None = None
    start: Path | None = None


@dataclass(frozen=True)
class Folders:
    """Where a training keeps its files.

    Attributes:
        scratch: what it takes to go on after a kill.
        trained: gets `checkpoint/` (the weights alone), `tensorboard/`, and where they are
            made, `fine_tune.json` and `evaluations.json`.
    """

    scratch: Path
    trained: Path


@dataclass(frozen=True)
class Options:
    """How a training is run.

    Attributes:
        checkpoint_steps: steps between two checkpoints.
        precision: `float32`, `mixed_bfloat16` or `mixed_float16`.
        accumulate: small batches that each replica makes of its part of a batch.
        strategy: see `build_strategy`; or `ray`.
        workers: processes that `ray` starts.
        evaluate_every: steps between two evaluations; 0 for none.
        patience: evaluations without a better mAP after which training ends; 0 for no such end.
        allow_partial: a fine-tune checkpoint may leave much of the backbone untouched.
    """

    checkpoint_steps: int = 100
    precision: str = "float32"
    accumulate: int = 1
    strategy: str = "auto"
    workers: int = 1
    evaluate_every: int = 0
    patience: int = 0
    allow_partial: bool = False
