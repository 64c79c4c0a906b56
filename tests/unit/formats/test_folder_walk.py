"""A walk enters linked folders and ends, whatever the links lead to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odflow.errors import InputError
from odflow.formats.folder_walk import FolderWalk
from odflow.formats.image_search import check_images, image_bytes, search_images
from odflow.formats.masks import find_mask_files
from odflow.graph.listing import list_files

# Links, each with where it leads to, beside images/real/a.jpg and far/b.jpg; then the images found
# and the links passed over.
LINKED: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "a folder elsewhere": ({"images/l": "far"}, ["l/b.jpg", "real/a.jpg"], []),
    "a folder twice": ({"images/l": "far", "images/m": "far"}, ["l/b.jpg", "real/a.jpg"], ["m"]),
    "a folder inside": ({"images/l": "images/real"}, ["real/a.jpg"], ["l"]),
    "the folder itself": ({"images/l": "images"}, ["real/a.jpg"], ["l"]),
    "a folder above": ({"images/l": "."}, ["real/a.jpg"], ["l"]),
    "above, from elsewhere": ({"images/l": "far", "far/up": "."}, ["l/b.jpg", "real/a.jpg"], ["l/up"]),
    "back": ({"images/l": "far", "far/up": "images/real"}, ["l/b.jpg", "real/a.jpg"], ["l/up"]),
    "each other": (
        {"images/l": "far", "far/up": "more", "more/up": "far"},
        ["l/b.jpg", "l/up/c.jpg", "real/a.jpg"],
        ["l/up/up"],
    ),
    "hidden": ({"images/.l": "far"}, ["real/a.jpg"], [".l"]),
    "to a hidden folder": ({"images/l": "images/.h"}, ["l/d.jpg", "real/a.jpg"], []),
}


def lay_out(at: Path, links: dict[str, str]) -> Path:
    for name in ("images/real/a.jpg", "far/b.jpg", "more/c.jpg", "images/.h/d.jpg"):
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(b"picture")
    for link, target in links.items():
        (at / link).symlink_to(at / target)
    return at / "images"


@pytest.mark.parametrize(("links", "wanted", "passed"), LINKED.values(), ids=list(LINKED))
def test_linked_folders_are_searched_each_once(
    tmp_path: Path, links: dict[str, str], wanted: list[str], passed: list[str]
) -> None:
    images = lay_out(tmp_path, links)
    found = search_images(images)
    assert [image.name for image in found.images] == wanted
    assert all(image.path == images / image.name for image in found.images)
    assert [name for left in found.left_out if left.name == "folders_linked" for name in left.names] == passed


@given(links=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8))
def test_any_links_end_and_no_folder_is_entered_twice(
    tmp_path_factory: pytest.TempPathFactory, links: list[tuple[int, int]]
) -> None:
    root = tmp_path_factory.mktemp("links")
    folders = [root / name for name in ("a", "a/b", "c", "c/d")]
    for folder in folders:
        folder.mkdir()
    for number, (at, to) in enumerate(links):
        (folders[at] / f"l{number}").symlink_to(folders[to])
    once = [os.path.realpath(listing.path) for listing in FolderWalk(root / "a", once=True)]
    assert len(once) == len(set(once)) <= len(folders)
    assert {os.path.realpath(listing.path) for listing in FolderWalk(root / "a")} >= set(once)


def test_many_ways_to_one_folder_end(tmp_path: Path) -> None:
    for level in range(40):
        (tmp_path / f"{level}").mkdir()
        for name in ("l", "m"):
            (tmp_path / f"{level}" / name).symlink_to(tmp_path / f"{level + 1}")
    (tmp_path / "40").mkdir()
    (tmp_path / "40/a.jpg").write_bytes(b"picture")
    assert sum(1 for _ in FolderWalk(tmp_path / "0", once=True)) > 30  # the system follows 40 links in a path


def test_images_of_linked_folders_alone_are_enough(tmp_path: Path) -> None:
    images = lay_out(tmp_path, {"images/l": "far"})
    (images / "real/a.jpg").unlink()
    check_images(images)
    assert image_bytes(tmp_path / "images/l") == len(b"picture")
    assert list(find_mask_files(images, ".jpg").values()) == [images / "l/b.jpg"]


def test_what_is_searched_is_in_the_listing_that_keys_come_from(tmp_path: Path) -> None:
    images = lay_out(tmp_path, {"images/l": "far", "far/more": "more"})
    before = list_files(str(images))
    listed = {line.split("\0")[0] for line in before}
    assert {image.name for image in search_images(images).images} <= listed
    (tmp_path / "more/c.jpg").write_bytes(b"another picture")
    changed = set(list_files(str(images))) - set(before)
    assert [line.split("\0")[0] for line in changed] == ["l/more/c.jpg"]


def test_a_link_upwards_in_the_input_of_a_pipeline_is_refused(tmp_path: Path) -> None:
    images = lay_out(tmp_path, {"images/l": "."})
    with pytest.raises(InputError, match="is a link to a folder above it"):
        list_files(str(images))
