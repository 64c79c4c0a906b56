import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odflow.errors import InputError
from odflow.formats.example import decode_example, encode_example, example_views, feature_value
from odflow.formats.record_check import check_records
from odflow.formats.tfrecord import record_spans, write_records

JPEG = b"\xff\xd8\xff\xe0" + bytes(20)


def example(name="a.jpg", boxes=((0.1, 0.2, 0.5, 0.6),), classes=(1,), **others):
    columns = np.float32(boxes).reshape(-1, 4).T
    features = {
        "image/encoded": [JPEG],
        "image/filename": [name.encode()],
        "image/object/class/label": np.array(classes, np.int64),
    }
    for side, column in zip(("ymin", "xmin", "ymax", "xmax"), columns, strict=True):
        features[f"image/object/bbox/{side}"] = column.copy()
    features |= {key.replace("__", "/"): value for key, value in others.items()}
    return {key: value for key, value in features.items() if value is not None}


def check(tmp_path, *examples, classes=2, **options):
    file = tmp_path / "train.record"
    write_records(file, [encode_example(one) if isinstance(one, dict) else one for one in examples])
    return check_records([file], classes, **options)


def test_good_records_are_counted(tmp_path):
    without = example("b.jpg", boxes=(), classes=())
    two = example("c.jpg", [[0, 0, 1, 1], [-0.002, 0, 1.004, 1]], [1, 2])
    summary = check(tmp_path, example(), without, two)
    assert (summary.examples, summary.objects) == (3, 3)
    assert summary.classes == {1: 2, 2: 1}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (example(image__encoded=None), r"\(a.jpg\): no image/encoded; wanted.*Its keys: image/filename, "),
        (example(image__encoded=[b"no image at all"]), "holds no JPEG, PNG, GIF or BMP"),
        (example(image__encoded=[b""]), "holds no JPEG"),
        (example(classes=(3,)), "object 0 has class id 3; wanted: 1 to num_classes, 2"),
        (example(classes=(0,)), "object 0 has class id 0"),
        (example(boxes=[[0.5, 0.2, 0.1, 0.6]]), r"box 0 \(ymin 0.5, .*ends before it starts"),
        (example(boxes=[[0.1, 0.2, 0.5, 40.0]]), r"xmax 40\) reaches outside the image"),
        (example(boxes=[[-0.2, 0.2, 0.5, 0.6]]), "reaches outside the image"),
        (example(classes=(1, 2)), r"different lengths \(ymin 1, xmin 1, ymax 1, xmax 1, class 2, weight 0\)"),
        (example(image__object__bbox__ymax=None), r"different lengths \(ymin 1, xmin 1, ymax 0"),
        (example(image__object__weight=np.float32([1, 2])), "weight 2"),
        (b"\x0a\xff\x01 no example", "not a tf.train.Example"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place(tmp_path, bad, message):
    with pytest.raises(InputError, match=message) as caught:
        check(tmp_path, example(), bad)
    assert f"{tmp_path / 'train.record'}: record 1" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_problems_are_told_and_the_rest_is_counted(tmp_path):
    with pytest.raises(InputError) as caught:
        check(tmp_path, *(example(f"{i}.jpg", classes=(9,)) for i in range(25)))
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert "record 9 (9.jpg)" in lines[9]
    assert lines[10] == "... and 15 more problems of this kind in 25 records."


def test_texts_count_where_there_are_any_and_unknown_ones_are_told(tmp_path):
    texts = {"image__object__class__text": [b"dog"], "classes": (77,)}
    ids = {"dog": 2}
    assert check(tmp_path, example(**texts), class_ids=ids).classes == {2: 1}
    summary = check(tmp_path, example(**texts), example(image__object__class__text=[b"cat"]), class_ids=ids)
    assert summary.unknown_texts == {"cat": 1}
    with pytest.raises(
        InputError, match=r"none of 1 examples has an object to learn .*cat, which the label map"
    ):
        check(tmp_path, example(image__object__class__text=[b"cat"]), class_ids=ids)


def test_records_without_objects_or_records_cannot_be_trained_on(tmp_path):
    with pytest.raises(InputError, match=r"has an object to learn \(there are none\)"):
        check(tmp_path, example(boxes=(), classes=()))
    with pytest.raises(InputError, match=r"train\.record: no record"):
        check(tmp_path)


def test_a_file_that_is_cut_off_is_told(tmp_path):
    check(tmp_path, example(), example())
    file = tmp_path / "train.record"
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(InputError, match=r"byte \d+: the file is cut off inside a record"):
        check_records([file], 2)


def test_progress_is_shown_record_by_record(tmp_path):
    told = {}

    def progress(items, **options):
        told.update(options)
        return items

    check(tmp_path, example(), example(), progress=progress)
    assert told == {"total": 2, "unit": "record"}


@settings(deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=6))
def test_spans_are_where_the_records_are(tmp_path_factory, payloads):
    file = tmp_path_factory.mktemp("spans") / "a.record"
    write_records(file, payloads)
    data = file.read_bytes()
    assert [data[start : start + length] for start, length in record_spans(file)] == payloads


def test_views_hold_what_decoding_gives():
    data = encode_example(example(image__object__class__text=[b"dog"]))
    views = example_views(memoryview(data))
    features = decode_example(data)
    assert views.keys() == features.keys()
    for name, view in views.items():
        np.testing.assert_array_equal(feature_value(view), features[name])
