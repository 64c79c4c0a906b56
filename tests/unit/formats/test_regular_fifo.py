"""No reader waits for a pipe: what is no regular file is told at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from odflow.errors import OdflowError
from odflow.formats.class_file import ClassFile
from odflow.formats.detections import read_detections
from odflow.formats.file_kinds import what_is
from odflow.formats.image_list import read_image_list
from odflow.formats.images import image_size, read_image
from odflow.formats.label_map import read_label_map
from odflow.formats.text_files import read_bytes
from odflow.formats.tfrecord import record_spans
from odflow.formats.voc import read_voc
from odflow.odapi.pipeline_config import read_pipeline_config
from odflow.regular import check_regular, open_regular, read_regular

READERS: dict[str, Callable[[Path], object]] = {
    "image": read_image,
    "image size": image_size,
    "table": read_detections,
    "label map": read_label_map,
    "list": lambda path: read_image_list(path, path.parent),
    "names": lambda path: ClassFile(path).entries("names"),
    "bytes": read_bytes,
    "voc": read_voc,
    "records": lambda path: list(record_spans(path)),
    "config": read_pipeline_config,
}
SPECIAL = {"fifo": "a named pipe", "link": "a named pipe", "device": "a device"}


def special(folder: Path, kind: str) -> Path:
    if kind == "device":
        return Path("/dev/zero")
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("fifo")
    return folder / kind


@pytest.mark.parametrize("kind", list(SPECIAL))
@pytest.mark.parametrize("reader", list(READERS))
def test_fifo_or_device_is_told_and_not_waited_for(tmp_path: Path, reader: str, kind: str) -> None:
    path = special(tmp_path, kind)
    with pytest.raises(OdflowError) as error:
        READERS[reader](path)
    line = str(error.value)
    assert line.startswith(f"{path}: ")
    assert f"it is {SPECIAL[kind]}; wanted a regular file" in line or "no such file" in line
    assert "\n" not in line


@pytest.mark.parametrize("kind", list(SPECIAL))
def test_fifo_or_device_is_of_no_known_kind(tmp_path: Path, kind: str) -> None:
    path = special(tmp_path, kind)
    assert what_is(path) is None
    for opens in (open_regular, read_regular, check_regular):
        with pytest.raises(OSError, match=SPECIAL[kind]):
            opens(path)


def test_a_regular_file_is_read_through_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"data")
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "b") == b"data"
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
