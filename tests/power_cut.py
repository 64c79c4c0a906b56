"""What a disk may hold after a power cut: what was flushed (fsync) is there, of the rest any part may be.

The names in a folder are on the disk as they were when the folder was last flushed, the bytes of a
file as they were when the file was. A rename is whole: what moved is under one name. `PowerCut`
remembers names and bytes at every flush of this process, and looks before and after each at what a
cut could leave.
"""

from __future__ import annotations

import os
import random
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

State = Mapping[str, bytes | None]
"""What is below a folder: path to the bytes of a file, or to None for a folder."""

Newest = Callable[[], bool]
"""Whether what is newer than the last flush is on the disk too; asked for each name, and each file."""


class PowerCut:
    """The states that cuts could have left below a folder since this was made.

    Args:
        root: what is there now is taken to be on the disk.

    Attributes:
        states: at each moment nothing but what was flushed; all names, and the bytes that were
            flushed; and two where chance decides for each name and file.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.states = root, list[State]()
        self._names: dict[int, dict[str, int]] = {}
        self._bytes: dict[int, bytes] = {}
        self._open: list[int] = []  # the number of a file that is open is not given to another
        self._fsync, self._chance = os.fsync, random.Random(5)
        for place in (root, *root.rglob("*")):
            self._remember(os.open(place, os.O_RDONLY))
        os.fsync = self._watched_fsync

    def _watched_fsync(self, descriptor: int) -> None:

        self.look()
        self._fsync(descriptor)
        self._remember(os.dup(descriptor))
        self.look()

    def look(self) -> None:
        """Take the states that a cut could leave now."""
        self.states += [self.flushed(), self._state(_always, _never)[0]]
        known = self._numbers_in(_never) & self._numbers_in(_always)
        for _ in range(2):
            state, numbers = self._state(self._by_chance, self._by_chance)
            if known <= numbers:  # else a rename would have taken what it moved
                self.states.append(state)

    def flushed(self) -> State:
        """Nothing but what was flushed."""
        return self._state(_never, _never)[0]

    def lay(self, state: State, folder: Path) -> Path:
        """Have a folder hold a state."""
        for path, content in sorted(state.items()):
            if content is None:
                (folder / path).mkdir(parents=True, exist_ok=True)
            else:
                (folder / path).write_bytes(content)
        return folder

    def end(self) -> None:
        """Flush as ever from now on, and give back what is open."""
        os.fsync = self._fsync
        for one in self._open:
            os.close(one)
        self._open.clear()

    def _remember(self, descriptor: int) -> None:
        self._open.append(descriptor)
        state, place = os.fstat(descriptor), Path(f"/proc/self/fd/{descriptor}")
        if stat.S_ISDIR(state.st_mode):
            self._names[state.st_ino] = _numbers(place)
        else:
            self._bytes[state.st_ino] = place.read_bytes()

    def _by_chance(self) -> bool:
        return self._chance.random() < 0.5

    def _numbers_in(self, newest_names: Newest) -> set[int]:
        return self._state(newest_names, _never)[1]

    def _state(self, newest_names: Newest, newest_bytes: Newest) -> tuple[State, set[int]]:
        """A state, and the numbers of what is in it."""
        folders, files, now = self._now()
        found: dict[str, bytes | None] = {}
        numbers: dict[int, str] = {}
        waiting = [("", self.root.stat().st_ino)]
        while waiting:
            path, number = waiting.pop()
            twice = numbers.get(number)  # moved, and only one of both folders has been flushed since
            if twice is not None and path != now.get(number):
                continue
            if twice is not None:
                gone = [one for one in found if f"{one}/".startswith(f"{twice}/")]
                found = {one: content for one, content in found.items() if one not in gone}
            numbers[number] = path
            if number in folders or number in self._names:
                found[path] = None
                flushed = self._names.get(number, {})
                newest = folders.get(number, flushed)
                for name in sorted({**flushed, **newest}):
                    one = (newest if newest_names() else flushed).get(name)
                    waiting += [] if one is None else [(f"{path}/{name}".lstrip("/"), one)]
            else:
                content = self._bytes.get(number, b"")
                found[path] = files.get(number, content) if newest_bytes() else content
        return found, set(numbers)

    def _now(self) -> tuple[dict[int, dict[str, int]], dict[int, bytes], dict[int, str]]:
        places = {place.stat().st_ino: place for place in (self.root, *self.root.rglob("*"))}
        folders = {number: _numbers(place) for number, place in places.items() if place.is_dir()}
        files = {number: place.read_bytes() for number, place in places.items() if place.is_file()}
        return folders, files, {number: str(place.relative_to(self.root)) for number, place in places.items()}


def _always() -> bool:
    return True


def _never() -> bool:
    return False


def _numbers(folder: Path) -> dict[str, int]:
    with os.scandir(folder) as items:
        return {item.name: item.inode() for item in items}
