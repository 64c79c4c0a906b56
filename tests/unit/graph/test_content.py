"""Digests of files and folders."""

import hashlib
import mmap
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import InputError
from odflow.graph import content as content_module
from odflow.graph import hashing as hashing_module
from odflow.graph.content import Content, Digests, Entry, changes
from odflow.graph.hashing import Hashed, hash_files
from odflow.graph.listing import list_files
from odflow.graph.memory import Memory
from tests.settled import settle

# Letters on both sides of the slash, a newline, a byte that is no UTF-8, and a letter that Python
# sorts after that byte though its own bytes come before it.
NAMES = st.lists(st.text("ab-0\n\udcff\U0001f436", min_size=1, max_size=3), min_size=1, max_size=3).map(
    "/".join
)
TREES = st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=5).filter(
    lambda tree: not any(other.startswith(name + "/") for name in tree for other in tree)
)


def put(folder: Path, tree: dict[str, bytes]) -> Path:
    for name, data in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_a_file_has_the_digest_that_sha256sum_tells(tmp_path: Path) -> None:
    file = tmp_path / "file.bin"
    file.write_bytes(os.urandom(100_000))
    told = subprocess.run(["sha256sum", file], capture_output=True, text=True, check=True).stdout.split()[0]
    assert Digests().content(file).digest == told
    assert Digests().content(file).size == 100_000


