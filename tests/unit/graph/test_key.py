"""Keys: pinned exactly, and what they depend on."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import Field

from odflow.graph import InputFile, InputFolder, InputPath, Job, OutputFile, Stage, output
from odflow.graph.content import Content, Digests
from odflow.graph.key import Recipe, recipe

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
PARAMETERS = st.dictionaries(st.text(max_size=3), JSON, max_size=4)


class Bound(Stage):
    """A stage whose key has the versions of packages."""

    packages = ("odflow-no-such-package",)

    made: OutputFile = output("made.txt")

    def run(self, job: Job) -> None: ...


class Sample(Stage):
    """A stage with every kind of field."""

    version = 3

    file: InputFile
    folder: InputFolder | None = None
    paths: list[InputPath] = Field(default_factory=list)
    score: float = 0.5
    classes: list[str] | None = None
    rename: dict[str, str] = Field(default_factory=dict)

    made: OutputFile = output("made.txt")

    def also_reads(self) -> list[Path]:
        return [self.file.with_name("beside.txt")]

    def run(self, job: Job) -> None: ...


def read_inputs(stage: Stage, digests: Digests) -> dict[str, list[Content]]:
    return {field: [digests.content(path) for path in paths] for field, paths in stage.input_paths().items()}


def key(stage: Stage) -> str:
    digests = Digests()
    return recipe("sample", stage, read_inputs(stage, digests), digests).key


def test_keys_are_pinned(project: Path, tmp_path: Path) -> None:
    """A change here makes every result in every store worthless: raise the store's version then."""
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "folder" / "deep" / "ä.txt").write_text("deep")
    (tmp_path / "folder" / "b.txt").write_text("b")
    (tmp_path / "file.txt").write_text("file")
    file, folder = tmp_path / "file.txt", tmp_path / "folder"
    found = {
        "plain": key(Sample(file=file)),
        "all": key(
            Sample(
                file=file, folder=folder, paths=[folder, file], score=1, classes=["b", "a"], rename={"ä": "a"}
            )
        ),
        "packages": key(Bound()),
    }
    assert found == json.loads((project / "tests" / "golden" / "keys.json").read_text())


def test_a_key_is_the_digest_of_its_documented_json() -> None:
    made = Recipe("filter", 2, {"b": 0.5, "a": [None, "ü"]}, {"detections": ["00"]}, ["11"])
    text = (
        '{"also_reads":["11"],"inputs":{"detections":["00"]},'
        '"parameters":{"a":[null,"\\u00fc"],"b":0.5},"stage":"filter","version":2}'
    )
    assert made.key == hashlib.sha256(text.encode()).hexdigest()


def test_versions_of_packages_are_part_of_the_key() -> None:
    made = Recipe("train", 1, {}, {}, [], {"tensorflow": "2.20.0", "a": "1"})
    text = (
        '{"also_reads":[],"inputs":{},"packages":{"a":"1","tensorflow":"2.20.0"},'
        '"parameters":{},"stage":"train","version":1}'
    )
    assert made.key == hashlib.sha256(text.encode()).hexdigest()


@settings(deadline=None)
@given(parameters=PARAMETERS, other=PARAMETERS)
def test_only_other_parameters_give_another_key(
    parameters: dict[str, object], other: dict[str, object]
) -> None:
    def of(values: dict[str, object]) -> str:
        return Recipe("s", 1, values, {}, []).key

    turned = dict(reversed(parameters.items()))
    assert of(parameters) == of(turned)
    assume(json.dumps(parameters, sort_keys=True) != json.dumps(other, sort_keys=True))
    assert of(parameters) != of(other)


@settings(deadline=None)
@given(data=st.binary(min_size=1, max_size=50), at=st.integers(0, 49), bit=st.integers(0, 7))
def test_any_changed_bit_of_an_input_changes_the_key(
    data: bytes, at: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("input")
    changed = bytearray(data)
    changed[at % len(data)] ^= 1 << bit
    for name, content in (("one", data), ("two", bytes(changed))):
        (folder / name).mkdir()
        (folder / name / "file").write_bytes(content)
    file = folder / "one" / "file"
    assert key(Sample(file=file)) != key(Sample(file=folder / "two" / "file"))
    assert key(Sample(file=file, folder=folder / "one")) != key(Sample(file=file, folder=folder / "two"))
    assert key(Sample(file=file, paths=[file])) != key(Sample(file=file, paths=[folder / "two" / "file"]))


def test_where_an_input_lies_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.txt").write_text("same")
    (tmp_path / "two.txt").write_text("same")
    assert key(Sample(file=tmp_path / "a" / "one.txt")) == key(Sample(file=tmp_path / "two.txt"))


def test_a_file_that_an_input_names_matters_and_so_does_its_coming(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    stage = Sample(file=tmp_path / "file.txt")
    keys = [key(stage)]
    for text in ("one", "another"):
        (tmp_path / "beside.txt").write_text(text)
        keys.append(key(stage))
    assert len(set(keys)) == 3


def test_name_version_and_the_order_of_a_list_matter(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("x")
    stage = Sample(file=tmp_path / "file.txt", classes=["a", "b"])

    class Newer(Sample):
        """The same with another version."""

        version = 4

    digests = Digests()
    contents = read_inputs(stage, digests)
    found = {
        recipe("sample", stage, contents, digests).key,
        recipe("other", stage, contents, digests).key,
        recipe("sample", Newer(**stage.model_dump()), contents, digests).key,
        recipe("sample", stage.model_copy(update={"classes": ["b", "a"]}), contents, digests).key,
    }
    assert len(found) == 4
