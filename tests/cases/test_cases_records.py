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


@pytest.fixture
def trains(monkeypatch):
    """What would be trained on; the loop itself does nothing."""
    seen = []

    def fit(settings, data, *_):
        seen.append(data)
        return 1, 0.5

    monkeypatch.setattr("odflow.training.loop.telling.fit_and_tell", fit)
    return seen


def train(run, folder, records, out, *more):
    given = ["--config", folder / "t.config", "--label-map", folder / "lm.pbtxt", "--train-records", records]
    return run("train", *given, "--out", out, *more)


def test_cases_b03_train_names_record_and_image_before_the_first_step(run, shared, tmp_path, trains):
    folder = case(shared, "b03-undecodable-jpeg-train-crash")
    code, told = train(run, folder, folder / "truncjpg.record", tmp_path)
    assert code == 2
    assert "truncjpg.record: record 8 (trunc.jpg): image/encoded: is cut off" in told
    assert "unexpected" not in told
    assert not trains


@pytest.mark.parametrize(
    ("record", "text"), [("texttypo", '"Red"'), ("textnl", '"red\\n"')], ids=["typo", "newline"]
)
def test_cases_b05_train_tells_objects_of_unknown_classes(run, shared, tmp_path, trains, record, text):
    folder = case(shared, "b05-unknown-class-text-dropped")
    code, told = train(run, folder, folder / f"{record}.record", tmp_path)
    line = f'1 of 9 objects left out: class {text} is not in {folder / "lm.pbtxt"}. Did you mean "red"?'
    assert code == 0
    assert line in told
    assert line in (tmp_path / "trained/translation.md").read_text()


@pytest.mark.parametrize("record", ["textempty", "allempty"])
def test_cases_b05_an_empty_text_means_the_label(run, shared, tmp_path, trains, record):
    folder = case(shared, "b05-unknown-class-text-dropped")
    code, told = train(run, folder, folder / f"{record}.record", tmp_path)
    assert code == 0
    assert "left out" not in told
    assert len(trains) == 1


def test_cases_b05_evaluate_and_training_mean_the_same_by_an_empty_text(shared):
    import numpy as np
    import tensorflow as tf

    from odflow.formats.label_map import read_label_map
    from odflow.formats.labelled_images import labelled_images_of_records
    from odflow.formats.tfrecord import read_records
    from odflow.training.examples.decoding import ExampleDecoder
    from odflow.training.settings import Reader

    folder = case(shared, "b05-unknown-class-text-dropped")
    label_map = read_label_map(folder / "lm.pbtxt")
    decode = ExampleDecoder(Reader(class_ids=label_map.ids))
    for name in ("texttypo", "textnl", "textempty", "allempty"):
        file = folder / f"{name}.record"
        images = labelled_images_of_records(file, label_map, drop_unknown=True)
        for payload, image in zip(read_records(file), images, strict=True):
            trained = decode(tf.constant(payload))
            np.testing.assert_array_equal(trained.classes, image.classes)
            np.testing.assert_allclose(trained.boxes_yxyx, image.boxes_yxyx)
            np.testing.assert_array_equal(trained.image, image.read())


def test_cases_b02_a_record_is_one_picture_to_all(run, shared, tmp_path):
    folder = case(shared, "b02-evaluate-turns-exif-in-records")
    given = ["--model", folder / "redfinder.pb", "--label-map", folder / "lm.pbtxt"]
    for name in ("exif_plain", "exif3", "exif6"):
        records = ["--records", folder / f"{name}.record", "--out", tmp_path / name]
        code, told = run("evaluate", *given, *records)
        assert code == 0, told
        assert "mAP 1.0000" in told
    tables = {(tmp_path / name / "detections.csv").read_text() for name in ("exif_plain", "exif3", "exif6")}
    assert len(tables) == 1


