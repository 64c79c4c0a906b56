"""Ground truth out of records of any tool: read, or told with file, record and image."""

import io

import numpy as np
import pytest
from PIL import Image

from odflow.errors import InputError
from odflow.formats.example import encode_example
from odflow.formats.label_map import read_label_map
from odflow.formats.labelled_images import labelled_images_of_records
from odflow.formats.tfrecord import write_records

BUFFER = io.BytesIO()
Image.new("RGB", (24, 16), "red").save(BUFFER, "PNG")
PNG = BUFFER.getvalue()


@pytest.fixture(scope="module")
def label_map(tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "map.pbtxt"
    path.write_text("item { id: 1 name: 'cat' } item { id: 2 name: 'dog' }")
    return read_label_map(path)


def example(**more):
    features = {
        "image/encoded": [PNG],
        "image/filename": [b"a.png"],
        "image/object/class/label": np.array([1, 2]),
        **{f"image/object/bbox/{side}": np.float32([0.1, 0.2]) for side in ("ymin", "xmin")},
        **{f"image/object/bbox/{side}": np.float32([0.5, 0.6]) for side in ("ymax", "xmax")},
    }
    features |= {key.replace("__", "/"): value for key, value in more.items()}
    return encode_example({key: value for key, value in features.items() if value is not None})


def read(tmp_path, label_map, *examples, **options):
    write_records(tmp_path / "a.record", examples)
    return list(labelled_images_of_records(tmp_path / "a.record", label_map, **options))


@pytest.mark.parametrize(
    ("texts", "classes"),
    [([b"dog", b"cat"], [2, 1]), ([b"", b"cat"], [1, 1]), ([b"", b""], [1, 2]), (None, [1, 2])],
)
def test_silent_texts_decide_and_labels_where_they_are_empty(tmp_path, label_map, texts, classes):
    (image,) = read(tmp_path, label_map, example(image__object__class__text=texts))
    assert image.classes.tolist() == classes
    assert image.boxes_yxyx.shape == (2, 4)


def test_silent_unknown_objects_are_refused_or_left_out_as_in_training(tmp_path, label_map):
    odd = example(image__object__class__text=[b"Dog\n", b"cat"], image__object__is_crowd=np.array([1, 0]))
    with pytest.raises(InputError, match=r'record 0 \(a\.png\): has class "Dog\\n".*Did you mean "dog"'):
        read(tmp_path, label_map, odd)
    (image,) = read(tmp_path, label_map, odd, drop_unknown=True)
    assert (image.classes.tolist(), image.is_crowd.tolist(), len(image.boxes_yxyx)) == ([1], [False], 1)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"image__encoded": None}, "holds 0 images"),
        ({"image__encoded": [PNG, PNG]}, "holds 2 images"),
        ({"image__encoded": np.array([1])}, "image/encoded is a list of int64"),
        ({"image__object__class__label": np.float32([1, 2])}, "class/label is a list of float"),
        ({"image__object__bbox__xmin": np.array([0, 1])}, "bbox/xmin is a list of int64"),
        ({"image__object__bbox__xmin": [b"0", b"1"]}, "bbox/xmin is a list of bytes"),
        ({"image__object__bbox__xmin": None}, "lists of different lengths"),
        ({"image__object__class__text": np.array([1, 2])}, "class/text is a list of int64"),
        ({"image__object__class__label": np.array([1, 3])}, "has the class id 3, which the label map lacks"),
    ],
)
def test_what_cannot_be_measured_on_is_told_with_its_place(tmp_path, label_map, more, message):
    with pytest.raises(InputError, match=rf"a\.record: record 1 \(a\.png\): .*{message}"):
        read(tmp_path, label_map, example(), example(**more))


def test_a_picture_of_another_size_than_the_record_says_is_refused(tmp_path, label_map):
    (image,) = read(tmp_path, label_map, example(image__height=np.array([24]), image__width=np.array([16])))
    with pytest.raises(
        InputError, match="image/width and image/height are 16 and 24, the picture is stored as 24x16"
    ):
        image.read()
