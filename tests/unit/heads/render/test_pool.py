import re

import pytest

from odflow.errors import InputError, StageError
from odflow.heads.render.pool import render_pictures


@pytest.fixture
def played_by(plain, monkeypatch, tmp_path):
    """Puts a shell script in the place of the process that has Blender."""

    def pictures(script):
        program = tmp_path / "child"
        program.write_text(f"#!/bin/sh\nread order\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr("sys.executable", str(program))
        return render_pictures(plain, tmp_path, tmp_path, range(5), place="render")

    return pictures


def test_every_picture_is_answered_once(played_by):
    answers = played_by("while read n; do echo '{\"number\": '$n'}'; done")
    assert sorted(answer["number"] for answer in answers) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("read n; echo boom >&2; kill -SEGV $$", "by signal 11"),
        ("read n; echo boom >&2; exit 3", "with exit code 3"),
    ],
)
def test_a_crash_is_told_in_one_line_with_its_picture(played_by, script, how):
    with pytest.raises(StageError) as caught:
        list(played_by(script))
    assert re.fullmatch(rf"render: Blender ended {how} at picture [0-4] \(boom\)\..*", str(caught.value))


def test_a_child_that_ends_at_once_is_told_too(played_by):
    with pytest.raises(StageError, match="it said nothing"):
        list(played_by("exit 1"))


def test_a_wrong_model_is_wrong_input(played_by):
    with pytest.raises(InputError, match=r"^render: a\.glb: no mesh$"):
        list(played_by('echo \'{"wrong_input": "a.glb: no mesh"}\'; exit 2'))
