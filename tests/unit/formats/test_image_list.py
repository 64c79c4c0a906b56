import pytest

from odflow.errors import InputError
from odflow.formats.image_list import list_lines, write_image_list
from odflow.formats.image_names import leaves_folder


def test_what_is_written_reads_back(tmp_path):
    names = ["b.jpg", "a b/ü.png", "x#.jpg"]
    write_image_list(tmp_path / "list.txt", names)
    assert [line for _, line in list_lines(tmp_path / "list.txt")] == names


@pytest.mark.parametrize("name", ["a\nb.jpg", " a.jpg", "#a.jpg", ""])
def test_a_name_that_no_line_can_hold_is_refused(tmp_path, name):
    with pytest.raises(InputError, match="cannot hold this name"):
        write_image_list(tmp_path / "list.txt", ["ok.jpg", name])
    assert not (tmp_path / "list.txt").exists()


@pytest.mark.parametrize("name", ["", "/a", "\\a", "C:\\a", "..", "../a", "a/..", "a\\..\\b", "a\0b"])
def test_names_that_leave_their_folder(name):
    assert leaves_folder(name)


@pytest.mark.parametrize("name", ["a", "a/b", "..a", "a..", "a..b/c", "12:30.jpg"])
def test_names_that_stay(name):
    assert not leaves_folder(name)
