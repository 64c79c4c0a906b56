"""YAML with places."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import ConfigError
from odflow.graph.document import parse, read_document

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("abc no1.", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner)
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(data=PLAIN, flow=st.booleans())
def test_reads_what_pyyaml_wrote(data: object, flow: bool) -> None:
    assert parse(yaml.safe_dump(data, default_flow_style=flow), "x").data == data


def test_every_value_knows_its_line() -> None:
    document = parse("a:\n  b:\n    - 1\n    - {c: 2,\n       d: 3}\n", "f.yaml", lines=True)
    lines = {("a",): 1, ("a", "b"): 2, ("a", "b", 0): 3, ("a", "b", 1, "c"): 4, ("a", "b", 1, "d"): 5}
    assert {address: document.place(*address) for address in lines} == {
        address: f"f.yaml:{line}" for address, line in lines.items()
    }
    assert document.place("a", "b", "missing", "deeper") == "f.yaml:2"


def test_a_key_that_comes_twice_is_a_problem() -> None:
    document = parse("a: 1\nb: 2\na: 3\n", "f.yaml", lines=True)
    with pytest.raises(ConfigError, match=r'^f\.yaml:3: "a" comes twice \(first at f\.yaml:1\)\.$'):
        document.raise_problems()


def test_keys_are_texts_as_written() -> None:
    assert parse("{no: 1, 2: 3, ~: 4}", "x").data == {"no": 1, "2": 3, "~": 4}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "is nested too deep"),
        ("a: " + "[" * 40 + "]" * 40, "f.yaml:1: is nested too deep"),
        ("- " * 5_000, "is nested too deep"),
        ("stages: &a\n  b: *a\n", "is nested too deep"),
        ("a: [1,\nb: }", "f.yaml:2: is not YAML: .* [(]column"),
        ("a: !!python/name:os.system", "f.yaml:1: is not YAML: could not determine a constructor"),
        ("a: \0", "f.yaml: is not YAML: unacceptable character"),
        ("a: !!binary aGVsbG8=", "f.yaml:1: is not YAML: could not determine a constructor for the tag"),
        ("a: !!timestamp x", "f.yaml:1: is not YAML: could not determine a constructor for the tag"),
        (
            'a: "C:\\Users"',
            "f.yaml:1: is not YAML: expected escape sequence of 8 .*; between double quotes a",
        ),
        (
            'a: "D:\\data"',
            "f.yaml:1: is not YAML: found unknown escape character 'd'; between double quotes a",
        ),
        ("a: *b", "f.yaml:1: is not YAML: found undefined alias"),
    ],
)
def test_what_is_no_sound_yaml_is_one_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^f.yaml.*{message.removeprefix('f.yaml')}") as raised:
        parse(text, "f.yaml", lines=True)
    assert "\n" not in str(raised.value)


def test_a_small_file_cannot_mean_a_huge_one() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match=r"more than 50000 values"):
        parse("\n".join(lines), "f.yaml")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"[" * 1_000_000, "has 1000000 bytes; a pipeline has at most 262144"),
        (b"\x80", r"is not UTF-8 text \(byte 0\)"),
        (None, r"cannot be read \(No such file or directory\)"),
    ],
)
def test_what_is_no_text_is_one_line(data: bytes | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        read_document(file)


def test_a_value_put_in_place_knows_where_it_comes_from() -> None:
    document = parse("a:\n  b: [1, 2]\n", "f.yaml", lines=True)
    document.set(("a", "b"), parse("[03, x]", "--set a.b=[03, x]"), "--set a.b=[03, x]")
    assert document.data == {"a": {"b": [3, "x"]}}
    assert document.place("a", "b", 0) == "--set a.b=[03, x]"
    assert document.texts == {("a", "b", 0): "03"}


SCALARS = {
    "no": False,
    "on": True,
    "Yes": True,
    "null": None,
    "~": None,
    "007": 7,
    "12:30:45": 45045,
    "1_000": 1000,
    "0x1F": 31,
    ".5": 0.5,
    "1.0e+3": 1000.0,
}


@pytest.mark.parametrize("written", SCALARS)
def test_what_is_no_text_keeps_how_it_was_written(written: str) -> None:
    document = parse(f"a:\n  - {{b: {written}}}\n", "x")
    assert document.data == {"a": [{"b": SCALARS[written]}]}
    assert document.texts == {("a", 0, "b"): written}


@pytest.mark.parametrize(
    "written", ["1e3", "2024-01-01", "2024-99-99", "=", "<<", "0b_", "0x_", "9" * 5000, "x"]
)
def test_dates_and_what_only_looks_like_a_number_are_texts(written: str) -> None:
    document = parse(f"a: {written}", "x")
    assert document.data == {"a": written}
    assert document.texts == {}


def test_what_stands_in_quotes_is_text_and_nothing_is_nothing() -> None:
    document = parse("{a: 'no', b: \"007\", c: , d: !!str 7, e: !!int '08', f: !!bool maybe}", "x")
    assert document.data == {"a": "no", "b": "007", "c": None, "d": "7", "e": "08", "f": "maybe"}
    assert document.texts == {}
