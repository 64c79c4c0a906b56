"""What is remembered of files, whatever happens to the file that remembers."""

import hashlib
import random
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import StoreError
from odflow.graph import content as content_module
from odflow.graph import memory as memory_module
from odflow.graph.content import Digests
from odflow.graph.listing import stamp
from odflow.graph.memory import Known, KnownFolder, Memory
from tests.settled import settle

PATHS = st.text("ab-0/\n\xe9\udc80", max_size=6).map("/".__add__)
FILES = st.dictionaries(
    PATHS, st.builds(Known, st.text("12 ", max_size=5), st.text("abc", max_size=5)), max_size=9
)
FOLDER = KnownFolder("tree:ab", 2**62, b"a\xff\x00b")


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / ".odflow" / "digests.sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "folder", 300)


def make(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        path = folder / f"{number}"
        path.write_text(f"{number:04d}")
    settle(folder)
    return folder


def is_remembered(folder: Path, memory: Memory) -> bool:
    wanted = {
        str(path): Known(stamp(path.stat()), hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.iterdir()
    }
    return memory.files_below(str(folder)) == wanted


@settings(deadline=None)
@given(first=FILES, second=FILES, below=PATHS)
def test_files_are_remembered_as_they_were_kept_last(
    first: dict[str, Known], second: dict[str, Known], below: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("home") / "digests.sqlite"
    for files in (first, second):
        assert Memory(place).keep(files, {})
    wanted = first | second
    assert Memory(place).files([*wanted, "/never kept"]) == wanted
    start = below.rstrip("/") + "/"
    inside = {path: known for path, known in wanted.items() if path.startswith(start) and path != start}
    assert Memory(place).files_below(below) == inside


def test_a_folder_is_known_only_as_it_was_seen(memory: Memory) -> None:
    memory.keep({}, {"/images": (b"seen", FOLDER)})
    assert memory.folder("/images", b"seen") == FOLDER
    assert memory.folder("/images", b"other") is None
    assert memory.folder("/other", b"seen") is None
    memory.keep({}, {"/images": (b"other", FOLDER)})
    assert memory.folder("/images", b"seen") is None


def test_it_is_made_when_there_is_something_to_keep(memory: Memory, folder: Path) -> None:
    assert memory.files(["/a"]) == memory.files_below("/a") == {}
    assert memory.folder("/a", b"seen") is None
    assert memory.forget_missing() == 0
    assert memory.keep({}, {})
    assert not memory.path.parent.exists()
    Digests(memory).content(folder)
    assert is_remembered(folder, memory)


def test_a_place_may_have_any_name(tmp_path: Path, folder: Path) -> None:
    memory = Memory(tmp_path / "what? 100%23 #1&mode=ro" / "caf\xe9\udcff.sqlite")
    Digests(memory).content(folder)
    assert memory.path.exists()
    assert is_remembered(folder, memory)


def test_what_is_gone_is_forgotten(memory: Memory, tmp_path: Path) -> None:
    folders = [make(tmp_path / name, 300) for name in ("one", "two")]
    contents = [Digests(memory).content(folder) for folder in folders]
    size = memory.path.stat().st_size
    subprocess.run(["rm", "-r", folders[0]], check=True)
    (folders[1] / "7").unlink()
    assert memory.forget_missing() == 300 + 1 + 1
    assert memory.forget_missing() == 0
    assert memory.path.stat().st_size < size
    assert set(memory.files_below(str(tmp_path))) == {str(path) for path in folders[1].iterdir()}
    assert len(contents[0].entries) == 300


@pytest.mark.parametrize(
    "garbage", [b"no database at all\n" * 500, b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_garbage_is_one_clear_error(memory: Memory, folder: Path, garbage: bytes) -> None:
    memory.path.parent.mkdir()
    memory.path.write_bytes(garbage)
    with pytest.raises(StoreError) as error:
        Digests(memory).content(folder)
    assert str(error.value).startswith(f"{memory.path}: is damaged (")
    assert "delete it" in str(error.value)
    assert "\n" not in str(error.value)
    memory.path.unlink()
    assert Digests(memory).content(folder) == Digests().content(folder)
    assert is_remembered(folder, memory)


def test_a_truncated_file_never_tells_a_wrong_digest(memory: Memory, folder: Path) -> None:
    wanted = Digests(memory).content(folder)
    whole = memory.path.read_bytes()
    refused = 0
    for cut in [*range(0, 200, 7), *range(200, len(whole), 997)]:
        memory.path.write_bytes(whole[:cut])
        with suppress(StoreError):
            assert Digests(memory).content(folder) == wanted
            continue
        refused += 1
    assert refused > 50


def test_a_database_of_something_else_is_left_alone(memory: Memory, folder: Path) -> None:
    memory.path.parent.mkdir()
    with closing(sqlite3.connect(memory.path)) as connection:
        connection.execute("create table files (name text)")
    before = memory.path.read_bytes()
    with pytest.raises(StoreError, match="is damaged"):
        Digests(memory).content(folder)
    assert memory.path.read_bytes() == before


def test_a_busy_file_is_not_waited_for_long(
    memory: Memory, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_module, "_PATIENCE", 0.1)
    Digests(memory).content(folder / "1")
    with closing(sqlite3.connect(memory.path, isolation_level=None)) as other:
        other.execute("begin exclusive")
        began = time.monotonic()
        assert Digests(memory).content(folder) == Digests().content(folder)
        assert 0.1 <= time.monotonic() - began < 60
        assert not is_remembered(folder, memory)
    Digests(memory).content(folder)
    assert is_remembered(folder, memory)


def test_what_cannot_be_kept_is_read_once_by_one_object(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = Digests(Memory(folder / "0" / "below a file" / "digests.sqlite"))
    before = digests.content(folder)
    reads = []
    monkeypatch.setattr(content_module, "hash_files", lambda files: reads.extend(files) or [])
    assert digests.content(folder) == before
    assert not reads


def test_a_read_only_file_is_used_as_it_is(small_disk: Path, tmp_path: Path) -> None:
    memory = Memory(small_disk / ".odflow" / "digests.sqlite")
    kept, other = make(tmp_path / "kept", 10), make(tmp_path / "other", 10)
    Digests(memory).content(kept)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert is_remembered(kept, memory)
    assert Digests(memory).content(other) == Digests().content(other)
    assert not is_remembered(other, memory)
    nowhere = Memory(small_disk / "new" / "digests.sqlite")
    assert Digests(nowhere).content(other) == Digests().content(other)
    assert memory.forget_missing() == 0


def test_a_full_disk_is_no_failure(small_disk: Path, tmp_path: Path) -> None:
    (small_disk / "fill").write_bytes(bytes(900 * 1024))
    memory = Memory(small_disk / "digests.sqlite")
    few, many = make(tmp_path / "few", 10), make(tmp_path / "many", 2000)
    Digests(memory).content(few)
    assert Digests(memory).content(many) == Digests().content(many)
    assert not is_remembered(many, memory)
    assert is_remembered(few, memory)


WORK = """
import sys, time
from pathlib import Path
from odflow.graph.content import Digests
from odflow.graph.memory import Memory

# Looks at folders again and again, of which it changes its own in between.
memory, own, rounds = Memory(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for number in range(2, rounds + 2):
    for name in range(number % 7, 300, 7):
        (own / f"{name}").write_text(f"{number:04d}")
    time.sleep(number % 3 * 0.03)  # some are old enough to be remembered
    for folder in [own, *map(Path, sys.argv[4:])]:
        if Digests(memory).content(folder) != Digests().content(folder):
            sys.exit(f"{folder}: round {number}")
"""


def start(memory: Memory, own: Path, rounds: int, *others: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORK, memory.path, own, f"{rounds}", *others]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_use_one_at_once(memory: Memory, folder: Path, tmp_path: Path) -> None:
    own = [make(tmp_path / f"own{number}", 300) for number in range(3)]
    processes = [start(memory, place, 15, folder) for place in own]
    for process in processes:
        process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    settle(*own)
    for place in own:
        Digests(memory).content(place)
    assert all(is_remembered(place, memory) for place in (folder, *own))


def test_a_kill_at_any_moment_leaves_a_memory_that_is_right(memory: Memory, tmp_path: Path) -> None:
    own, moment = make(tmp_path / "own", 300), random.Random(3)
    for _ in range(15):
        process = start(memory, own, 10**6)
        time.sleep(moment.uniform(0, 0.15))
        process.kill()
        process.communicate()
        assert Digests(memory).content(own) == Digests().content(own)
        with closing(sqlite3.connect(memory.path)) as connection:
            assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    settle(own)  # the last kill may have left one that was written just now
    Digests(memory).content(own)
    assert is_remembered(own, memory)
