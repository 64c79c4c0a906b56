"""Class names in YAML files are the text that was written."""

import pytest

from odflow.errors import ConfigError
from odflow.formats.class_file import ClassFile, Named
from odflow.formats.mask_classes import read_mask_classes
from odflow.formats.yolo import read_yolo_names

WORDS = [
    "no",
    "on",
    "Yes",
    "null",
    "~",
    "007",
    "12:30:45",
    "1e3",
    "2024-01-01",
    ".5",
    "0x1F",
    "1_000",
    "=",
    "7",
]


@pytest.fixture
def file(tmp_path):
    def write(text):
        path = tmp_path / "data.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize("word", WORDS)
def test_names_stay_as_they_were_written(file, word):
    assert read_yolo_names(file(f"names: [a, {word}]")) == {0: "a", 1: word}
    assert read_yolo_names(file(f"names:\n  0: a\n  4: {word}\n")) == {0: "a", 4: word}
    assert read_mask_classes(file(f"classes:\n- {word}\n- a\n")).names == {0: word, 1: "a"}
    classes = read_mask_classes(file(f"colors:\n  (1, 2, 3): {word}\n  '#040506': a\n"))
    assert (classes.names, classes.colors) == ({0: word, 1: "a"}, {(1, 2, 3): 0, (4, 5, 6): 1})


def test_entries_know_their_lines(file):
    found = ClassFile(file("path: x\nnames:\n  0: a\n\n  1: 'b c'\nempty:\n")).entries("names")
    assert found == [Named(3, "0", "a"), Named(5, "1", "b c")]
    assert ClassFile(file("names: null\n")).entries("names") == []
    assert ClassFile(file("- names\n")).entries("names") == []


def test_a_byte_order_mark_aliases_and_json_are_read(file):
    assert read_yolo_names(file(b"\xef\xbb\xbfnames: [a]\r\n")) == {0: "a"}
    assert read_yolo_names(file("x: &x [a, no]\nnames: *x\n")) == {0: "a", 1: "no"}
    assert read_yolo_names(file('{"names": {"0": "a", "1": "caf\\u00e9"}}')) == {0: "a", 1: "café"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names:\n  0: a\n  0: b\n", ":3: names: 0 comes twice (first in line 2)."),
        ("names: [a, [b]]", ":1: names: 1 has no class name."),
        ("names:\n- a\n-\n- b\n", ": names: 1 has no class name."),
        ("names: [a, !!python/name:os.system b]", ":1: names: 1 has the tag tag:yaml.org,2002:python/name"),
        ("names: [a, !x b]", ":1: names: 1 has the tag !x; wanted a class name."),
        ('names:\n- "a\\tb"\n', ':2: names: 0 is "a\\tb"; a name holds no control characters.'),
        ("names:\n- a\n- |\n  b\n", ':3: names: 1 is "b\\n"; a name holds no control characters.'),
        (
            "names:\n  0: a\n  one: b\n",
            ':3: "one" is no class number; wanted names: a list, or number: name.',
        ),
        ("names:\n  -1: b\n", ':2: "-1" is no class number;'),
        ("names:\n  1.0: b\n", ':2: "1.0" is no class number;'),
        ("names:\n  ? [a]\n  : b\n", ': "a list or mapping" is no class number;'),
        ("names: cat", ': names: is "cat". Wanted a list or a mapping.'),
        ("names: 7", ': names: is "7". Wanted a list or a mapping.'),
        ("nmaes: [a]", ": has no class names. Wanted names: a list, or number: name."),
        ("names: {a: b\n", ": cannot be read as YAML or JSON (line 2: "),
        ("names:\n\t- a\n", ": cannot be read as YAML or JSON (line 2: "),
        ("a: 1\n---\nb: 2\n", ": cannot be read as YAML or JSON (line 2: but found another document)"),
        ("names: &a [*a]", ":1: names: 0 has no class name."),
        ("names: *a", ": cannot be read as YAML or JSON (line 1: found undefined alias"),
        ("[" * 100_000, ": cannot be read as YAML or JSON (it is nested too deeply)"),
        ("names: \x07", ": cannot be read as YAML or JSON (unacceptable character #x0007"),
        (b"names: [caf\xe9]", ":1: found byte 0xe9, wanted UTF-8 text. Save the file as UTF-8."),
        (b"\xff\xfen\0", ": is UTF-16, not UTF-8 text. Save the file as UTF-8."),
        ("<!DOCTYPE html>", ": is a web page, not the file itself;"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(file, text, message):
    path = file(text)
    with pytest.raises(ConfigError) as error:
        read_yolo_names(path)
    assert message in str(error.value)
    assert str(error.value).isprintable()


def test_all_entries_that_are_wrong_are_told_together(file):
    with pytest.raises(ConfigError) as error:
        read_yolo_names(file('names:\n- a\n- [b]\n- "c\\n"\n- {}\n- d\n'))
    lines = [line.split("data.yaml:")[1].split(":")[0] for line in str(error.value).splitlines()]
    assert lines == ["3", "4", "5"]
