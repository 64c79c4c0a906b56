"""Which files of a folder are images, and that none is left out unsaid."""

import os
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from odflow.errors import ImageError, InputError
from odflow.formats.image_forms import image_format, other_form
from odflow.formats.image_search import check_images, find_images, search_images
from odflow.formats.images import read_image


def encoded(form: str, **options) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (8, 6), (200, 30, 30)).save(buffer, form, **options)
    return buffer.getvalue()


JPEG = encoded("JPEG")


def folder(at: Path, **files: bytes) -> Path:
    for name, data in files.items():
        path = at / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return at


OTHERS = {
    "a.tif": encoded("TIFF"),
    "a.TIFF": encoded("TIFF"),
    "big-endian": b"MM\0*" + bytes(20),
    "a.gif": encoded("GIF"),
    "no-suffix-gif": encoded("GIF"),
    "a.HEIC": b"\0\0\0\x18ftypheic" + bytes(20),
    "photo": b"\0\0\0\x18ftypmif1" + bytes(20),
    "a.heif": b"",
    "a.avif": b"\0\0\0\x20ftypavif" + bytes(20),
    "a.jp2": b"\0\0\0\x0cjP  \r\n\x87\n",
    "codestream": b"\xff\x4f\xff\x51\0\0",
    "a.ppm": encoded("PPM"),
    "a.pgm": b"P5\n2 2\n255\n0000",
    "a.tga": encoded("TGA"),
    "a.psd": b"8BPS\0\1" + bytes(20),
    "a.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "IMG_0001.CR2": b"II*\0\x10\0\0\0CR\2\0",
    "IMG_0002.NEF": b"MM\0*" + bytes(20),
    "IMG_0003.dng": b"II*\0" + bytes(20),
    "a.jxl": b"\xff\x0a" + bytes(9),
    "a.exr": b"v/1\x01" + bytes(9),
}


@pytest.mark.parametrize("name", OTHERS)
def test_silent_about_no_image_of_another_form(tmp_path, name):
    found = search_images(folder(tmp_path, **{name: OTHERS[name], "ok.jpg": JPEG}))
    assert [image.name for image in found.images] == ["ok.jpg"]
    (left,) = found.left_out
    assert (left.name, left.number, list(left.names)) == ("images_of_other_forms", 1, [name])
    assert str(left).endswith("Convert them to JPEG or PNG.")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("notes.txt", b"II are two"),
        ("labels.csv", b"filename,width"),
        ("P6.md", b"P6 is a form"),
        ("a.xml", b"<annotation/>"),
        ("video.mp4", b"\0\0\0\x18ftypisom" + bytes(20)),
        ("empty", b""),
        ("._a.jpg", b"\0\5\x16\7"),
        ("model.pb", b"\n\x0cimage_tensor"),
    ],
)
def test_what_is_no_image_is_not_told(tmp_path, name, data):
    assert search_images(folder(tmp_path, **{name: data, "ok.jpg": JPEG})).left_out == ()


@pytest.mark.parametrize("name", [name for name in OTHERS if OTHERS[name]])
def test_one_that_is_called_like_a_jpeg_is_an_image_and_says_what_it_is(tmp_path, name):
    form = other_form(OTHERS[name][:16])
    if form is None:
        pytest.skip("its bytes do not tell")
    (image,) = find_images(folder(tmp_path, **{"a.jpg": OTHERS[name]}))
    with pytest.raises(ImageError, match=f"is no JPEG, PNG, BMP or WebP image, but an? {form} image"):
        read_image(image.path)


def test_a_folder_of_them_alone_says_what_they_are(tmp_path):
    folder(tmp_path, **{"a.heic": b"", "b.HEIC": b"", "c.tif": b""})
    for look in (search_images, check_images):
        with pytest.raises(InputError, match=r"holds no image that can be taken: 3 images .*HEIC, TIFF \(a"):
            look(tmp_path)


def test_silent_about_nothing_that_is_hidden_linked_or_broken(tmp_path):
    images, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    folder(images, **{"ok.jpg": JPEG, ".a.jpg": JPEG, ".thumbs/b/c.png": JPEG, "x.jpg/in.jpg": JPEG})
    folder(elsewhere, **{"d.jpg": JPEG})
    (images / "train").symlink_to(elsewhere)
    (images / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (images / "gone.tif").symlink_to(tmp_path / "nowhere.tif")
    (images / "fine.jpg").symlink_to(elsewhere / "d.jpg")
    os.mkfifo(images / "pipe")
    os.mkfifo(images / "pipe.jpg")
    (images / "to-pipe.jpg").symlink_to("pipe")
    (images / "zero.png").symlink_to("/dev/zero")
    (images / "again").symlink_to(images / "x.jpg")
    found = search_images(images)
    assert [image.name for image in found.images] == ["fine.jpg", "ok.jpg", "train/d.jpg", "x.jpg/in.jpg"]
    assert {left.name: list(left.names) for left in found.left_out} == {
        "images_hidden": [".a.jpg", ".thumbs/b/c.png"],
        "links_broken": ["gone.jpg", "gone.tif"],
        "images_no_files": ["pipe.jpg", "to-pipe.jpg", "zero.png"],
        "folders_linked": ["again"],
    }


def test_silent_about_no_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    folder(tmp_path, **{"ok.jpg": JPEG, "closed/a.jpg": JPEG})
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    (left,) = search_images(tmp_path).left_out
    assert (left.name, list(left.names)) == ("folders_unreadable", ["closed"])


@pytest.mark.parametrize("name", ["a.jfif", "a.JPE", "a.jpeg", "a.webp", "a.BMP"])
def test_a_damaged_file_with_an_images_name_is_missed_by_nobody(tmp_path, name):
    assert [image.name for image in find_images(folder(tmp_path, **{name: b""}))] == [name]


def test_check_that_there_are_images_stops_at_the_first(tmp_path, monkeypatch):
    folder(tmp_path, **{f"{number}.jpg": JPEG for number in range(50)})
    looked = []
    monkeypatch.setattr(Path, "is_file", lambda self: not looked.append(self))
    check_images(tmp_path)
    assert len(looked) == 1


def test_check_finds_images_without_a_suffix_too(tmp_path):
    check_images(folder(tmp_path, **{"a/b": JPEG, ".c.jpg": JPEG}))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no image"):
        check_images(tmp_path / "empty")
    listed = tmp_path / "list.txt"
    listed.write_text("a/b\n")
    check_images(listed)
    listed.write_text("a/c\n")
    with pytest.raises(InputError, match=r"list\.txt:1: no such image"):
        check_images(listed)


def test_forms_that_are_read_are_no_other_forms():
    for form in ("JPEG", "PNG", "BMP", "WEBP"):
        assert image_format(encoded(form)[:16]) == form.lower()
        assert other_form(encoded(form)[:16], "a.tif") is None
