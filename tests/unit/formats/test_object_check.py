import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.errors import InputError
from odflow.formats.example import decode_example, encode_example, example_views, feature_value
from odflow.formats.object_check import Wanted, check_records
from odflow.formats.record_check import Looking
from odflow.formats.tfrecord import record_spans, write_records


def picture(form="JPEG", size=(24, 16), **options):
    buffer = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(buffer, form, **options)
    return buffer.getvalue()


JPEG = picture()


def turned(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def palette():
    buffer = io.BytesIO()
    Image.effect_noise((24, 16), 60).convert("RGB").quantize(8).save(buffer, "BMP")
    return buffer.getvalue()


def example(name="a.jpg", boxes=((0.1, 0.2, 0.5, 0.6),), classes=(1,), **others):
    columns = np.float32(boxes).reshape(-1, 4).T
    features = {
        "image/encoded": [JPEG],
        "image/filename": [name.encode()],
        "image/object/class/label": classes
        if isinstance(classes, np.ndarray)
        else np.array(classes, np.int64),
    }
    for side, column in zip(("ymin", "xmin", "ymax", "xmax"), columns, strict=True):
        features[f"image/object/bbox/{side}"] = column.copy()
    features |= {key.replace("__", "/"): value for key, value in others.items()}
    return {key: value for key, value in features.items() if value is not None}


def check(tmp_path, *examples, classes=2, looking=None, **wanted):
    file = tmp_path / "train.record"
    write_records(file, [encode_example(one) if isinstance(one, dict) else one for one in examples])
    return check_records([file], Wanted(classes, **wanted), looking)


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
        (example(image__encoded=[b"no image at all"]), "image/encoded: is no JPEG, PNG"),
        (example(image__encoded=[b""]), "image/encoded: is no JPEG"),
        (example(image__encoded=[]), "no image/encoded; wanted"),
        (example(image__encoded=[JPEG, JPEG]), "2 pictures in image/encoded; wanted: the bytes of one image"),
        (
            example(image__encoded=np.float32([1])),
            "image/encoded is a list of float; wanted: a list of bytes",
        ),
        (example(image__encoded=[JPEG[:-30]]), r"image/encoded: is cut off"),
        (example(image__encoded=[JPEG[:-80] + JPEG[-40:]]), r"image/encoded: is damaged"),
        (example(image__encoded=[picture("PNG")[:-30]]), r"image/encoded: is cut off"),
        (
            example(classes=np.float32([1])),
            "image/object/class/label is a list of float; wanted: a list of int64",
        ),
        (
            example(image__object__class__label=[b"1"]),
            "class/label is a list of bytes; wanted: a list of int64",
        ),
        (
            example(image__object__bbox__ymin=np.array([0])),
            "bbox/ymin is a list of int64; wanted: a list of f",
        ),
        (example(image__object__bbox__xmax=[b"1"]), "bbox/xmax is a list of bytes; wanted: a list of float"),
        (example(image__object__weight=np.array([1])), "image/object/weight is a list of int64; wanted"),
        (
            example(image__height=np.array([24]), image__width=np.array([16])),
            "image/width and image/height are 16 and 24, the picture is stored as 24x16. Write",
        ),
        (
            example(
                image__height=np.array([24]),
                image__width=np.array([16]),
                image__encoded=[picture(exif=turned(6))],
            ),
            r"stored as 24x16; EXIF turns it \(orientation 6\), TensorFlow does not. Write",
        ),
        (example(image__encoded=[palette()]), "a BMP with a palette, which TensorFlow misreads"),
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
        check(tmp_path, example(), bad, class_ids={"dog": 2} if "text" in message else {})
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
        InputError, match=r'none of 1 examples has an object to learn .*"cat", which the label map'
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
        check_records([file], Wanted(2))


def test_progress_is_shown_record_by_record(tmp_path):
    told = {}

    def progress(items, **options):
        told.update(options)
        return items

    check(tmp_path, example(), example(), looking=Looking(progress=progress))
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


SOUND = {
    "no size": {},
    "its size": {"image__height": np.array([16]), "image__width": np.array([24])},
    "size 0": {"image__height": np.array([0]), "image__width": np.array([0])},
    "turned by half": {"image__encoded": [picture(exif=turned(3))], "image__width": np.array([24])},
    "on its side": {
        "image__encoded": [picture(exif=turned(8))],
        "image__height": np.array([16]),
        "image__width": np.array([24]),
    },
    "png": {"image__encoded": [picture("PNG")]},
    "webp": {"image__encoded": [picture("WEBP")]},
    "gif": {"image__encoded": [picture("GIF")]},
    "bmp": {"image__encoded": [picture("BMP")]},
    "empty text": {"image__object__class__text": [b""]},
}


@pytest.mark.parametrize("kind", SOUND)
def test_what_training_reads_passes_the_check(tmp_path, kind):
    assert check(tmp_path, example(**SOUND[kind]), class_ids={"dog": 2}).classes == {1: 1}


def test_structure_does_not_look_at_pixels(tmp_path):
    holed = example(image__encoded=[JPEG[:-80] + JPEG[-40:]])
    assert check(tmp_path, holed, looking=Looking("structure")).examples == 1


@pytest.mark.parametrize(
    ("texts", "labels", "found", "unknown"),
    [
        ([b"dog", b""], [1, 1], {2: 1, 1: 1}, {}),
        ([b"", b""], [1, 2], {1: 1, 2: 1}, {}),
        ([b"dog", b"Dog"], [1, 1], {2: 1}, {"Dog": 1}),
        ([b"dog\n", b"dog"], [2, 2], {2: 1}, {"dog\n": 1}),
        ([b"dog ", b"dog"], [2, 2], {2: 1}, {"dog ": 1}),
        ([b"\xff", b"dog"], [2, 2], {2: 1}, {"\ufffd": 1}),
        ([b"", b"dog"], [], {2: 1}, {"": 1}),
    ],
)
def test_silent_texts_and_labels_of_objects_are_counted(tmp_path, texts, labels, found, unknown):
    boxes = [[0, 0, 1, 1]] * 2
    one = example(boxes=boxes, classes=labels, image__object__class__text=texts)
    summary = check(tmp_path, one, class_ids={"dog": 2, "cat": 1})
    assert (dict(summary.classes), dict(summary.unknown_texts)) == (found, unknown)


def test_silent_boxes_of_nan_are_counted(tmp_path):
    summary = check(tmp_path, example(boxes=[[np.nan] * 4, [0, 0, 1, 1]], classes=(1, 1)))
    assert summary.without_box == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"image__object__mask": [picture("PNG")]}, ""),
        ({"image__object__mask": []}, "0 masks for 1 objects"),
        ({"image__object__mask": [picture("PNG", (8, 8))]}, "mask 0 has 8x8 pixels, the image 24x16"),
        ({"image__object__mask": [b"none"]}, "mask 0: is no JPEG, PNG"),
        (
            {"image__object__mask": np.float32([1])},
            "image/object/mask is a list of float; wanted: a list of b",
        ),
    ],
)
def test_masks_are_looked_at_where_training_reads_them(tmp_path, more, message):
    if not message:
        check(tmp_path, example(**more), masks="png")
        return
    with pytest.raises(InputError, match=message):
        check(tmp_path, example(**more), masks="png")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.float32([0.1, 0.2]), ""),
        (np.float32([0.1]), "keypoint/x has 1 values; wanted: 2 for each of 1 objects"),
        (np.array([1, 2]), "keypoint/x is a list of int64; wanted: a list of float"),
    ],
)
def test_keypoints_are_looked_at_where_training_reads_them(tmp_path, x, message):
    one = example(image__object__keypoint__x=x, image__object__keypoint__y=np.float32([0.1, 0.2]))
    if not message:
        check(tmp_path, one, keypoints=2)
        return
    with pytest.raises(InputError, match=message):
        check(tmp_path, one, keypoints=2)
