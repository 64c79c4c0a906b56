import os
import re

import pytest

from odflow.graph.explain import wrong_path
from odflow.graph.patterns import expanded

NAMES = [f"train.record-{i:05d}-of-00003" for i in range(3)]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("train.record-?????-of-00003", NAMES),
        ("train.record-*", NAMES),
        ("train.record@3", NAMES),
        ("train.record-0000[01]-of-00003", NAMES[:2]),
        (f"{NAMES[1]},val.record", [NAMES[1], "val.record"]),
        ("train.record-*,val.record", [*NAMES, "val.record"]),
        ("val.*", "val.record"),
        ("val.record", "val.record"),
        (".", "."),
        ("none-*", "none-*"),
        ("none", "none"),
        ("${records.records}", "${records.records}"),
        ("${records.records}/train-*", "${records.records}/train-*"),
        ([NAMES[0], NAMES[2]], [NAMES[0], NAMES[2]]),
        (["val.*"], "val.record"),
        ("odd,name", "odd,name"),
        ("odd[1]", "odd[1]"),
        (None, None),
    ],
)
def test_patterns_stand_for_files(tmp_path, monkeypatch, given, found):
    monkeypatch.chdir(tmp_path)
    for name in [*NAMES, "val.record", "odd,name", "odd[1]"]:
        (tmp_path / name).touch()
    assert expanded(given) == found


def test_a_pattern_without_a_match_and_a_missing_shard_are_told(tmp_path):
    assert (
        wrong_path(tmp_path / "a-?????-of-00002", "path") == f"{tmp_path}/a-?????-of-00002 matches no file."
    )
    lacking = expanded(str(tmp_path / "a@2"))
    assert wrong_path(type(tmp_path)(lacking[1]), "path").endswith("a-00001-of-00002 does not exist.")


@pytest.mark.parametrize("kind", ["path", "file", "folder"])
@pytest.mark.parametrize("name", ["a" * 300, "a/" * 5000 + "a"], ids=["name", "path"])
def test_a_name_longer_than_the_file_system_takes_is_told(tmp_path, name, kind):
    assert re.search(
        r"a cannot be read \(File name too long\)\. Give .+\.$", wrong_path(tmp_path / name, kind)
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter any folder")
def test_a_file_below_a_folder_without_permission_is_told(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    assert "cannot be read (Permission denied)" in wrong_path(tmp_path / "closed/map.pbtxt", "file")
