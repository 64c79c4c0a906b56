"""Patterns that stand for several files, as the Object Detection API's input_path has them."""

from __future__ import annotations

import glob
import re
from pathlib import Path
from typing import Any

WILD = frozenset("*?[")

_SHARDED = re.compile(r"(.+)@([1-9]\d{0,4})")


def expanded(value: Any) -> Any:
    """The files that patterns stand for; everything else as it is.

    Args:
        value: a path or several. ``train.record-?????-of-00010`` and other patterns of a shell stand
            for the files that they match, ``train.record@10`` for its ten shards, ``a,b`` for both.

    Returns:
        One path, or the list of them, sorted for each pattern; a pattern that nothing matches stays.
    """
    given = value if isinstance(value, (list, tuple)) else [value]
    found = [
        path for one in given for path in (_matching(str(one)) if isinstance(one, (str, Path)) else [one])
    ]
    return found[0] if len(found) == 1 else found


def _matching(text: str) -> list[str]:
    if "${" in text or Path(text).exists():
        return [text]
    sharded = _SHARDED.fullmatch(text)
    if sharded:
        name, count = sharded[1], int(sharded[2])
        return [f"{name}-{index:05d}-of-{count:05d}" for index in range(count)]
    if "," in text:
        return [path for part in text.split(",") if part.strip() for path in _matching(part.strip())]
    found = glob.glob(text) if WILD & set(text) else []  # noqa: PTH207 (it may be absolute)
    return sorted(found) or [text]
