import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import InputError
from odflow.formats.tfrecord import read_records, shard_name, write_records

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
    with pytest.raises(InputError, match=r"byte 0: .*no TFRecord file"):
        list(read_records(tmp_path / "text"))


def test_shards_are_named_as_tensorflow_names_them():
    assert shard_name("a.record", 0, 1) == "a.record"
    assert [shard_name("a", index, 2) for index in range(2)] == ["a-00000-of-00002", "a-00001-of-00002"]
