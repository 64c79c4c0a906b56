"""Weights of a detector on disk: found, loaded for fine-tuning, saved."""

from __future__ import annotations

from pathlib import Path

import tensorflow as tf
import tf_keras

from odflow.errors import InputError

PARTS = {
    "classification": ("backbone",),
    "detection": ("backbone", "decoder"),
    "full": ("backbone", "decoder", "head"),
}
"""`fine_tune_checkpoint_type` to the parts of the network that it fills."""


def find_checkpoint(path: Path) -> str:
    """Find the newest checkpoint at a place.

    Args:
        path: a checkpoint's prefix (``ckpt-300``), its ``.index`` file, a folder of
            checkpoints, or a folder with such a folder ``checkpoint/`` in it.

    Returns:
        The checkpoint's prefix.

    Raises:
        InputError: there is none.
    """
    for folder in (path / "checkpoint", path):
        if folder.is_dir():
            newest = _newest(folder)
            if newest:
                return newest
    prefix = path.with_suffix("") if path.suffix == ".index" else path
    if Path(f"{prefix}.index").is_file():
        return str(prefix)
    raise InputError(
        f"{path}: holds no checkpoint; wanted: a prefix such as ckpt-300, or a folder with ckpt-300.index."
    )


def _newest(folder: Path) -> str | None:
    """By the folder's `checkpoint` file, or by the number at the end of the name."""
    latest = tf.train.latest_checkpoint(str(folder))
    if latest:
        return str(latest)
    found = sorted(folder.glob("*.index"), key=lambda index: (_number(index.stem), index.stem))
    return str(found[-1].with_suffix("")) if found else None


def _number(stem: str) -> int:
    digits = stem.rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1


def load_weights(network: tf_keras.Model, path: Path, kind: str) -> int:
    """Fill a network from a checkpoint of odflow or Model Garden.

    Args:
        network: a RetinaNetModel; its weights are written to.
        path: see `find_checkpoint`.
        kind: `classification` (backbone), `detection` (and feature pyramid) or
            `full` (and box predictor), as `fine_tune_checkpoint_type` says.

    Returns:
        How many variables were filled.

    Raises:
        InputError: the checkpoint lacks a part, or its shapes are others; nothing
            in silence stays at its first value.
    """
    prefix = find_checkpoint(path)
    shapes = dict(tf.train.list_variables(prefix))
    items = network.checkpoint_items
    for part in PARTS[kind]:
        if not any(name.startswith(f"{part}/") for name in shapes):
            raise InputError(
                f"{prefix}: holds no {part} of an odflow or Model Garden detector, which "
                f'fine_tune_checkpoint_type "{kind}" asks for. It holds: {_roots(shapes)}.'
            )
    parts = {part: items[part] for part in PARTS[kind]}
    try:
        status = tf.train.Checkpoint(**parts).read(prefix).expect_partial()
        status.assert_existing_objects_matched()
    except (AssertionError, ValueError) as error:
        raise InputError(_misfit(prefix, kind, str(error))) from error
    return sum(len(part.variables) for part in parts.values())


def _misfit(prefix: str, kind: str, error: str) -> str:
    reason = " ".join(error.split())[:200]
    advice = {
        "full": ' Another number of classes or of anchors? Then fine_tune_checkpoint_type: "detection" '
        "takes all but the box predictor.",
        "detection": ' Another feature pyramid? Then fine_tune_checkpoint_type: "classification" '
        "takes the backbone alone.",
    }
    return f"{prefix}: does not fit the model of the config ({reason}).{advice.get(kind, '')}"


def _roots(names: dict[str, list[int]]) -> str:
    return ", ".join(sorted({name.partition("/")[0] for name in names})[:8])


def save_weights(network: tf_keras.Model, folder: Path, step: int) -> None:
    """Write a network's weights, without what only training needs.

    Args:
        network: a RetinaNetModel.
        folder: becomes a folder of checkpoints with one `ckpt-STEP`.
        step: the training step.
    """
    checkpoint = tf.train.Checkpoint(**network.checkpoint_items)
    manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=1)
    manager.save(checkpoint_number=step)
