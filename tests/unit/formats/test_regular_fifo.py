"""No reader waits for a pipe: what is no regular file is told at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from odflow.errors import OdflowError
from odflow.formats.class_file import ClassFile
from odflow.formats.detections import read_detections
from odflow.formats.file_kinds import what_is
from odflow.formats.image_list import read_image_list
from odflow.formats.images import image_size, read_image
from odflow.formats.keypoints import read_keypoints
from odflow.formats.label_map import read_label_map
from odflow.formats.parquet_table import read_parquet_chunks
from odflow.formats.text_files import read_bytes
from odflow.formats.tfrecord import count_records, record_spans
from odflow.formats.voc import read_voc
from odflow.heads.pose.skeleton import read_skeleton
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
    "records, whole": count_records,
    "keypoints": lambda path: read_keypoints(path, ["nose"]),
    "parquet": lambda path: list(read_parquet_chunks(path, 9)),
    "config": read_pipeline_config,
    "skeleton": lambda path: read_skeleton(str(path)),
}
SPECIAL = {"fifo": "a named pipe", "link": "a named pipe", "device": "a device"}


def special(folder: Path, kind: str) -> Path:
    if kind == "device":
        return Path("/dev/zero")
    os.mkfifo(folder / "fifo")
    (folder / "link").symlink_to("fifo")
    return folder / kind


def error_of(reads: Callable[[Path], object], path: Path) -> Exception | None:
    """What a reader raises; a reader that waits for the file fails the test, and does not hold it."""
    raised: list[Exception] = []

    def call() -> None:
        try:
            reads(path)
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive(), f"{path} is waited for"
    return raised[0] if raised else None


@pytest.mark.parametrize("kind", list(SPECIAL))
@pytest.mark.parametrize("reader", list(READERS))
def test_fifo_or_device_is_told_and_not_waited_for(tmp_path: Path, reader: str, kind: str) -> None:
    path = special(tmp_path, kind)
    if reader == "parquet":
        pytest.importorskip("pyarrow")
    error = error_of(READERS[reader], path)
    assert isinstance(error, OdflowError)
    line = str(error)
    assert line.startswith(f"{path}: ")
    assert f"it is {SPECIAL[kind]}; wanted a regular file" in line
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
