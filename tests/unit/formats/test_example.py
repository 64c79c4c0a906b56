import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import InputError
from odflow.formats.example import decode_example, encode_example

FEATURE = st.one_of(
    st.lists(st.binary(max_size=200), max_size=4),
    st.lists(st.floats(width=32, allow_nan=False), max_size=4).map(lambda v: np.array(v, np.float32)),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4).map(lambda v: np.array(v, np.int64)),
)
NAME = st.text(st.characters(exclude_categories=["Cs"]), max_size=150)
KINDS = {None: "bytes_list", np.dtype("float32"): "float_list", np.dtype("int64"): "int64_list"}
FEATURES = st.dictionaries(NAME, FEATURE, max_size=4)


def same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert type(value) is type(other[name])
        if isinstance(value, list):
            assert value == other[name]
        else:
            assert value.dtype == other[name].dtype
            np.testing.assert_array_equal(value, other[name])


@settings(deadline=None)
@given(FEATURES)
def test_tensorflow_reads_what_is_encoded_and_would_write_as_many_bytes(features):
    import tensorflow as tf

    data = encode_example(features)
    message = tf.train.Example.FromString(data)
    assert message.ByteSize() == len(data)
    for name, value in features.items():
        kind = KINDS[getattr(value, "dtype", None)]
        assert message.features.feature[name].WhichOneof("kind") == kind
        assert list(getattr(message.features.feature[name], kind).value) == list(value)


@settings(deadline=None)
@given(FEATURES)
def test_what_is_encoded_decodes(features):
    same(decode_example(encode_example(features)), features)


def test_the_order_of_the_features_does_not_matter():
    first, second = {"a": [b"1"], "b": [b"2"]}, {"b": [b"2"], "a": [b"1"]}
    assert encode_example(first) == encode_example(second)


def test_decodes_numbers_that_are_not_packed_and_a_feature_of_no_kind():
    numbers = "1a07 0805 08ac02 0801"  # an int64_list of 5, 300 and 1, each with its own tag
    features = f"0a0e 0a0161 1209 {numbers} 0a05 0a0162 1200"
    unpacked = bytes.fromhex(f"0a17 {features}")
    same(decode_example(unpacked), {"a": np.array([5, 300, 1]), "b": []})


@pytest.mark.parametrize("data", [b"\x0a\xff", b"\x0a", b"\x0f\x00", b"\x0a\x03\x0a\x01\x12"])
def test_other_bytes_are_refused(data):
    with pytest.raises(InputError, match=r"not a tf\.train\.Example"):
        decode_example(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_decoded_or_refused(data):
    with contextlib.suppress(InputError):
        decode_example(data)


def test_a_value_of_another_kind_is_a_mistake_of_the_caller():
    with pytest.raises(TypeError, match="a: found <f8"):
        encode_example({"a": np.zeros(2)})
