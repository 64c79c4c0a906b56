"""What `import` makes of each of the shared cases."""

import json

import numpy as np
import pytest

from odflow.cli import main
from odflow.formats.detections import read_detections
from odflow.formats.images import read_image


@pytest.fixture
def cases(shared):
    folder = shared / "cases"
    if not folder.is_dir():
        pytest.skip("needs the shared folder of cases")
    return folder


@pytest.fixture
def run(cases, tmp_path, monkeypatch, capsys):
    """Runs the stage inside the folder of a case; gives table, what was said, and counts."""

    def run_in(case, form, annotations, images, *others):
        (folder,) = cases.glob(f"{case}-*")
        monkeypatch.chdir(folder)
        words = ["--format", form, "--annotations", annotations, "--images", images, *others]
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        code = main(["import", *words, "--out", str(out), "--json"])
        output = capsys.readouterr()
        if code:
            assert code == 2
            assert "unexpected" not in output.err
            assert not (out / "annotations.csv").exists()
            return None, output.err.splitlines(), {}
        told = json.loads(output.out)
        return read_detections(out / "annotations.csv"), told["said"], told["counts"]

    return run_in


def boxes(table):
    return table[["xmin", "ymin", "xmax", "ymax"]].to_numpy().tolist()


def redness(path, box):
    """Share of the pixels in a box, and outside of it, that are red."""
    pixels = read_image(path).astype(int)
    red = (pixels[..., 0] > 150) & (pixels[..., 1:].max(axis=2) < 100)
    inside = np.zeros(red.shape, bool)
    xmin, ymin, xmax, ymax = map(int, box)
    inside[ymin:ymax, xmin:xmax] = True
    return red[inside].mean(), red[~inside].mean()


@pytest.mark.parametrize("orientation", [2, 3, 6])
@pytest.mark.parametrize("form", ["voc", "yolo"])
def test_cases_b06_boxes_on_stored_pictures_are_turned_along(run, cases, orientation, form):
    at = f"o{orientation}"
    others = ["--names", f"{at}/data.yaml"] if form == "yolo" else []
    folder = "txt" if form == "yolo" else "xml"
    table, said, counts = run("b06", form, f"{at}/{folder}", f"{at}/images", *others, "--exif", "stored")
    assert counts == {"images_turned": 1}
    assert "a.jpg" in said[0]
    inside, outside = redness(cases / f"b06-exif-import/{at}/images/a.jpg", boxes(table)[0])
    assert inside > 0.9
    assert outside < 0.01


@pytest.mark.parametrize(
    ("form", "at", "number"),
    [
        ("voc", "o2", 1),
        ("voc", "o3", 1),
        ("voc", "square", 1),
        ("yolo", "o2", 1),
        ("yolo", "o3", 1),
        ("yolo", "o6", 1),
    ],
)
def test_cases_b06_what_cannot_tell_says_so(run, form, at, number):
    others = ["--names", f"{at}/data.yaml"] if form == "yolo" else []
    _, said, counts = run("b06", form, f"{at}/{'txt' if form == 'yolo' else 'xml'}", f"{at}/images", *others)
    assert counts == {"images_of_unknown_turn": number}
    assert "EXIF" in said[0]
    assert "give exif: stored or exif: upright" in said[0]


def test_cases_b06_the_size_of_the_stored_picture_tells(run):
    table, _, counts = run("b06", "voc", "o6/xml", "o6/images")
    assert boxes(table) == [[90, 10, 110, 50]]
    assert counts == {"images_turned": 1}
    _, said, _ = run("b06", "voc", "o6/xml", "o6/images", "--exif", "upright")
    assert "160x120 is its size as stored; EXIF turns it to 120x160" in said[0]


def test_cases_h25_the_size_of_the_stored_picture_tells(run):
    table, said, counts = run("h25", "voc", "annots", "images")
    assert boxes(table) == [[8, 40, 42, 60]] * 2
    assert table[["width", "height"]].to_numpy().tolist() == [[48, 64]] * 2
    assert counts == {"images_turned": 2}
    assert "EXIF" in said[0]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("gb2312", "红色"),
        ("gbk", "红色"),
        ("big5", "紅色"),
        ("shift_jis", "赤い"),
        ("euc_kr", "빨강"),
        ("latin1", "rougé"),
        ("utf16", "rouge é"),
        ("wrongname", "red"),
    ],
)
def test_cases_b07_every_encoding_is_read(run, name, label):
    table, _, _ = run("b07", "voc", f"{name}/xml", f"{name}/images")
    assert table["class"].to_list() == [label]


@pytest.mark.parametrize("name", ["float", "space", "newline", "one_zero", "neg", "text"])
def test_cases_b08_sizes_are_numbers_or_not_given(run, name):
    table, _, _ = run("b08", "voc", f"size_{name}/xml", f"size_{name}/images")
    assert boxes(table) == [[20, 30, 80, 90]]


def test_cases_h22_sizes_are_numbers(run):
    table, _, _ = run("h22", "voc", "annots", "images")
    assert len(table) == 1


