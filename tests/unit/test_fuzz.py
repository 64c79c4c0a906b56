"""Whatever a file of a user's holds, its reader reads it or refuses it by name, soon.

`benchmarks/fuzz.py` tries as many as there is time for.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from fuzz.readers import READERS, attempt

sys.path.pop(0)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_read_or_refused_by_name(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    counts = {"read": 0, "refused": 0}
    for content in islice(reader.contents(name), reader.tests):
        outcome = attempt(reader, tmp_path, content)
        assert outcome.kind in counts, (outcome.said, content[:2000])
        counts[outcome.kind] += 1
    assert counts["read"] > 0, counts
