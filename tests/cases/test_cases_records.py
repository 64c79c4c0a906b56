"""Records as files: the cases of b02, b03, b05, b11, h14, h16 and h39."""

import pytest

from odflow.cli import main


@pytest.fixture
def run(capsys, caplog):
    """Runs a stage: its exit code, and what it said on both streams."""

    def of(*words):
        code = main([str(word) for word in words])
        told = capsys.readouterr()
        return code, told.out + told.err + caplog.text

    return of


def case(shared, name):
    folder = shared / "cases" / name
    if not folder.is_dir():
        pytest.skip("needs the cases beside the project")
    return folder


def records(run, folder, table, out, *more):
    given = ["--detections", table, "--images", folder / "images", "--label-map"]
    return run("records", *given, next(folder.glob("*.pbtxt")), "--out", out, *more)


def names(file):
    from odflow.formats.example import decode_example
    from odflow.formats.tfrecord import read_records

    return [decode_example(payload)["image/filename"][0].decode() for payload in read_records(file)]


def test_cases_b03_records_leaves_damaged_and_half_grey_images_out_by_name(run, shared, tmp_path):
    folder = case(shared, "b03-undecodable-jpeg-train-crash")
    code, told = records(run, folder, folder / "t.csv", tmp_path)
    assert code == 0
    assert names(tmp_path / "records/data.record") == ["good.jpg", "trail.jpg"]
    assert (
        "5 images left out, which are damaged or cannot be read (hole.jpg, noise.jpg, trunc.jpg and 2" in told
    )
    assert "hole.jpg: is damaged (Corrupt JPEG data: premature end of data segment)" in told


def test_cases_b03_structure_finds_what_markers_tell(run, shared, tmp_path):
    folder = case(shared, "b03-undecodable-jpeg-train-crash")
    records(run, folder, folder / "t.csv", tmp_path, "--verify", "structure")
    kept = names(tmp_path / "records/data.record")
    assert kept == ["good.jpg", "hole.jpg", "trail.jpg", "trunc_eoi.jpg", "zeros.jpg"]


def test_cases_b11_a_table_of_shares_is_refused(run, shared, tmp_path):
    folder = case(shared, "b11-coordinates-unit") / "csv"
    code, told = records(run, folder, folder / "norm.csv", tmp_path)
    assert code == 2
    assert "norm.csv: all boxes (1) lie within 0 to 1 in images of 160x120 pixels" in told
    assert "wanted: pixels" in told


def test_cases_h14_missing_images_are_named_and_can_be_left_out(run, shared, tmp_path):
    folder = case(shared, "h14-csv-some-images-missing")
    code, told = records(run, folder, folder / "labels.csv", tmp_path / "a")
    assert code == 2
    assert "(2 of 4 are missing: 2.jpg, 3.jpg). Add them, or set missing_images: drop" in told
    code, told = records(run, folder, folder / "labels.csv", tmp_path / "b", "--missing-images", "drop")
    assert code == 0
    assert "2 images that" in told
    assert names(tmp_path / "b/records/data.record") == ["0.jpg", "1.jpg"]


@pytest.mark.parametrize("table", ["spaces", "semicolon", "absolute", "backslash"])
def test_cases_h16_tables_as_people_have_them_are_read(run, shared, tmp_path, table):
    folder = case(shared, "h16-csv-trailing-spaces-semicolon-absolute")
    code, told = records(run, folder, folder / f"{table}.csv", tmp_path)
    assert code == 0, told
    assert names(tmp_path / "records/data.record") == ["0.jpg"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("automl", "automl.csv: looks like AutoML's annotations"),
        ("retinanet", "retinanet.csv: looks like RetinaNet's annotations, which have no header line"),
        ("oid", "oid.csv: looks like Open Images' annotations"),
        ("latin1", "latin1.csv:2: is not UTF-8 text (in latin-1 it would be: 0.jpg,64,48,café,5,6,30"),
    ],
)
def test_cases_h16_other_tables_are_told_by_name(run, shared, tmp_path, table, message):
    folder = case(shared, "h16-csv-trailing-spaces-semicolon-absolute")
    code, told = records(run, folder, folder / f"{table}.csv", tmp_path)
    assert code == 2
    assert message in told
