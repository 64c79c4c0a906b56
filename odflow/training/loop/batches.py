"""From records to batches of training targets.

The order of the examples and all that is drawn at random are functions of the seed and of the
position in the training, so that a training which goes on sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from odflow.errors import InputError
from odflow.formats.tfrecord import record_spans
from odflow.training.architecture import Architecture, Tensors
from odflow.training.settings import Reader, Training


def training_batches(
    files: Sequence[str],
    kind: Architecture,
    seed: int,
    *,
    start: int = 0,
    shard: tuple[int, int] = (0, 1),
    batch_size: int | None = None,
) -> tf.data.Dataset:
    """Read records for ever, shuffled and augmented.

    Args:
        files: the TFRecord files.
        kind: of model; makes inputs and labels of a record.
        seed: of the order and of the augmentations.
        start: examples that the training, with all its workers, has drawn already.
        shard: this worker's number, from 0, and how many there are; each takes every so
            many-th example, so that together they see the batches of one.
        batch_size: images of this worker's batch; the settings' if left out.

    Returns:
        Batches of what `Architecture.example` gives.

    Raises:
        InputError: the files hold no example.
    """
    training = kind.settings.training
    dataset = _in_order(files, training.reader, seed, start).shard(shard[1], shard[0])
    dataset = dataset.map(_preparation(kind, seed), num_parallel_calls=tf.data.AUTOTUNE)
    dataset = dataset.batch(batch_size or training.batch_size, drop_remainder=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def batch_names(files: Sequence[str], training: Training, seed: int, step: int) -> list[str]:
    """The names of the images of one step, of all workers.

    Args:
        files: as `training_batches` was given them.
        training: as in the settings.
        seed: as `training_batches` was given it.
        step: from 0.

    Returns:
        One name for each image of the batch.
    """
    return [_name(payload) for payload in _batch(files, training, seed, step)]


def broken_examples(files: Sequence[str], kind: Architecture, seed: int, step: int) -> list[str]:
    """Why images of one step cannot be used; see `batch_names`.

    Returns:
        A line for each that cannot be decoded: its name, and TensorFlow's reason.
    """
    prepare, first = _preparation(kind, seed), step * kind.settings.training.batch_size
    lines = []
    for place, payload in enumerate(_batch(files, kind.settings.training, seed, step)):
        try:
            prepare(tf.constant(first + place, tf.int64), tf.constant(payload))
        except tf.errors.OpError as error:
            lines.append(f"{_name(payload)}: {error.message.splitlines()[0][:200]}")
    return lines


def _preparation(kind: Architecture, seed: int) -> Callable[[tf.Tensor, tf.Tensor], tuple[Any, Tensors]]:
    def prepare(position: tf.Tensor, serialized: tf.Tensor) -> tuple[Any, Tensors]:
        return kind.example(serialized, tf.stack([tf.constant(seed, tf.int64), position]))

    return prepare


def _batch(files: Sequence[str], training: Training, seed: int, step: int) -> list[bytes]:
    size = training.batch_size
    examples = _in_order(files, training.reader, seed, step * size).take(size)
    return [payload for _, payload in examples.as_numpy_iterator()]


def _name(payload: bytes) -> str:
    from odflow.formats.example import decode_example

    features = decode_example(payload)
    names = (features.get(key) for key in ("image/filename", "image/source_id"))
    return next(
        (name[0].decode("utf-8", "replace") for name in names if isinstance(name, list) and name), "?"
    )


def _in_order(files: Sequence[str], reader: Reader, seed: int, start: int) -> tf.data.Dataset:
    """Positions in the training and examples, from position `start` on, for ever."""
    records = sum(1 for file in files for _ in record_spans(Path(file)))
    if not records:
        raise InputError(f"{', '.join(files) or 'train'}: no record to train on.")
    size = -(-records // reader.sample_1_of_n)  # of an epoch
    first, skipped = divmod(start, size)

    def epoch(number: tf.Tensor) -> tf.data.Dataset:
        return _epoch(files, reader, number + seed * 1_000_003)

    epochs = tf.data.Dataset.range(first, tf.int64.max).flat_map(epoch)
    return epochs.skip(skipped).enumerate(start)


def _epoch(files: Sequence[str], reader: Reader, seed: tf.Tensor) -> tf.data.Dataset:
    """Every example once, in an order that the seed decides."""
    names = tf.data.Dataset.from_tensor_slices(list(files))
    if reader.shuffle:
        names = names.shuffle(len(files), seed=seed, reshuffle_each_iteration=False)
    records = names.interleave(
        tf.data.TFRecordDataset,
        cycle_length=min(reader.files_at_once, len(files)),
        block_length=reader.block_length,
    )
    if reader.shuffle:
        records = records.shuffle(reader.shuffle_buffer, seed=seed, reshuffle_each_iteration=False)
    return records.shard(reader.sample_1_of_n, 0) if reader.sample_1_of_n > 1 else records