@pytest.mark.parametrize(
    "pattern",
    ["train.record-?????-of-00001", "train.record@1", "train.record-*", "train.record-00000-of-00001"],
)
def test_cases_h39_the_patterns_of_the_api_are_read(run, shared, tmp_path, trains, pattern):
    folder = case(shared, "h39-train-records-glob")
    config = case(shared, "b03-undecodable-jpeg-train-crash") / "t.config"
    given = ["--config", config, "--label-map", folder / "map.pbtxt", "--set", "model.ssd.num_classes=2"]
    code, told = run("train", *given, "--train-records", folder / pattern, "--out", tmp_path)
    assert code == 0, told
    assert list(trains[0].train) == [str(folder / "train.record-00000-of-00001")]


def test_cases_h39_a_pattern_that_matches_nothing_is_told(run, shared, tmp_path):
    folder = case(shared, "h39-train-records-glob")
    code, told = train(run, folder, folder / "val.record-?????-of-00001", tmp_path)
    assert code == 2
    assert "val.record-?????-of-00001 matches no file." in told


def test_cases_h39_records_to_train_and_to_evaluate_on_are_not_taken_together(run, shared, tmp_path, trains):
    record = case(shared, "h39-train-records-glob") / "train.record-00000-of-00001"
    b03 = case(shared, "b03-undecodable-jpeg-train-crash")
    (tmp_path / "both").mkdir()
    for name in ("train.record-00000-of-00001", "val.record"):
        (tmp_path / "both" / name).write_bytes(record.read_bytes())
    code, told = train(run, b03, tmp_path / "both", tmp_path / "out")
    assert code == 2
    assert "both: holds records to train on (train.record-00000-of-00001) and records to evaluate on" in told
    assert "both/train.record-?????-of-00001" in told


def test_silent_several_records_may_be_listed_as_a_shell_expands_them(run, shared, tmp_path, trains):
    folder = case(shared, "b05-unknown-class-text-dropped")
    files = [folder / "allempty.record", folder / "texttypo.record"]
    given = ["--config", folder / "t.config", "--label-map", folder / "lm.pbtxt", "--train-records", *files]
    code, told = run("train", *given, "--out", tmp_path)
    assert code == 0, told
    assert list(trains[0].train) == [str(file) for file in files]
    assert 'input_path: "texttypo.record"' in (tmp_path / "trained/pipeline.config").read_text()


def spoiled(features):
    """An example as other tools might write it."""
    import numpy as np

    from odflow.formats.example import encode_example

    sides = {f"image/object/bbox/{side}": np.float32([0.1 if "min" in side else 0.6]) for side in SIDES}
    whole = {**sides, "image/object/class/label": np.array([1]), "image/filename": [b"odd.jpg"]}
    return encode_example({key: value for key, value in {**whole, **features}.items() if value is not None})


SIDES = ("xmin", "ymin", "xmax", "ymax")
KINDS = {
    "float labels": {"image/object/class/label": "float"},
    "labels as text": {"image/object/class/label": "bytes"},
    "integer boxes": {"image/object/bbox/xmin": "int64"},
    "boxes as text": {"image/object/bbox/ymax": "bytes"},
    "two pictures": {"image/encoded": "twice"},
    "no picture": {"image/encoded": None},
    "a picture of numbers": {"image/encoded": "int64"},
    "a box too many": {"image/object/bbox/xmin": "two"},
    "class text as numbers": {"image/object/class/text": "int64"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_cases_b03_features_of_a_wrong_kind_are_told_before_the_first_step(
    run, shared, tmp_path, trains, kind
):
    import numpy as np

    from odflow.formats.tfrecord import write_records

    folder = case(shared, "b03-undecodable-jpeg-train-crash")
    picture = (folder / "images/good.jpg").read_bytes()
    values = {
        "float": np.float32([1]),
        "int64": np.array([1]),
        "bytes": [b"1"],
        "twice": [picture, picture],
        "two": np.float32([0.1, 0.2]),
        None: None,
    }
    odd = {key: values[value] for key, value in KINDS[kind].items()}
    sound = {"image/encoded": [picture]}
    write_records(tmp_path / "a.record", [spoiled(sound), spoiled({**sound, **odd})])
    code, told = train(run, folder, tmp_path / "a.record", tmp_path / "out")
    assert code == 2
    assert "a.record: record 1 (odd.jpg): " in told
    assert "unexpected" not in told
    assert not trains
