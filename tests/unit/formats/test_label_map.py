# ruff: noqa: RUF001 - quotation marks of word processors are what is tested
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import ConfigError
from odflow.formats.label_map import Label, LabelMap, read_label_map

NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=10)


@pytest.fixture
def read(tmp_path):
    def read_text(text: str) -> LabelMap:
        path = tmp_path / "map.pbtxt"
        path.write_text(text, encoding="utf-8")
        return read_label_map(path)

    return read_text


def test_a_class_goes_by_its_name_and_its_display_name(read):
    labels = read("item { id: 3 name: '/m/0k4j' display_name: \"car\" }\nitem: { name: 'cat', id: 7 }")
    assert labels.ids == {"/m/0k4j": 3, "car": 3, "cat": 7}
    assert labels.names == {3: "car", 7: "cat"}


def test_skips_the_other_fields_of_the_api(read):
    text = "item { id: 1 name: 'a' keypoints { id: 0 label: 'nose' } ancestor_ids: [2, 3] frequency: RARE }"
    assert read(text).labels == (Label(1, "a"),)


def test_background_of_id_0_is_no_class(read):
    assert read("item { id: 0 name: 'background' } item { id: 1 name: 'a' }").names == {1: "a"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "item { id: 1 name: 'a' }\nitem { id: 1 name: 'b' }",
            ':2: id 1 ("b") is taken by the item of line 1',
        ),
        ("item { id: 1 name: 'a' }\nitem { id: 2 name: 'a' }", ":2: name a "),
        ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", ":1: id 1 "),
        ("item { id: 0 name: 'a' }", ':1: the id of "a" is 0; ids count from 1'),
        ("item { id: -1 name: 'background' }", "ids count from 1"),
        ("item { id: 1.5 name: 'a' }", "wanted a whole number"),
        ("item { name: 'a' }", ":1: the item lacks its id"),
        ("item { id: 1 }", ":1: the item lacks its name"),
        ("item {\n id: 1\n nane: 'a' }", ':3: an item has no field "nane". Did you mean "name"?'),
        ("items { id: 1 name: 'a' }", ':1: found "items", wanted item'),
        ("", "holds no class"),
        ("item { id: 1 name: 'a'", ':1: item begins here and has no closing "}"'),
    ],
)
def test_a_wrong_map_is_refused_with_its_line(read, text, message):
    with pytest.raises(ConfigError) as error:
        read(text)
    assert message in str(error.value)
    assert "map.pbtxt" in str(error.value)


WRONG = """item {
  id: 1
  name: "\\unit"
}
item { id: 2147483648 name: "large" }
item { id: 99999999999999999999999999 name: "huge" }
item { id: -3 name: "below" }
item { id: 1.0 name: "half" }
item { id: "5" name: "quoted" }
item { id: 6 name: bare }
item { id: 7 name: traffic light }
item { id: 8 name: ‘curly’ }
item { id: 9 name: "tab\\there" }
item { id: 10 name: }
"""


def test_all_that_is_wrong_with_a_map_is_told_together(read):
    with pytest.raises(ConfigError) as error:
        read(WRONG)
    lines = [line.partition("map.pbtxt:")[2] for line in str(error.value).splitlines()]
    assert lines == [
        r"3: item.name: \u is no escape (4 hexadecimal digits must follow). A backslash begins an escape: "
        r'write "/unit" or "\\unit".',
        '5: the id of "large" is 2147483648; wanted at most 2147483647.',
        '6: the id of "huge" is 99999999999999999999; wanted at most 2147483647.',
        '7: the id of "below" is -3; ids count from 1.',
        '8: the id of "half" is 1.0; wanted a whole number.',
        '9: the id of "quoted" is 5, in quotes; wanted a whole number without them.',
        '10: item.name is bare; wanted: text in quotes. Write "bare".',
        '11: item.name is traffic light; wanted: text in quotes. Write "traffic light".',
        '12: item.name: found ‘, a typographic quotation mark; wanted: straight ones. Write "curly".',
        r"13: item.name: \t stands for a tab. A backslash begins an escape: "
        r'write "tab/there" or "tab\\there".',
        "",
    ]
    assert str(error.value).endswith("... and 1 more of this kind.")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("item {\n id: 1\n name: 'a'\nitem {\n id: 2\n name: 'b'\n}\n", 1),
        ("item { id: 1 name: 'a' }\nitem {\n id: 2\n name: 'b'\nitem {\n id: 3\n name: 'c'\n}\n", 2),
        ("item {\n id: 1\n name: 'a\n}\nitem {\n id: 2\n name: 'b'\n}\n", 3),
        ("item {\n id: 1\n name: 'a'\n}\n}\nitem {\n id: 2\n name: 'b'\n}\n", 5),
        ("item {\n id: 1\n name: 'a'\n id: 2\n}\n", 4),
        ("item {\n id:\n name: 'a'\n}\n", 2),
        ("item {\n id: 1\n name = 'a'\n}\n", 3),
        ("item {\n id: 1\n name: 'a\x01'\n}\n", 3),
        ("item {\n id: 1\n display_name: 'a\\n'\n}\n", 3),
        ("item {\n id: 00000000000000000000000000000000000000001\n name: 'a'\n}\n", 2),
    ],
)
def test_the_line_of_the_mistake_is_named(read, text, line):
    with pytest.raises(ConfigError) as error:
        read(text)
    assert [one.partition("map.pbtxt:")[2].split(":")[0] for one in str(error.value).splitlines()] == [
        str(line)
    ]
    assert all(one.isprintable() for one in str(error.value).splitlines())


def test_ids_are_read_as_protobuf_reads_them(read):
    assert read(
        "item { id: 0x1F name: 'a' } item { id: 010 name: 'b' } item { id: 2147483647 name: 'c' }"
    ).names == {
        31: "a",
        8: "b",
        2147483647: "c",
    }


def test_a_missing_or_binary_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.pbtxt: cannot be read"):
        read_label_map(tmp_path / "none.pbtxt")
    (tmp_path / "graph.pb").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        read_label_map(tmp_path / "graph.pb")


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(NAMES, st.one_of(st.just(""), NAMES)), min_size=1, max_size=8, unique_by=lambda x: x[0]
    )
)
def test_what_is_written_reads_back(tmp_path_factory, classes):
    labels = LabelMap(tuple(Label(number, *names) for number, names in enumerate(classes, 1)))
    path = tmp_path_factory.mktemp("map") / "map.pbtxt"
    path.write_text(labels.to_text(), encoding="utf-8")
    assert read_label_map(path) == labels


def test_reads_every_label_map_of_the_api_as_protobuf_counts_them(shared):
    for path in sorted((shared / "odapi/label_maps").glob("*.pbtxt")):
        items = sum(line.startswith("item") for line in path.read_text().splitlines())
        background = "background" in path.read_text().split("}")[0]
        assert len(read_label_map(path).labels) == items - background, path.name


def test_the_projects_coco_map_names_the_apis_ids(project, shared):
    ours = read_label_map(project / "label_maps/mscoco_label_map.pbtxt")
    assert ours.names == read_label_map(shared / "odapi/label_maps/mscoco_label_map.pbtxt").names
