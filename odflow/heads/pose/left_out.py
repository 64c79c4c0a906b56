"""People that a stage leaves out: each is told, and the kinds are counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from odflow.errors import InputError

if TYPE_CHECKING:
    from odflow.formats.keypoints import Fault
    from odflow.graph.job import Job


@dataclass
class LeftOut:
    """Tells and counts; one bad person ends a stage only when no good one is left."""

    job: Job
    kinds: Counter[str] = field(default_factory=Counter)
    first: Fault | None = None

    def tell(self, fault: Fault) -> None:
        """Take one person that is left out."""
        self.job.log.warning("left out: %s", fault)
        self.kinds[fault.why] += 1
        self.first = self.first or fault

    def sum_up(self, kept: int, source: object) -> None:
        """State how many were left out, and why.

        Args:
            kept: people that are left.
            source: what the people come from.

        Raises:
            InputError: nobody is left.
        """
        if not kept and self.first:
            raise InputError(
                f"{source}: none of its {self.kinds.total()} people can be used. The first: {self.first}."
            )
        if not kept:
            raise InputError(f"{source}: holds no person.")
        for why, count in self.kinds.most_common():
            self.job.say(f"{count} left out: {why}")
            self.job.count("people_left_out", count)
