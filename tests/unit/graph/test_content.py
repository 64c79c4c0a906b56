"""Digests of files and folders."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import InputError
from odflow.graph.content import Content, Digests

NAMES = st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=3).map("/".join)
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
