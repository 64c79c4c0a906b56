import pytest

from odflow.formats.annotation_files import pair_files
from odflow.formats.images import ImageFile

FOLDERS = {"images": ("labels", "Labels"), "jpegimages": ("Annotations",)}


@pytest.fixture
def pair(tmp_path):
    def pair_of(images, files, inside="", unread=()):
        """Annotations lie in `data`, images in `inside` of it or, where that is None, elsewhere."""
        for file in files:
            path = tmp_path / "data" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")
        base = tmp_path / ("elsewhere" if inside is None else f"data/{inside}")
        found, others = ([ImageFile(name, base / name) for name in names] for names in (images, unread))
        pairs = pair_files(tmp_path / "data", ".txt", found, FOLDERS, others)
        files = {name: path.relative_to(tmp_path / "data").as_posix() for name, path in pairs.files.items()}
        left = [path.relative_to(tmp_path / "data").as_posix() for path in pairs.left]
        return files, sorted(pairs.shared.values()), left

    return pair_of


@pytest.mark.parametrize(
    ("image", "file", "inside"),
    [
        ("a.jpg", "a.txt", None),
        ("a/b.jpg", "a/b.txt", None),
        ("a/b.jpg", "b.txt", None),
        ("a.b.jpg", "a.b.txt", None),
        ("a.JPG", "a.TXT", None),
        ("images/a.jpg", "labels/a.txt", None),
        ("train/images/a.jpg", "train/labels/a.txt", None),
        ("images/train/a.jpg", "labels/train/a.txt", None),
        ("Images/a.jpg", "Labels/a.txt", None),
        ("images/images/a.jpg", "images/labels/a.txt", None),
        ("VOC2007/JPEGImages/a.jpg", "VOC2007/Annotations/a.txt", None),
        ("a.jpg", "labels/a.txt", "images"),
        ("a.jpg", "train/labels/a.txt", "train/images"),
        ("train/a.jpg", "labels/train/a.txt", "images"),
        ("a.jpg", "images/a.txt", "images"),
    ],
)
def test_cases_of_layouts_in_which_a_file_is_found(pair, image, file, inside):
    assert pair([image], [file], inside) == ({image: file}, [], [])


def test_files_of_no_image_are_left(pair):
    files, _, left = pair(
        ["a.jpg"], ["a.txt", "b.txt", "c/d.txt", ".hidden.txt", ".git/e.txt", "f.json"], None
    )
    assert files == {"a.jpg": "a.txt"}
    assert left == ["b.txt", "c/d.txt"]


@pytest.mark.parametrize(
    ("images", "files"),
    [
        (["a.jpg", "a.png"], ["a.txt"]),
        (["x/a.jpg", "y/a.jpg"], ["a.txt"]),
        (["a.JPG", "a.jpg"], ["a.txt"]),
        (["x/a.jpg", "x/a.webp"], ["x/a.txt"]),
        (["images/a.jpg", "images/a.png"], ["labels/a.txt"]),
    ],
)
def test_a_file_that_fits_two_images_is_neithers(pair, images, files):
    assert pair(images, files, None) == ({}, [images], [])


@pytest.mark.parametrize(
    ("images", "files", "expected"),
    [
        (["a.jpg", "x/a.jpg"], ["a.txt"], {"a.jpg": "a.txt"}),
        (["x/a.jpg", "y/a.jpg"], ["a.txt", "x/a.txt"], {"x/a.jpg": "x/a.txt", "y/a.jpg": "a.txt"}),
        (["x/a.jpg", "y/a.jpg"], ["y/a.txt", "x/a.txt"], {"x/a.jpg": "x/a.txt", "y/a.jpg": "y/a.txt"}),
    ],
)
def test_the_file_beside_an_image_is_not_anothers(pair, images, files, expected):
    assert pair(images, files, None) == (expected, [], [])


def test_files_of_images_that_are_not_read_are_told_with_these(pair):
    _, _, left = pair(["a.jpg"], ["a.txt", "b.txt", "c.txt", "d.txt"], None, unread=["b.tif", "x/c.heic"])
    assert left == ["d.txt"]


def test_linked_folders_are_searched_and_loops_are_not(pair, tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/a.txt").write_text("")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/labels").symlink_to(tmp_path / "far")
    (tmp_path / "data/again").symlink_to(tmp_path / "data")
    assert pair(["images/a.jpg"], [], None) == ({"images/a.jpg": "labels/a.txt"}, [], [])
