"""Look through records of people before a training is started on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from odflow.errors import InputError
from odflow.formats.tfrecord import read_records
from odflow.heads.pose.person import decode

SHOWN = 10
"""Problems that are told one by one; the others are counted."""

Counted = Callable[[Iterable[str]], Iterable[str]]


def check_people(files: Sequence[Path], joints: Sequence[str], counted: Counted = iter) -> int:
    """Read every record, and verify that it is whole and of these joints.

    Args:
        files: TFRecord files.
        joints: their names in the skeleton's order.
        counted: shows how the records go by.

    Returns:
        How many people there are.

    Raises:
        InputError: there is none, or records that training cannot use: a line for each of
            the first ten, and how many more there are.
    """
    people = 0
    wrong: list[str] = []
    for problem in counted(_problems(files, joints)):
        people += 1
        if problem:
            wrong.append(problem)
    if not people:
        raise InputError(f"{', '.join(map(str, files))}: no record. Did pose.records leave nobody?")
    if wrong:
        more = [f"... and {len(wrong) - SHOWN} more of {people} records."] if len(wrong) > SHOWN else []
        raise InputError("\n".join([*islice(wrong, SHOWN), *more]))
    return people


def _problems(files: Iterable[Path], joints: Sequence[str]) -> Iterator[str]:
    """Of each record why it cannot be used; empty where it can."""
    for file in files:
        for number, payload in enumerate(read_records(file)):
            try:
                person, _, found = decode(payload)
            except InputError as error:
                yield f"{file}: record {number}: {error}"
                continue
            yield (
                ""
                if found == list(joints)
                else (
                    f"{file}: record {number} ({person.filename}): its joints are {', '.join(found)}; "
                    f"wanted: {', '.join(joints)}. Give the skeleton that the records were written with."
                )
            )
