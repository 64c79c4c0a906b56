import numpy as np
import pandas as pd
import pytest

from odflow.errors import TableError
from odflow.formats.detection_rows import COLUMNS
from odflow.formats.encoding import EncodedImage
from odflow.formats.example import decode_example
from odflow.formats.od_example import boxes_of_table, detection_example

TABLE = pd.DataFrame(
    [
        ["a.jpg", 20, 10, "cat", 1.0, 2.0, 1.0, 10.0, 5.0, 1],
        ["a.jpg", 20, 10, "dog", 1.0, 0.0, 0.0, 20.0, 10.0, 0],
    ],
    columns=[*COLUMNS, "difficult"],
)
IDS = {"cat": 1, "dog": 2}


def test_keys_and_types_are_the_apis():
    image = EncodedImage(b"bytes", "jpeg", 20, 10)
    features = decode_example(b"".join(detection_example("a.jpg", image, boxes_of_table(TABLE, IDS))))
    kinds = {name: getattr(value, "dtype", bytes) for name, value in features.items()}
    text = ("filename", "source_id", "key/sha256", "encoded", "format", "object/class/text")
    numbers = ("height", "width", "object/class/label", "object/difficult")
    shares = [f"object/bbox/{side}" for side in ("xmin", "xmax", "ymin", "ymax")]
    expected = dict.fromkeys(text, bytes) | dict.fromkeys(numbers, np.dtype("int64"))
    expected |= dict.fromkeys(shares, np.dtype("float32"))
    assert kinds == {f"image/{key}": kind for key, kind in expected.items()}
    assert features["image/object/difficult"].tolist() == [1, 0]


def test_rows_can_be_taken():
    boxes = boxes_of_table(TABLE, IDS).take([1])
    assert (len(boxes), boxes.labels.tolist(), boxes.extras["difficult"].tolist()) == (1, [2], [0])
    assert len(boxes.take([])) == 0


def test_a_table_of_another_image_size_is_refused():
    with pytest.raises(TableError, match=r"a\.jpg: the table has 20x10 pixels, the image is 10x20"):
        detection_example("a.jpg", EncodedImage(b"", "png", 10, 20), boxes_of_table(TABLE, IDS))
