"""Checkpoints of a training, to go on from after a kill or a power cut.

    FOLDER/ckpt-STEP.index, ckpt-STEP.data-00000-of-00001     of the latest steps that were saved
    FOLDER/checkpoint                                         names the newest of them

A checkpoint is whole on the disk before the file `checkpoint` names it, and before older ones go.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import tensorflow as tf

from odflow.flushing import flush_one, make_flushed_folder, write_flushed
from odflow.odapi.checkpoint import checkpoint_files, damage
from odflow.training.disk import told_by_disk

KEPT = 2
"""Checkpoints that are there to go on from; several workers may have died one apart."""

_NAMED = re.compile(r'^model_checkpoint_path: ".*?ckpt-(\d+)"', re.M)
_FILE = re.compile(r"ckpt-(\d+)\.(index|data-\d+-of-\d+)")


class SavedSteps:
    """The latest steps of a training.

    Args:
        checkpoint: what is saved and restored.
        folder: holds nothing else; made when absent.
    """

    def __init__(self, checkpoint: tf.train.Checkpoint, folder: Path) -> None:
        self._checkpoint, self.folder = checkpoint, folder
        self._damage: dict[int, str | None] = {}

    @property
    def damaged(self) -> list[str]:
        """What is wrong with each checkpoint that `newest` passed over."""
        return [wrong for _, wrong in sorted(self._damage.items(), reverse=True) if wrong]

    def newest(self, last: float = float("inf")) -> int:
        """The newest step up to a last one whose checkpoint is whole; 0 when there is none.

        Every checkpoint that is looked at is read, and its sums are verified.
        """
        for step in sorted((one for one in self._there() if one <= last), reverse=True):
            if step not in self._damage:
                self._damage[step] = damage(self._prefix(step))
            if self._damage[step] is None:
                return step
        return 0

    def restore(self, step: int) -> None:
        """Go on from a step that is whole, or from none (0); what is damaged and was looked at is removed."""
        if step:
            self._checkpoint.read(str(self._prefix(step))).expect_partial()
        for other in [one for one, wrong in self._damage.items() if wrong]:
            self._remove(other)
        if self.damaged:
            self._name_newest(step)

    def save(self, step: int) -> None:
        """Save a step; of earlier ones the last stays.

        Raises:
            OSError: the disk is full or refuses; what was saved before is there.
        """
        make_flushed_folder(self.folder)
        try:
            with told_by_disk():
                self._checkpoint.write(str(self._prefix(step)))
        finally:
            for partial in self.folder.glob("ckpt-*_temp"):
                shutil.rmtree(partial)
        for file in checkpoint_files(self._prefix(step)):
            flush_one(file)
        flush_one(self.folder)
        self._name_newest(step)
        for old in sorted(one for one in self._there() if one <= step)[:-KEPT]:
            self._remove(old)

    def _name_newest(self, step: int) -> None:
        """As TensorFlow's own tools have it."""
        name = f'model_checkpoint_path: "ckpt-{step}"\n' if step else ""
        write_flushed(self.folder / "checkpoint", name)

    def _there(self) -> set[int]:
        """The steps of which there is any file, and the one that is named the newest."""
        names = (path.name for path in self.folder.glob("ckpt-*"))
        found = {int(file[1]) for file in map(_FILE.fullmatch, names) if file}
        state = self.folder / "checkpoint"
        named = _NAMED.search(state.read_text("utf-8", "replace")) if state.is_file() else None
        return found | ({int(named[1])} if named else set())

    def _prefix(self, step: int) -> Path:
        return self.folder / f"ckpt-{step}"

    def _remove(self, step: int) -> None:
        for file in checkpoint_files(self._prefix(step)):
            file.unlink(missing_ok=True)