@pytest.mark.parametrize(
    ("name", "scores", "last"),
    [
        ("utf16", [1], [16, 30, 80, 90]),
        ("bom", [1], [16, 30, 80, 90]),
        ("six", [0.87], [16, 30, 80, 90]),
        ("poly", [1], [16, 24, 80, 84]),
        ("mixed", [1, 1], [16, 24, 80, 84]),
    ],
)
def test_cases_b10_text_is_read(run, name, scores, last):
    table, _, counts = run("b10", "yolo", f"{name}/txt", f"{name}/images", "--names", f"{name}/data.yaml")
    assert table["score"].to_list() == scores
    assert boxes(table)[-1] == last
    assert counts == ({"outlines_boxed": 1} if name in ("poly", "mixed") else {})


def test_cases_b10_text_of_no_known_encoding_is_named(run):
    _, said, _ = run("b10", "yolo", "latin/txt", "latin/images", "--names", "latin/data.yaml")
    assert said[0].startswith("latin/txt/a.txt:1: is not UTF-8")


def test_cases_b11_pixels_are_no_shares(run):
    names = ["--names", "yolo_pixels/data.yaml"]
    _, said, _ = run("b11", "yolo", "yolo_pixels/txt", "yolo_pixels/images", *names)
    assert said[0].startswith("yolo_pixels/txt/a.txt:1: has the value 50")


@pytest.mark.parametrize("name", ["poly_labelbox", "poly_pt", "rot"])
def test_cases_b19_outlines_become_boxes_and_are_counted(run, name):
    table, said, counts = run("b19", "voc", f"{name}/xml", f"{name}/images")
    assert table["filename"].to_list() == ["a.jpg", "b.jpg"]
    assert counts == {"outlines_boxed": 1}
    assert "a.jpg" in said[0]
    expected = [17.1549, 27.1549, 82.8451, 92.8451] if name == "rot" else [20, 30, 80, 90]
    assert boxes(table)[0] == pytest.approx(expected)


@pytest.mark.parametrize(("case", "what"), [("h01", "640x480"), ("h03", "negative size")])
def test_cases_h01_h03_bad_files_are_listed_or_skipped(run, case, what):
    _, said, _ = run(case, "voc", "annots", "images")
    assert said[0].startswith("annots/3.xml:")
    assert what in said[0]
    assert "skip_bad" in said[1]
    table, _, counts = run(case, "voc", "annots", "images", "--skip-bad")
    assert counts == {"images_with_bad_annotations": 1}
    assert table["filename"].to_list() == ["0.jpg", "1.jpg", "2.jpg", "4.jpg"]


def test_cases_h05_files_without_an_image_are_counted_and_named(run):
    table, said, counts = run("h05", "voc", "annots", "images")
    assert len(table) == 2
    assert counts == {"annotations_without_image": 2}
    assert "(2.xml, 3.xml)" in said[0]


def test_cases_h06_images_of_other_forms_are_counted_and_named(run):
    table, said, counts = run("h06", "voc", "annots", "images")
    assert len(table) == 6
    assert counts == {"images_of_other_forms": 2}
    assert "3.tif, 6.gif" in said[0]


def test_cases_h10_names_one_a_line(run):
    table, _, counts = run("h10", "yolo", ".", ".", "--names", "classes.txt")
    assert sorted(set(table["class"])) == ["cat", "dog"]
    assert counts == {}


def test_cases_h12_labels_belong_to_images(run):
    table, _, counts = run("h12", "yolo", ".", ".", "--names", "data.yaml")
    assert (len(table), counts) == (4, {})


def test_cases_h12_no_text_file_for_any_image_is_an_error(run):
    _, said, _ = run("h12", "yolo", "train/images", "valid/images", "--names", "data.yaml")
    assert "has no text file for valid0.jpg (2 of 2 images lack theirs)" in said[0]


def test_cases_h13_scores_and_polygons(run):
    table, _, counts = run("h13", "yolo", "labels", "images", "--names", "data.yaml")
    assert table["score"].to_list() == [0.9, 1]
    assert boxes(table) == [[24, 12, 40, 36], [6.4, 4.8, 25.6, 24]]
    assert counts == {"outlines_boxed": 1}


def test_cases_h17_a_mark_tells_the_encoding(run):
    table, _, _ = run("h17", "yolo", "labels", "images", "--names", "data.yaml")
    assert boxes(table) == [[24, 12, 40, 36]] * 2


@pytest.mark.parametrize(
    ("folder", "told"),
    [
        ("labels2", ["labels2/1.txt:1: is not UTF-8"]),
        ("labels3", ["labels3/0.txt:1: found 1 values (0,0.5,0.5,0.25,0.5)"]),
        ("labels4", ["labels4/0.txt:1: class 1.5 has no name", "labels4/1.txt:1: has the value 120"]),
    ],
)
def test_cases_h17_every_bad_line_is_told(run, folder, told):
    _, said, _ = run("h17", "yolo", folder, "images", "--names", "data.yaml")
    assert len(said) == len(told) + 1
    assert all(line.startswith(start) for line, start in zip(said, told, strict=False))
