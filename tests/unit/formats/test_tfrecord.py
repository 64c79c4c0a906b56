import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import InputError
from odflow.formats.tfrecord import (
    _masked_crc,
    read_records,
    record_files,
    record_spans,
    shard_name,
    shards_unread,
    write_records,
)

PAYLOADS = st.lists(st.binary(max_size=300), max_size=6)


@settings(deadline=None)
@given(PAYLOADS)
def test_what_is_written_reads_back(tmp_path_factory, payloads):
    path = tmp_path_factory.mktemp("records") / "a.record"
    assert write_records(path, iter(payloads)) == len(payloads)
    assert list(read_records(path)) == payloads


def test_tensorflow_reads_what_is_written_and_writes_the_same(tmp_path):
    import tensorflow as tf

    payloads = [b"", b"x", b"some bytes" * 1000]
    write_records(tmp_path / "ours", payloads)
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for payload in payloads:
            writer.write(payload)
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert [item.numpy() for item in tf.data.TFRecordDataset(str(tmp_path / "ours"))] == payloads


@settings(deadline=None)
@given(PAYLOADS.filter(bool), st.data())
def test_any_changed_byte_is_found(tmp_path_factory, payloads, data):
    path = tmp_path_factory.mktemp("records") / "a.record"
    write_records(path, payloads)
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    with pytest.raises(InputError):
        list(read_records(path))


def test_an_error_names_file_and_offset_after_the_whole_records(tmp_path):
    path = tmp_path / "a.record"
    write_records(path, [b"12345678", b"x" * 100])
    content = path.read_bytes()
    for cut, message in ((24 + 5, "cut off"), (24 + 12 + 50, "cut off inside a record of 100 bytes")):
        path.write_bytes(content[:cut])
        records = read_records(path)
        assert next(records) == b"12345678"
        with pytest.raises(InputError, match=rf"a\.record: byte 24: .*{message}"):
            next(records)


def test_no_file_and_another_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        list(read_records(tmp_path / "none"))
    (tmp_path / "text").write_text("some text that is long enough")
    with pytest.raises(InputError, match=r"text: is a text file .*no TFRecord file"):
        list(read_records(tmp_path / "text"))


def test_shards_are_named_as_tensorflow_names_them():
    assert shard_name("a.record", 0, 1) == "a.record"
    assert [shard_name("a", index, 2) for index in range(2)] == ["a-00000-of-00002", "a-00001-of-00002"]


def folder_of(tmp_path, *names):
    for name in names:
        write_records(tmp_path / name, [b"a"])
    return tmp_path


def test_the_files_of_a_folder_are_records(tmp_path):
    names = ["b.record", "a.record", ".hidden"]
    assert [file.name for file in record_files(folder_of(tmp_path, *names))] == ["a.record", "b.record"]
    several = [tmp_path / "b.record", tmp_path / "a.record"]
    assert record_files(several) == several


@pytest.mark.parametrize(
    "names",
    [
        ("train.record", "val.record"),
        ("train.record-00000-of-00002", "train.record-00001-of-00002", "test.record"),
        ("coco_train.tfrecord", "coco_eval.tfrecord"),
        ("my-training.record", "my-validation.record"),
        ("TRAIN.record", "Valid.record"),
        ("train.record", "minival.record"),
    ],
)
def test_a_folder_of_both_sides_is_not_taken_in_silence(tmp_path, names):
    with pytest.raises(
        InputError, match=r"holds records to train on \(.*\) and records to evaluate on \(.*Give one"
    ):
        record_files(folder_of(tmp_path, *names))


@pytest.mark.parametrize(
    "names",
    [("part1.record", "part2.record"), ("train_a.record", "train_b.record"), ("trainval.record", "more")],
)
def test_a_folder_of_one_side_is_taken_whole(tmp_path, names):
    assert len(record_files(folder_of(tmp_path, *names))) == 2


def test_missing_shards_are_told(tmp_path):
    folder_of(tmp_path, *(shard_name("a", index, 5) for index in (0, 1, 3)))
    with pytest.raises(
        InputError, match=r"a: 2 of 5 shards are missing \(a-00002-of-00005, a-00004-of-00005\)"
    ):
        record_files(tmp_path)
    left = shards_unread(record_files(tmp_path / "a-00001-of-00005"))
    assert left.number == 4
    assert str(left).endswith(f"Give '{tmp_path}/a-?????-of-00005' to read all.")


def test_two_sets_of_shards_of_one_name_are_told(tmp_path):
    folder_of(
        tmp_path, *(shard_name("a", i, 2) for i in range(2)), *(shard_name("a", i, 3) for i in range(3))
    )
    with pytest.raises(
        InputError, match=r"two sets of shards, a-\?\?\?\?\?-of-00002 and a-\?\?\?\?\?-of-00003"
    ):
        record_files(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            gzip.compress(b"x" * 50, mtime=0),
            r"is compressed \(GZIP\); wanted: plain TFRecords. Unpack them first: gunzip -c",
        ),
        (zlib.compress(b"x" * 50), r"is compressed \(ZLIB\)"),
        (zlib.compress(b"x" * 50, 9), r"is compressed \(ZLIB\)"),
        (b"<!DOCTYPE html><html></html>", "is a web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "is a Git LFS pointer.*git lfs pull",
        ),
        (b"filename,width,height,class\na.jpg,1,1,cat\n", "is a text file that begins"),
        (b"item { id: 1 name: 'a' }", "is a label map"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "is a JPEG image"),
        (b"PK\x05\x06" + bytes(18), "is a zip archive"),
        (bytes(40), "zero bytes"),
        (b"\x01\x02", "no TFRecord file"),
        (b"\x05" + bytes(30), "no TFRecord file, or damaged"),
    ],
)
@pytest.mark.parametrize("read", [read_records, record_spans])
def test_what_is_no_tfrecord_file_is_told_by_name(tmp_path, content, message, read):
    (tmp_path / "a.record").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.record: .*{message}"):
        list(read(tmp_path / "a.record"))


def test_a_length_of_gigabytes_takes_no_memory(tmp_path):
    write_records(tmp_path / "a", [b"x"])
    length = (1 << 40).to_bytes(8, "little")
    (tmp_path / "a").write_bytes(length + _masked_crc((length,)) + b"x" * 100)
    with pytest.raises(InputError, match=r"cut off inside a record of 1099511627776 bytes"):
        list(read_records(tmp_path / "a"))
