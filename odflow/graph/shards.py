"""Files that a stage makes of many items each, kept through a kill."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from odflow.errors import StageError
from odflow.graph.bookkeeping import Count
from odflow.graph.job import Job
from odflow.graph.journal import Journal

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Shard:
    """What is known of a file without reading it.

    Attributes:
        size: how many records it holds.
        note: what else became of its items, as JSON holds it.
    """

    size: int
    note: Any


def write_shards(
    job: Job,
    shards: Mapping[Path, Sequence[A]],
    make: Callable[[list[A]], Iterable[B]],
    write: Callable[[Path, Iterator[B]], Shard],
    fault: Callable[[Path, int], str | None],
    note: Any = Any,
) -> list[Shard]:
    """Write the files of a stage that `resumes`; those that a stopped run finished stay as they are.

    A file gets its name when it is whole, and is looked at again before a later run relies on
    it: after a power cut the journal may know more than the disk.

    Args:
        job: of the stage.
        shards: each file, in a folder below `job.staging` that is there, and its items.
        make: called once with the items of the files that are left; gives what becomes of each,
            in their order.
        write: writes a file of what became of its items.
        fault: what is wrong with a file that should hold so many records; None when it is whole.
        note: the type of the notes, as pydantic understands it from what JSON holds.

    Returns:
        Of each file what is known, in the order of `shards`.

    Raises:
        StageError: what was written is not whole.
    """
    with Journal(job.staging / "shards.journal", tuple[str, Count, note]) as journal:
        done = {job.staging / file: Shard(*rest) for file, *rest in journal}
        done = {
            path: shard for path, shard in done.items() if path in shards and fault(path, shard.size) is None
        }
        if done:
            job.log.info("goes on after %d of %d files", len(done), len(shards))
        left = {path: items for path, items in shards.items() if path not in done}
        made = iter(make([item for items in left.values() for item in items]))
        for path, items in left.items():
            partial = job.staging / f"{path.name}.partial"
            shard = done[path] = write(partial, islice(made, len(items)))
            wrong = fault(partial, shard.size)
            if wrong:
                raise StageError(f"{path.name} {wrong} Check the disk.")
            partial.replace(path)
            journal.append([str(path.relative_to(job.staging)), shard.size, shard.note], path)
    return [done[path] for path in shards]
