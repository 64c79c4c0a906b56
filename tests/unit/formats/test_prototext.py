# ruff: noqa: RUF001 - quotation marks of word processors are what is tested
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
        ("a: 1\nb {", '2: b begins here and has no closing "}"; the file ends in line 2. Add it.'),
        ("a 1", '1: found "1", wanted ":" after a.'),
        ("a = 1", '1: found "=", wanted ":" after a.'),
        ("\na\nb: 1", '2: a has neither ":" nor a value. Write a: and its value.'),
        ("a {\n b: }", '2: a.b has no value (found "}"). Write one after b:, or remove the field.'),
        ("a {\n b:\n c { }\n}", "2: a.b has no value. Write one after b:, or remove the field."),
        ("a {\n b: # later\n c: 1\n}", "2: a.b has no value. Write one after b:, or remove the field."),
        ("a {\n b:\n}", "2: a.b has no value. Write one after b:, or remove the field."),
        ("a {\n b:\n c:x/y\n}", "2: a.b has no value. Write one after b:, or remove the field."),
        ("a:\n", "1: a has no value. Write one after a:, or remove the field."),
        ("}\n", '1: found "}" that closes nothing. Remove one "}".'),
        (
            "a { }\n}\n",
            '2: found "}" that closes nothing: a of line 1 is closed in line 1 already. Remove one "}".',
        ),
        ("a {\n b: 1 >", '2: found ">", wanted "}", which closes a of line 1.'),
        ("a {\n b {\n}\nc: 1\n", '2: b begins here and has no closing "}"; the file ends in line 5. Add it.'),
        ("a { b: 'open\n }", "1: a.b: the quote ' is not closed in this line. Close it with '."),
        (
            'a: "C:\\data\\"\n',
            r'1: a: the quote " is not closed in this line. A backslash begins an escape: '
            r'write "C:/data/" or "C:\\data\\".',
        ),
        (
            "\na: '\\377'",
            r'2: a: byte 0xff is not UTF-8 text. A backslash begins an escape: write "/377" or "\\377".',
        ),
        ("a:\n[1", '1: a: the list that begins here has no closing "]".'),
        ("a: [1, 2\nb: 3", '1: a: the list that begins here has no closing "]".'),
        ("a: 1\n\n// b", '3: found "//", wanted a field name. Comments begin with #.'),
        ("a: 8// b", '1: found "//", wanted a field name. Comments begin with #.'),
        ("/* a\n */ a: 1", '1: found "/*", wanted a field name. Comments begin with #.'),
        ("a: 1, , b: 2", '1: found ",", wanted a field name.'),
        ("a { '' }", '1: found "\'\'", wanted a field name or "}".'),
        ('{ "a": 1 }', "1: begins with {, as JSON does; wanted: protobuf text."),
        ("a: D:/x.record", '1: a is D:/x.record; wanted: text in quotes. Write "D:/x.record".'),
        ("a: /x y/z }", '1: a is /x y/z; wanted: text in quotes. Write "/x y/z".'),
        ("a: gs://x/y // z", '1: a is gs://x/y; wanted: text in quotes. Write "gs://x/y".'),
        ("a: C:\\x\\y\nb: 1", '1: a is C:\\x\\y; wanted: text in quotes. Write "C:/x/y".'),
        ('a: x/y"\nb: 1', '1: a is x/y; wanted: text in quotes. Write "x/y".'),
        ("a: traffic light\n", '1: a is traffic light; wanted: text in quotes. Write "traffic light".'),
        ("a: “x y”\n", '1: a: found “, a typographic quotation mark; wanted: straight ones. Write "x y".'),
        ("a: ‘x’ b: 1", '1: a: found ‘, a typographic quotation mark; wanted: straight ones. Write "x".'),
        ("a: «x» b: 1", '1: a: found «, a typographic quotation mark; wanted: straight ones. Write "x".'),
        ('a: "x” b: 1', '1: a: found ”, a typographic quotation mark; wanted: straight ones. Write "x".'),
    ],
)
def test_a_syntax_error_names_file_line_found_and_wanted(text, message):
    with pytest.raises(ConfigError) as error:
        parse(FILE, text)
    assert str(error.value).splitlines()[0] == f"some.pbtxt:{message}"


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


def test_one_fault_never_hides_the_next():
    text = "a: C:/x\nb {\n c:\n d: ‘y’\n e = 'C:\\Users'\n}\n// f\ng 1\n"
    with pytest.raises(ConfigError) as error:
        parse(FILE, text)
    lines = [line.split(":")[1] for line in str(error.value).splitlines()]
    assert lines == ["1", "3", "4", "5", "5", "7", "8"]


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a: 'it’s “x”'", [Entry(1, "a", "it’s “x”")]),
        ("a:\n\n 'x'", [Entry(3, "a", "x")]),
        (
            "a: 1 b: x\nc: d e: f",
            [Entry(1, "a", "1"), Entry(1, "b", "x"), Entry(2, "c", "d"), Entry(2, "e", "f")],
        ),
        ("a: b c { }", [Entry(1, "a", "b"), Entry(1, "c", [])]),
        ("a: 'x//y' # '", [Entry(1, "a", "x//y")]),
        (r"a: '\d\.'", [Entry(1, "a", r"\d\.")]),
        (r"a: '\303\251\xc3\xa9\u00e9'", [Entry(1, "a", "ééé")]),
        ("a: [ ] b: [x, 'y']", [Entry(1, "b", "x"), Entry(1, "b", "y")]),
    ],
)
def test_what_only_looks_wrong_is_read(text, entries):
    assert parse(FILE, text) == entries


def test_deep_nesting_and_long_lines_end_soon():
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse(FILE, "a {" * 100_000)
    assert len(parse(FILE, "a: 1 b { c: x } " * 20_000)) == 40_000
    with pytest.raises(ConfigError, match="not closed"):
        parse(FILE, "a: '" + "x" * 1_000_000)