@settings(deadline=None)
@given(first=TREES, second=TREES)
def test_folders_are_equal_when_paths_and_bytes_are(
    first: dict[str, bytes], second: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = Digests().content(put(tmp_path_factory.mktemp("one"), first))
    two = Digests().content(put(tmp_path_factory.mktemp("two"), second))
    assert (one.digest == two.digest) == (first == second)


@settings(deadline=None)
@given(tree=TREES)
def test_a_part_of_a_folder_has_the_content_that_it_has_by_itself(
    tree: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = put(tmp_path_factory.mktemp("whole"), tree)
    whole = Digests().content(folder)
    for path in folder.rglob("*"):
        assert whole.below(str(path.relative_to(folder))) == Digests().content(path)
    assert whole.below("nothing") is None


def test_a_folder_is_told_from_a_file_of_the_same_bytes(tmp_path: Path) -> None:
    put(tmp_path, {"folder/a": b"x"})
    inside = b"a\0" + hashlib.sha256(b"x").digest()
    (tmp_path / "file").write_bytes(inside)
    assert Digests().content(tmp_path / "file").digest != Digests().content(tmp_path / "folder").digest


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    digests, file = Digests(), tmp_path / "file"
    file.write_text("one")
    first = digests.content(file)
    file.write_text("two")
    os.utime(file, ns=(1, 1))
    assert digests.content(file) != first


def test_links_are_followed_and_circles_refused(tmp_path: Path) -> None:
    put(tmp_path, {"real/a": b"x"})
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    assert Digests().content(tmp_path / "linked") == Digests().content(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    with pytest.raises(InputError, match=r"is a link to a folder above it"):
        Digests().content(tmp_path)


def test_what_is_no_regular_file_is_passed_over(tmp_path: Path) -> None:
    put(tmp_path, {"a": b"x"})
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to("nowhere")
    assert [entry.path for entry in Digests().content(tmp_path).entries] == ["a"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.txt: cannot be read \(No such file"):
        Digests().content(tmp_path / "gone.txt")


def test_an_empty_folder_has_a_digest(tmp_path: Path) -> None:
    assert Digests().content(tmp_path) == Content(True, ())
    assert Digests().content(tmp_path).digest == f"tree:{hashlib.sha256().hexdigest()}"


def age(folder: Path) -> Path:
    settle(folder)
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on, as long as nobody clears it."""
    names: list[str] = []

    def hash_and_note(files: Iterable[tuple[str, str]]) -> Iterator[Hashed]:
        given = list(files)
        names.extend(Path(path).name for path, _ in given)
        return hash_files(given)

    monkeypatch.setattr(content_module, "hash_files", hash_and_note)
    return names


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / ".odflow" / "digests.sqlite")


@settings(deadline=None, max_examples=40)
@given(tree=TREES)
def test_what_is_remembered_is_what_was_read(
    tree: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    folder = age(put(home / "folder", tree))
    read = Digests().content(folder)
    assert [entry.path for entry in read.entries] == sorted(tree, key=os.fsencode)
    for _ in range(2):
        found = Digests(Memory(home / "digests.sqlite")).content(folder)
        assert (found.digest, found.size, found.entries) == (read.digest, read.size, read.entries)
        assert all(found.below(name) == read.below(name) for name in tree)


def test_an_unchanged_folder_is_not_read(tmp_path: Path, memory: Memory, read: list[str]) -> None:
    folder = age(put(tmp_path / "folder", {"a": b"one", "deep/b": b"two"}))
    before = Digests(memory).content(folder)
    assert sorted(read) == ["a", "b"]
    assert Digests(memory).content(folder) == before
    assert sorted(read) == ["a", "b"]


def test_of_a_changed_folder_only_changed_files_are_read(
    tmp_path: Path, memory: Memory, read: list[str]
) -> None:
    folder = age(put(tmp_path / "folder", {"a": b"one", "b": b"two", "c": b"three"}))
    before = Digests(memory).content(folder)
    put(folder, {"b": b"four", "d": b"five"})
    (folder / "c").unlink()
    read.clear()
    after = Digests(memory).content(folder)
    assert sorted(read) == ["b", "d"]
    wanted = {"a": b"one", "b": b"four", "d": b"five"}
    assert {entry.path: entry.sha256 for entry in after.entries} == {
        name: hashlib.sha256(data).hexdigest() for name, data in wanted.items()
    }
    assert str(changes(before.entries, after.entries)) == "1 file added, 1 removed, 1 changed"


def test_a_file_is_remembered_alone_as_in_its_folder(tmp_path: Path, memory: Memory, read: list[str]) -> None:
    folder = age(put(tmp_path / "folder", {"a": b"one", "b": b"two"}))
    alone = Digests(memory).content(folder / "a")
    whole = Digests(memory).content(folder)
    assert whole.below("a") == alone
    assert Digests(memory).content(folder / "b") == whole.below("b")
    assert read == ["a", "b"]


@pytest.mark.parametrize("name", ["a", "."])
def test_a_relative_path_is_remembered_by_where_it_leads(
    tmp_path: Path, memory: Memory, monkeypatch: pytest.MonkeyPatch, read: list[str], name: str
) -> None:
    folder = age(put(tmp_path / "one", {"a": b"one"}))
    monkeypatch.chdir(folder)
    before = Digests(memory).content(Path(name))
    monkeypatch.chdir(tmp_path)
    assert Digests(memory).content(folder / name) == before
    assert read == ["a"]


def utime(path: Path, before: os.stat_result) -> None:
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def in_place(path: Path, data: bytes) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.write(data)
    utime(path, before)


def by_a_rename(path: Path, data: bytes) -> None:
    before = path.stat()
    path.with_name("other").write_bytes(data)
    utime(path.with_name("other"), before)
    path.with_name("other").replace(path)


def over_a_link(path: Path, data: bytes) -> None:
    """As in the folders of Nix and of container layers: another name of the same inode."""
    os.link(path, path.with_name("same"))
    in_place(path.with_name("same"), data)
    path.with_name("same").unlink()


def by_unlink_and_create(path: Path, data: bytes) -> None:
    """File systems give a freed inode again at once."""
    before = path.stat()
    path.unlink()
    path.write_bytes(data)
    utime(path, before)


def by_cp(path: Path, data: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(data)
    utime(other, path.stat())
    subprocess.run(["cp", "--preserve=timestamps", other, path], check=True)
    other.unlink()


def by_tar(path: Path, data: bytes) -> None:
    folder = path.with_name("packed")
    folder.mkdir()
    (folder / path.name).write_bytes(data)
    utime(folder / path.name, path.stat())
    subprocess.run(["tar", "--format=pax", "-cf", folder / "tar", "-C", folder, path.name], check=True)
    subprocess.run(["tar", "-xf", folder / "tar", "-C", path.parent], check=True)
    shutil.rmtree(folder)


def by_a_memory_map(path: Path, data: bytes) -> None:
    before = path.stat()
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:] = data
        mapped.flush()
    utime(path, before)


@pytest.mark.parametrize(
    "change", [in_place, by_a_rename, over_a_link, by_unlink_and_create, by_cp, by_tar, by_a_memory_map]
)
@pytest.mark.parametrize("kept", [True, False])
def test_a_change_that_keeps_size_and_time_is_seen_by_ctime(
    tmp_path: Path, memory: Memory, change: Callable[[Path, bytes], None], kept: bool
) -> None:
    folder = age(put(tmp_path / "folder", {"a": b"one"}))
    digests = Digests(memory) if kept else Digests()
    before, state = digests.content(folder), (folder / "a").stat()
    change(folder / "a", b"ONE")
    now = (folder / "a").stat()
    assert (now.st_size, now.st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    again = Digests(memory) if kept else digests
    assert again.content(folder) != before
    assert again.content(folder / "a") == Digests().content(folder / "a")


@pytest.mark.parametrize(
    ("later", "remembered"),
    [
        pytest.param(-(10**12), False, id="by a clock that is ahead"),
        pytest.param(0, False, id="now"),
        pytest.param(4 * 10**7, False, id="0.04 s ago"),
        pytest.param(10**8, True, id="0.1 s ago"),
    ],
)
def test_a_file_that_may_change_within_a_tick_is_not_remembered(
    tmp_path: Path,
    memory: Memory,
    monkeypatch: pytest.MonkeyPatch,
    read: list[str],
    later: int,
    remembered: bool,
) -> None:
    folder = put(tmp_path / "folder", {"a": b"one"})
    written = (folder / "a").stat().st_ctime_ns
    monkeypatch.setattr(hashing_module, "time", SimpleNamespace(time_ns=lambda: written + later))
    Digests(memory).content(folder)
    Digests(memory).content(folder)
    assert len(read) == (1 if remembered else 2)


def test_a_file_that_vanishes_meanwhile_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put(tmp_path / "folder", {"a": b"one", "b": b"two"})

    def list_and_lose(path: str) -> list[str]:
        found = list_files(path)
        (folder / "b").unlink()
        return found

    monkeypatch.setattr(content_module, "list_files", list_and_lose)
    with pytest.raises(InputError, match=r"folder/b: cannot be read \(No such file"):
        Digests().content(folder)


def test_a_file_whose_disk_fails_is_named() -> None:
    with pytest.raises(InputError, match=r"/proc/self/mem: cannot be read \(Input/output error\)"):
        Digests().content(Path("/proc/self/mem"))


def test_what_is_neither_file_nor_folder_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: is neither a file nor a folder"):
        Digests().content(tmp_path / "pipe")


def test_many_at_once_are_what_each_is_alone(tmp_path: Path, memory: Memory) -> None:
    age(put(tmp_path / "data", {"a": b"one", "b": b"two", "deep/c": b"three"}))
    paths = [tmp_path / "data" / name for name in ("b", "gone", "deep", "a", "b")]
    for _ in range(2):
        found = Digests(memory).contents(paths)
        assert found[1] is None
        assert [one for one in found if one] == [Digests().content(path) for path in paths if path.exists()]
    assert Digests(memory).contents([]) == []


def test_threads_share_one(tmp_path: Path, memory: Memory) -> None:
    folders = [age(put(tmp_path / f"{n}", {f"{m}": b"%d %d" % (n, m) for m in range(200)})) for n in range(4)]
    wanted = [Digests().content(folder) for folder in folders]
    digests = Digests(memory)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(digests.content, folders * 5)) == wanted * 5


@settings(deadline=None)
@given(before=TREES, after=TREES)
def test_changes_lead_from_one_content_to_the_other(
    before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    def entries(tree: dict[str, bytes]) -> list[Entry]:
        return [Entry(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in tree.items()]

    found = changes(entries(before), entries(after))
    rebuilt = {name: data for name, data in before.items() if name not in found.removed}
    rebuilt |= {name: after[name] for name in (*found.added, *found.changed)}
    assert rebuilt == after
    assert not any(before.get(name) == after[name] for name in (*found.added, *found.changed))
    assert (str(found) == "") == (before == after)


def test_changes_are_told_in_few_words() -> None:
    old, new = Entry("a", 1, "11"), Entry("a", 1, "22")
    others = [Entry(name, 1, "33") for name in "bcd"]
    assert str(changes([old], [new, *others])) == "3 files added, 1 changed"
    assert str(changes([old, *others], [old])) == "3 files removed"
    assert str(changes([old], [new])) == "1 file changed"
