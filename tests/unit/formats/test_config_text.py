"""Text files, and what is given in their place."""

import pytest

from odflow.errors import ConfigError
from odflow.formats.config_text import MAX_BYTES, read_text

CONTENTS = {
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "is a Git LFS pointer, not the file itself; wanted: a list. Run git lfs pull.",
    ),
    "page": (
        b"\n<!DOCTYPE html>\n<html></html>",
        "is a web page, not the file itself; wanted: a list. Download the file again",
    ),
    "page without doctype": (b"<html lang='en'>", "is a web page"),
    "xml": (b'<?xml version="1.0"?><annotation/>', "is an XML file; wanted: a list. Give a list."),
    "utf-16, little": (
        "a: 1".encode("utf-16-le").join([b"\xff\xfe", b""]),
        "is UTF-16, not UTF-8 text. Save",
    ),
    "utf-16, big": (b"\xfe\xff" + "a: 1".encode("utf-16-be"), "is UTF-16, not UTF-8 text. Save"),
    "utf-16 without a mark": (
        "a: 1\nb: 2".encode("utf-16-le"),
        ":1: found a NUL byte, wanted UTF-8 text. Give a list.",
    ),
    "image": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "is a JPEG image; wanted: a list. Give a list."),
    "HDF5": (b"\x89HDF\r\n\x1a\n\0\0", "is an HDF5 file"),
    "text graph": (b'node {\n  name: "x"\n}\n', "is a graph in text form (.pbtxt); wanted: a list."),
    "nul": (b"a: 1\nb: \0\n", ":2: found a NUL byte"),
    "latin-1": ("a: 1\nb: 'café'".encode("latin-1"), ":2: found byte 0xe9, wanted UTF-8 text. Save the file"),
    "large graph": (b"\x89HDF\r\n\x1a\n" + b" " * MAX_BYTES, "is an HDF5 file"),
    "large": (b" " * (MAX_BYTES + 1), "has 2097153 bytes; wanted at most 2097152"),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_what_is_no_text_is_said(name, tmp_path):
    content, message = CONTENTS[name]
    file = tmp_path / "a.txt"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_text(file, "a list")
    assert f"a.txt{'' if message.startswith(':') else ': '}{message}" in str(error.value)
    assert str(error.value).isprintable()


def test_a_folder_and_a_missing_file_are_said(tmp_path):
    for path in (tmp_path, tmp_path / "none.txt", tmp_path / "a\0b"):
        with pytest.raises(ConfigError, match=r"cannot be read .*\. Give a list\."):
            read_text(path, "a list")


def test_a_byte_order_mark_and_line_ends_of_windows_do_no_harm(tmp_path):
    file = tmp_path / "a.txt"
    file.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert read_text(file, "a list").split() == ["a:", "1", "b:", "2"]
