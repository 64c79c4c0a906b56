"""Digests of what was read before, kept in one SQLite file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from urllib.parse import quote

from odflow.errors import StoreError

T = TypeVar("T")
_PATIENCE = 5.0  # seconds
_TABLES = """
create table if not exists files (path blob primary key, stamp text, sha256 text) without rowid;
create table if not exists folders
    (path blob primary key, seen blob, digest text, size integer, entries blob);
"""


class Known(NamedTuple):
    """What a file held when it had a stamp."""

    stamp: str
    sha256: str


class KnownFolder(NamedTuple):
    """What a folder held when its files had certain stamps.

    Attributes:
        digest: of the whole.
        size: bytes.
        entries: its files, packed.
    """

    digest: str
    size: int
    entries: bytes


class Memory:
    """Saves reading: it may be deleted at any time, and then files are read again.

    Any number of threads and processes use one at once, and may be killed meanwhile.
    Where the disk refuses, or others hold the file for seconds, nothing is remembered.
    Every method raises StoreError when the file is damaged.

    Args:
        path: of the SQLite file. It and its folder are made when there is something to keep.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def folder(self, path: str, seen: bytes) -> KnownFolder | None:
        """What a folder holds, when it was last seen like this.

        Args:
            path: absolute.
            seen: digest of its listing.
        """
        rows = self._ask(
            "select digest, size, entries from folders where path = ? and seen = ?", os.fsencode(path), seen
        )
        return KnownFolder(*rows[0]) if rows else None

    def files(self, paths: Iterable[str]) -> dict[str, Known]:
        """What is known of files, by their absolute paths."""

        def ask(connection: sqlite3.Connection) -> list[Any]:
            connection.execute("begin")  # one look at the file for all questions
            question = "select path, stamp, sha256 from files where path = ?"
            return [row for path in paths for row in connection.execute(question, (os.fsencode(path),))]

        return _by_path(self._connected(ask) or [])

    def files_below(self, folder: str) -> dict[str, Known]:
        """What is known of the files below a folder, by their absolute paths."""
        below = os.fsencode(folder).rstrip(b"/") + b"/"
        after = below[:-1] + b"0"  # the character that follows the slash
        return _by_path(
            self._ask("select path, stamp, sha256 from files where path > ? and path < ?", below, after)
        )

    def keep(self, files: Mapping[str, Known], folders: Mapping[str, tuple[bytes, KnownFolder]]) -> bool:
        """Remember files and folders, all or nothing.

        Args:
            files: absolute path to what is known.
            folders: absolute path to the digest of its listing and what is known.

        Returns:
            Whether they are remembered.
        """
        file_rows = [(os.fsencode(path), *known) for path, known in files.items()]
        folder_rows = [(os.fsencode(path), seen, *known) for path, (seen, known) in folders.items()]
        if not file_rows and not folder_rows:
            return True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            return False

        def insert(connection: sqlite3.Connection) -> bool:
            connection.executescript(f"begin immediate; {_TABLES}")
            connection.executemany("insert or replace into files values (?, ?, ?)", file_rows)
            connection.executemany("insert or replace into folders values (?, ?, ?, ?, ?)", folder_rows)
            connection.execute("commit")
            return True

        return bool(self._connected(insert, "rwc"))

    def check(self) -> None:
        """See at a glance whether the file is whole; free of cost, so not all damage is seen.

        Raises:
            StoreError: it is not.
        """

        def pages(connection: sqlite3.Connection) -> int:
            connection.execute("pragma schema_version").fetchone()
            (count,), (size,) = (
                connection.execute(f"pragma {name}").fetchone() for name in ("page_count", "page_size")
            )
            return int(count) * int(size)

        wanted = self._connected(pages) or 0
        found = self.path.stat().st_size if wanted else 0
        if found < wanted:
            raise self._damaged(f"{found} bytes are there, {wanted} should be")

    def forget_missing(self) -> int:
        """Drop what is known of files and folders that are gone, and give the space back.

        Returns:
            How many were dropped.
        """
        rows = {table: self._ask(f"select path from {table}") for table in ("files", "folders")}
        gone = {
            table: [row for row in found if not Path(os.fsdecode(row[0])).exists()]
            for table, found in rows.items()
        }
        count = sum(map(len, gone.values()))

        def delete(connection: sqlite3.Connection) -> int:
            connection.execute("begin immediate")
            for table, rows in gone.items():
                connection.executemany(f"delete from {table} where path = ?", rows)
            connection.execute("commit")
            connection.execute("vacuum")
            return count

        return (self._connected(delete) or 0) if count else 0

    def _ask(self, question: str, *values: bytes) -> list[Any]:
        return self._connected(lambda connection: connection.execute(question, values).fetchall()) or []

    def _connected(self, work: Callable[[sqlite3.Connection], T], mode: str = "rw") -> T | None:
        """Do something with the file; None when the disk or another process does not let us."""
        place = f"file:{quote(os.fsencode(self.path.absolute()))}?mode={mode}"
        try:
            with closing(sqlite3.connect(place, _PATIENCE, isolation_level=None, uri=True)) as connection:
                return work(connection)
        except sqlite3.DatabaseError as error:
            # What sqlite3 itself refuses, such as a text that is none, has no code.
            kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
            strange = kind == sqlite3.SQLITE_ERROR and mode == "rwc"  # tables of another form
            if strange or kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise self._damaged(error) from error
            return None

    def _damaged(self, why: object) -> StoreError:
        return StoreError(
            f"{self.path}: is damaged ({why}). It only remembers digests: "
            "delete it, and files are read once more."
        )


def _by_path(rows: Iterable[Any]) -> dict[str, Known]:
    return {os.fsdecode(path): Known(stamp, sha256) for path, stamp, sha256 in rows}
