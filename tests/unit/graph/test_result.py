"""The reader of manifests: what no result holds is refused, whoever wrote it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.graph.content import Content, Entry
from odflow.graph.result import Made, Result, manifest, read_manifest

HOME = Path("home")
ONE, TWO = "ab" * 32, "cd" * 32


def result(*paths: str, name: str = "out", folder: bool = True) -> Result:
    content = Content(folder, tuple(Entry(path, 3, ONE) for path in paths))
    return Result(HOME, {"made": Made(name, content)}, ["a line"], 1.5, {"rows": 3})


def data() -> Any:
    return json.loads(manifest(result("a", "b/c")))


def agreeing(told: Any) -> Any:
    """With the digest and size that its files have, as somebody who lies would take care of."""
    made = told["outputs"]["made"]
    tree = b"".join(
        path.encode("utf-8", "surrogatepass") + b"\0" + bytes.fromhex(sha256)
        for path, _, sha256 in made["files"]
    )
    made["digest"] = f"tree:{hashlib.sha256(tree).hexdigest()}"
    made["size"] = sum(size for _, size, _ in made["files"])
    return told


def with_files(*paths: str) -> Callable[[Any], Any]:
    def change(told: Any) -> Any:
        told["outputs"]["made"]["files"] = [[path, 3, ONE] for path in paths]
        return agreeing(told)

    return change


def put(*place: Any, value: Any) -> Callable[[Any], Any]:
    def change(told: Any) -> Any:
        at = told
        for step in place[:-1]:
            at = at[step]
        at[place[-1]] = value
        return told

    return change


MADE = ("outputs", "made")
WRONG: dict[str, Callable[[Any], Any]] = {
    "absolute": with_files("/etc/passwd"),
    "above": with_files("../a"),
    "above in the middle": with_files("a/../../b"),
    "dot": with_files("."),
    "dot first": with_files("./a"),
    "two slashes": with_files("a//b"),
    "slash last": with_files("a/"),
    "no name": with_files(""),
    "NUL": with_files("a\0b"),
    "no name of a file": with_files("a\ud800"),
    "twice": with_files("a", "a"),
    "not sorted": with_files("b", "a"),
    "below a file": with_files("a", "a/b"),
    "far below a file": with_files("a", "a!", "a/b/c/d"),
    "name absolute": put(*MADE, "name", value="/out"),
    "name above": put(*MADE, "name", value=".."),
    "name empty": put(*MADE, "name", value=""),
    "name a number": put(*MADE, "name", value=5),
    "folder a word": put(*MADE, "folder", value="yes"),
    "folder a number": put(*MADE, "folder", value=1),
    "file of two": put(*MADE, "folder", value=False),
    "other digest": put(*MADE, "digest", value=f"tree:{ONE}"),
    "other size": put(*MADE, "size", value=7),
    "size infinite": put(*MADE, "files", 0, 1, value=float("inf")),
    "size not a number": put(*MADE, "files", 0, 1, value=float("nan")),
    "size negative": put(*MADE, "files", 0, 1, value=-1),
    "size a fraction": put(*MADE, "files", 0, 1, value=3.0),
    "size true": put(*MADE, "files", 0, 1, value=True),
    "size huge": put(*MADE, "files", 0, 1, value=10**400),
    "digest short": put(*MADE, "files", 0, 2, value="ab"),
    "digest in capitals": put(*MADE, "files", 0, 2, value=ONE.upper()),
    "digest with a line end": put(*MADE, "files", 0, 2, value=ONE + "\n"),
    "digest a number": put(*MADE, "files", 0, 2, value=5),
    "entry of two": put(*MADE, "files", 0, value=["a", 3]),
    "entry a text": put(*MADE, "files", 0, value="abc"),
    "files an object": put(*MADE, "files", value={}),
    "output a list": put(*MADE, value=[]),
    "outputs a list": put("outputs", value=[]),
    "said a text": put("said", value="line"),
    "said a number": put("said", value=[1]),
    "counts a list": put("counts", value=[]),
    "count infinite": put("counts", "rows", value=float("inf")),
    "count a fraction": put("counts", "rows", value=1.5),
    "count a text": put("counts", "rows", value="1"),
    "count huge": put("counts", "rows", value=10**400),
    "seconds infinite": put("seconds", value=float("inf")),
    "seconds beyond a float": put("seconds", value=10**400),
    "seconds negative": put("seconds", value=-1),
    "seconds a text": put("seconds", value="1"),
    "seconds true": put("seconds", value=True),
    "a list": lambda told: [told],
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_what_no_result_holds_is_refused(change: Callable[[Any], Any]) -> None:
    text = json.dumps(change(data()))
    with pytest.raises(ValueError, match=r"^.+\Z"):  # one line
        read_manifest(text, HOME)


@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "[" * 200_000, '{"a":' * 100_000, "1" * 5000, '{"seconds": 1e999}', "\ufeff{}", "\0"],
    ids=["empty", "cut", "null", "lists", "objects", "digits", "beyond a float", "mark", "NUL"],
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^.+\Z"):
        read_manifest(text, HOME)


@pytest.mark.parametrize("lacking", ["outputs", "said", "seconds"])
def test_a_manifest_that_lacks_something(lacking: str) -> None:
    told = data()
    del told[lacking]
    with pytest.raises(ValueError, match=f"lacks {lacking}"):
        read_manifest(json.dumps(told), HOME)


def test_a_manifest_that_says_something_twice() -> None:
    text = manifest(result("a")).replace('"seconds"', '"seconds": 1, "seconds"')
    with pytest.raises(ValueError, match="twice"):
        read_manifest(text, HOME)


@pytest.mark.parametrize("name", ["out", "out/deeper"])
def test_two_outputs_in_one_place(name: str) -> None:
    told = data()
    told["outputs"]["other"] = {**told["outputs"]["made"], "name": name}
    with pytest.raises(ValueError, match="one place"):
        read_manifest(json.dumps(told), HOME)


_names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
_paths = st.lists(_names.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map("/".join)


@settings(max_examples=200)
@given(
    paths=st.sets(_paths, max_size=5),
    said=st.lists(st.text()),
    counts=st.dictionaries(st.text(), st.integers(0, 2**60)),
)
def test_what_was_written_is_read(paths: set[str], said: list[str], counts: dict[str, int]) -> None:
    if any(f"{one}/" == other[: len(one) + 1] for one in paths for other in paths):
        return
    entries = tuple(Entry(path, len(path), TWO) for path in sorted(paths, key=str.encode))
    made = Result(HOME, {"made": Made("out", Content(True, entries))}, said, 0.125, counts)
    found = read_manifest(manifest(made), HOME)
    assert found == made
    assert found.outputs["made"].content.entries == entries


_leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


def _places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [
        *([above] if above else []),
        *(place for key, one in inner for place in _places(one, (*above, key))),
    ]


@settings(max_examples=500)
@given(value=_values, number=st.integers(0, 10**6))
def test_any_value_anywhere_is_refused_or_read(value: Any, number: int) -> None:
    told = data()
    places = _places(told)
    put(*places[number % len(places)], value=value)(told)
    try:
        found = read_manifest(json.dumps(told), HOME)
    except ValueError as error:
        refused = error
    else:
        refused = None
    if refused:
        assert len(str(refused).splitlines()) == 1
        return
    assert json.loads(manifest(found))["outputs"] == told["outputs"]


@settings(max_examples=500)
@given(at=st.integers(0, 10**6), byte=st.binary(max_size=3), cut=st.integers(0, 3))
def test_any_damage_is_refused_or_harmless(at: int, byte: bytes, cut: int) -> None:
    whole = manifest(result("a", "b/c")).encode()
    at %= len(whole)
    try:
        found = read_manifest((whole[:at] + byte + whole[at + cut :]).decode(), HOME)
    except ValueError:
        return
    assert read_manifest(manifest(found), HOME).outputs == found.outputs
