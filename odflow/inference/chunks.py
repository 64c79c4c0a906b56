"""Many images through workers in threads, processes or on other machines: a few at a time each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

Means = TypeVar("Means")
Item = TypeVar("Item")
Result = TypeVar("Result")

CHUNK = 16
"""Images a chunk: enough for the way to another machine, few enough to end together."""

Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""Calls a function that is importable by name on every value, by workers, and gives the results in
order: `Job.map`."""


@dataclass(frozen=True, slots=True)
class Chunk(Generic[Means, Item]):
    """What one worker does at a time.

    Attributes:
        means: what all chunks need, such as the model.
        items: a few of them.
    """

    means: Means
    items: Sequence[Item]


def work_in_chunks(
    work: Callable[[Chunk[Means, Item]], list[Result]], means: Means, items: Iterable[Item], spread: Spread
) -> Iterator[tuple[Item, Result]]:
    """Work on many items, several chunks of them at once.

    Args:
        work: gives the results of a few items; importable by name.
        means: given to it each time; plain data.
        items: plain data; taken as the work goes on.
        spread: hands out the chunks.

    Returns:
        Each item with its result, in the order of the items.
    """
    under_way: deque[Sequence[Item]] = deque()  # so that nobody has to send the items back

    def chunks() -> Iterator[Chunk[Means, Item]]:
        waiting = iter(items)
        while chunk := list(islice(waiting, CHUNK)):
            under_way.append(chunk)
            yield Chunk(means, chunk)

    for results in spread(work, chunks()):
        yield from zip(under_way.popleft(), results, strict=True)
