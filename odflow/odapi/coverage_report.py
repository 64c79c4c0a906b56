"""What became of every field of a config, told short and written whole."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from odflow.errors import ConfigError
from odflow.odapi.pipeline_config import set_fields
from odflow.odapi.section import APPROXIMATED, HONOURED, NOT_APPLICABLE, UNSUPPORTED, Coverage, Verdict

STATES = (HONOURED, APPROXIMATED, NOT_APPLICABLE, UNSUPPORTED)


@dataclass(frozen=True)
class CoverageReport:
    """The verdict on each field that a config sets.

    Attributes:
        source: the config's file name.
        rows: dotted proto path and verdict, in the order of the config's fields.
    """

    source: str
    rows: Sequence[tuple[str, Verdict]]

    @classmethod
    def of(cls, config: Any, coverage: Coverage) -> CoverageReport:
        """The report on a TrainEvalPipelineConfig after its translation."""
        return cls(coverage.source, [(path, coverage.of(path)) for path in set_fields(config)])

    def counts(self) -> dict[str, int]:
        """How many fields have each state; all four states are there."""
        found = Counter(verdict.state for _, verdict in self.rows)
        return {state: found[state] for state in STATES}

    def summary(self) -> str:
        """One line: ``103 fields: 90 honoured, 2 approximated, 11 not applicable``."""
        parts = [f"{count} {state}" for state, count in self.counts().items() if count]
        return f"{len(self.rows)} fields: {', '.join(parts)}"

    def loose(self) -> list[tuple[str, Verdict]]:
        """The fields that are followed only nearly, or not at all."""
        return [row for row in self.rows if row[1].state in (APPROXIMATED, UNSUPPORTED)]

    def check_strict(self) -> None:
        """See that the config is followed to the letter.

        Raises:
            ConfigError: a field is approximated or unsupported; one line for each.
        """
        loose = [
            f"{self.source}: {path} is {verdict.state}: {verdict.remark}." for path, verdict in self.loose()
        ]
        if loose:
            raise ConfigError(*loose, "Change these fields, or leave strict out.")

    def to_json(self) -> str:
        """The rows as a JSON list of objects with `field`, `state` and `remark`."""
        table = [
            {"field": path, "state": verdict.state, "remark": verdict.remark} for path, verdict in self.rows
        ]
        return json.dumps(table, indent=2) + "\n"

    def to_markdown(self) -> str:
        """The rows as a page with a table, those first that are not honoured."""
        lines = [f"# What became of {_plain(self.source)}", "", f"{self.summary()}.", ""]
        lines += ["| field | state | remark |", "| --- | --- | --- |"]
        ordered = sorted(self.rows, key=lambda row: -STATES.index(row[1].state))
        lines += [f"| `{path}` | {verdict.state} | {_plain(verdict.remark)} |" for path, verdict in ordered]
        return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Text that a Markdown table shows as it is."""
    for mark, shown in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|"), ("\n", " ")):
        text = text.replace(mark, shown)
    return text
