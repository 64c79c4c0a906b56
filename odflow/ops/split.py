"""Splitting images into a training and a validation side."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256


def hash_share(name: str) -> float:
    """A number in [0, 1) that a name always has, on every machine and in every version.

    >>> round(hash_share("img_041.jpg"), 6)
    0.948767
    """
    return int.from_bytes(sha256(name.encode()).digest()[:6], "big") / (1 << 48)


def split_by_hash(names: Iterable[str], valid_fraction: float) -> tuple[list[str], list[str]]:
    """Split by a hash of the name: an image stays on its side whatever other images come.

    Args:
        names: each once, in any order.
        valid_fraction: the share of names to expect on the validation side, 0 to 1.

    Returns:
        The names of the training and of the validation side, both sorted.
    """
    train: list[str] = []
    valid: list[str] = []
    for name in sorted(names):
        (valid if hash_share(name) < valid_fraction else train).append(name)
    return train, valid


def split_by_count(names: Iterable[str], train_count: int) -> tuple[list[str], list[str]]:
    """Split the sorted names: the first `train_count` to train, the others to valid.

    >>> split_by_count(["c", "a", "b"], 2)
    (['a', 'b'], ['c'])
    """
    ordered = sorted(names)
    return ordered[:train_count], ordered[train_count:]
