"""Which files a folder holds."""

import os
import subprocess
from pathlib import Path

import pytest

from odflow.errors import InputError
from odflow.graph.listing import list_files


def names(folder: Path) -> list[str]:
    return [line.partition("\0")[0] for line in list_files(str(folder))]


def test_files_are_those_that_find_tells_with_their_stamps(tmp_path: Path) -> None:
    for name in ("b.txt", "a/c.txt", "a/deep/d", "a-b", "a0", "line\nbreak"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link.txt").symlink_to("a/c.txt")
    (tmp_path / "linked").symlink_to("a")
    (tmp_path / "dangling").symlink_to("nowhere")
    told = subprocess.run(
        ["find", "-L", tmp_path, "-type", "f", "-printf", r"%P\0%s %T@ %C@ %i\0"],
        capture_output=True,
        check=True,
    )
    words = os.fsdecode(told.stdout).split("\0")[:-1]
    wanted = []
    for name, stamp in zip(words[0::2], words[1::2], strict=True):
        size, *times, inode = stamp.split()
        parts = [time.partition(".") for time in times]
        wanted.append(
            " ".join([f"{name}\0{size}", *(f"{whole}{part[:9]}" for whole, _, part in parts), inode])
        )
    assert list_files(str(tmp_path)) == sorted(wanted)
    assert len(wanted) == 6 + 1 + 2


@pytest.mark.parametrize("target", [".", "..", "../..", "../a", "/"])
def test_a_link_upwards_is_refused_and_named(tmp_path: Path, target: str) -> None:
    (tmp_path / "root" / "a" / "b").mkdir(parents=True)
    (tmp_path / "root" / "a" / "up").symlink_to(target)
    with pytest.raises(InputError, match=r"root/a/up: is a link to a folder above it"):
        list_files(str(tmp_path / "root"))


def test_links_that_lead_to_each_other_are_refused(tmp_path: Path) -> None:
    for here, there in (("a", "b"), ("b", "a")):
        (tmp_path / here / "deep").mkdir(parents=True)
        (tmp_path / here / "deep" / "over").symlink_to(tmp_path / there)
    with pytest.raises(InputError, match=r"a/deep/over/deep/over: is a link to a folder above it"):
        list_files(str(tmp_path / "a"))


def test_a_folder_may_be_linked_twice_and_have_a_name_that_starts_like_another(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a").touch()
    (tmp_path / "images2").mkdir()
    for name in ("one", "two"):
        (tmp_path / "images2" / name).symlink_to(tmp_path / "images")
    assert names(tmp_path / "images2") == ["one/a", "two/a"]


def test_folders_may_be_deeper_than_python_can_call(tmp_path: Path) -> None:
    deep = "d/" * 1500
    made = subprocess.run(["sh", "-c", f"mkdir -p {deep} && touch {deep}file"], cwd=tmp_path, check=False)
    try:
        assert made.returncode == 0
        assert names(tmp_path) == [f"{deep}file"]
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        list_files(str(tmp_path / "gone"))
    assert error.value.filename == str(tmp_path / "gone")
