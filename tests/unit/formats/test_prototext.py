import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import ConfigError
from odflow.formats.prototext import Entry, parse

FILE = Path("some.pbtxt")


def test_reads_messages_scalars_lists_and_comments_with_their_lines():
    text = "a: 1 # one\nb { c: 'x' \"y\" ; d: [1, 2], }\nb: < c: true >\n"
    assert parse(FILE, text) == [
        Entry(1, "a", "1"),
        Entry(2, "b", [Entry(2, "c", "xy"), Entry(2, "d", "1"), Entry(2, "d", "2")]),
        Entry(3, "b", [Entry(3, "c", "true")]),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb {", 'some.pbtxt:2: found the end of the file, wanted a field name or "}".'),
        ("a 1", 'some.pbtxt:1: found "1", wanted ":" after a.'),
        ("a: }", 'some.pbtxt:1: found "}", wanted a value of a.'),
        ("}\n", 'some.pbtxt:1: found "}", wanted a field name.'),
        ("a: 'open\n", 'some.pbtxt:1: found "\'open", wanted a field, a value or a bracket.'),
        ("\na: '\\377'", 'some.pbtxt:2: found "\\377", wanted UTF-8 text.'),
        ("a: [1", "some.pbtxt:1: found the end of the file, wanted a value of a."),
    ],
)
def test_a_syntax_error_names_file_line_found_and_wanted(text, message):
    with pytest.raises(ConfigError) as error:
        parse(FILE, text)
    assert str(error.value) == message


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_reads_strings_that_protobuf_writes(value):
    from google.protobuf import struct_pb2, text_format

    text = text_format.MessageToString(struct_pb2.Value(string_value=value))
    assert parse(FILE, text) == [Entry(1, "string_value", value)]


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ConfigError):
        parse(FILE, text)
