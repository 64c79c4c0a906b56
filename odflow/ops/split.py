"""Splitting images into a training and a validation side."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from hashlib import sha256

_COPY = re.compile(r"(?P<stem>[^/\\]+?)\.rf\.[0-9A-Za-z]{16,}(?=[._-][^/\\]*$)")
_EXTENSION = re.compile(r"_(jpe?g|png|bmp|gif|webp|tiff?)$", re.IGNORECASE)


def hash_share(name: str) -> float:
    """A number in [0, 1) that a name always has, on every machine and in every version.

    >>> round(hash_share("img_041.jpg"), 6)
    0.948767
    """
    return int.from_bytes(sha256(name.encode()).digest()[:6], "big") / (1 << 48)


def photograph_of(name: str) -> str:
    """The name of the photograph that an image is a copy of; any other image is its own.

    Roboflow names the copies that it makes STEM_jpg.rf.HASH.jpg after STEM.jpg. A copy may lie in
    another folder than the next, so the folder does not count.

    >>> photograph_of("train/deer_1_jpg.rf.30565a8911a6bb487e3745c0ea3c8224.jpg")
    'deer_1.jpg'
    >>> photograph_of("train/deer_1.jpg")
    'train/deer_1.jpg'
    """
    copy = _COPY.search(name)
    return _EXTENSION.sub(r".\1", copy["stem"]) if copy else name


def group_by(pattern: str, names: Iterable[str]) -> dict[str, str]:
    r"""The group of each name that a regular expression finds something in.

    Args:
        pattern: what its parentheses catch is the group, or all that it matches where it has none.
        names: in any order.

    Returns:
        Group by name, without the names in which it is not found.

    >>> group_by(r"^(.*)_frame", ["a_frame1.jpg", "a_frame2.jpg", "b.jpg"])
    {'a_frame1.jpg': 'a', 'a_frame2.jpg': 'a'}
    """
    found = ((name, re.search(pattern, name)) for name in names)
    return {name: "\n".join(match.groups("") or (match[0],)) for name, match in found if match}


def count_together(groups: Iterable[str]) -> tuple[int, int]:
    """How many groups have more than one image, and how many images those have.

    Args:
        groups: the group of each image.

    >>> count_together(["a", "b", "a", "a", "c", "c"])
    (2, 5)
    """
    sizes = [size for size in Counter(groups).values() if size > 1]
    return len(sizes), sum(sizes)


def split_by_hash(
    names: Iterable[str], valid_fraction: float, group: Callable[[str], str] = photograph_of
) -> tuple[list[str], list[str]]:
    """Split by a hash of the group: an image stays on its side whatever other images come.

    Args:
        names: each once, in any order.
        valid_fraction: the share of groups to expect on the validation side, 0 to 1.
        group: what an image belongs to. All images of a group are on one side.

    Returns:
        The names of the training and of the validation side, both sorted.
    """
    train: list[str] = []
    valid: list[str] = []
    for name in sorted(names):
        (valid if hash_share(group(name)) < valid_fraction else train).append(name)
    return train, valid


def split_by_count(
    names: Iterable[str], train_count: int, group: Callable[[str], str] = photograph_of
) -> tuple[list[str], list[str]]:
    """Split the sorted names: the first `train_count` to train, the others to valid.

    A group in which the count ends goes whole where the greater part of it would be. Groups are in
    the order of the first name of each.

    Returns:
        The names of the training and of the validation side, both sorted.

    >>> split_by_count(["c", "a", "b"], 2)
    (['a', 'b'], ['c'])
    >>> split_by_count(["a1", "a2", "b1", "b2", "b3"], 3, group=lambda name: name[0])
    (['a1', 'a2'], ['b1', 'b2', 'b3'])
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(names):
        groups.setdefault(group(name), []).append(name)
    train: list[str] = []
    valid: list[str] = []
    for members in groups.values():
        fits = 2 * (train_count - len(train)) >= len(members)
        (train if fits and not valid else valid).extend(members)
    return sorted(train), sorted(valid)
