"""What is left out is told in one line each, counted, kept and told again."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odflow.engines.threads import Threads
from odflow.errors import ConfigError, InputError
from odflow.graph import Job
from odflow.left_out import SHOWN, Faults, LeftOut, first_names, shown


@given(st.text())
def test_a_shown_text_is_one_printable_line(text):
    assert shown(text).isprintable()
    if text.isprintable():
        assert shown(text) == text


def test_names_are_counted_beyond_the_first():
    assert first_names(["a", "b"]) == "a, b"
    assert first_names(str(number) for number in range(12)) == "0, 1, 2 and 9 more"


def test_a_line_without_names_and_advice():
    assert str(LeftOut("boxes_clipped", 2, "boxes clipped")) == "2 boxes clipped."


def test_faults_are_raised_together_up_to_a_number():
    faults = Faults()
    faults.raise_all()
    faults.add(InputError("a: one", "b: two"))
    with pytest.raises(InputError, match=r"^a: one\nb: two\nMend them\.$"):
        faults.raise_all(advice="Mend them.")
    for number in range(SHOWN):
        faults.add(f"c{number}: more")
    with pytest.raises(ConfigError) as told:
        faults.raise_all(ConfigError)
    lines = str(told.value).splitlines()
    assert len(lines) == SHOWN + 1
    assert lines[-1] == "... and 2 more of this kind."


def test_a_job_says_and_counts_what_is_left_out(tmp_path, capsys):
    job = Job("import", tmp_path, Threads(1))
    job.leave_out(LeftOut("boxes_clipped", 2, "boxes clipped"), LeftOut("nothing", 0, "nothing"))
    job.leave_out(LeftOut("boxes_clipped", 1, "box clipped"))
    job.count("images", 7)
    assert job.said == ["2 boxes clipped.", "1 box clipped."]
    assert job.counts == {"boxes_clipped": 3, "images": 7}
    assert capsys.readouterr().out == "import: 2 boxes clipped.\nimport: 1 box clipped.\n"
    assert json.loads(json.dumps(job.counts)) == job.counts
