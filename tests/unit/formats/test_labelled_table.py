"""Boxes of a table put to their images."""

from PIL import Image

from odflow.formats.detection_rows import COLUMNS
from odflow.formats.images import ImageFile
from odflow.formats.label_map import Label, LabelMap
from odflow.formats.labelled_images import labelled_images_of_table


def test_rows_anywhere_in_the_table_come_to_their_image_in_their_order(tmp_path):
    rows = [
        "b.jpg,20,10,dog,1,2,1,4,5,1,7",
        "a.jpg,40,50,cat,1,4,5,8,10,0,9",
        "b.jpg,20,10,cat,1,0,0,20,10,0,8",
    ]
    (tmp_path / "t.csv").write_text("\n".join([f"{','.join(COLUMNS)},is_crowd,area", *rows]))
    for name, size in (("a.jpg", (40, 50)), ("b.jpg", (20, 10)), ("none.jpg", (9, 9))):
        Image.new("RGB", size).save(tmp_path / name)
    images = [ImageFile(name, tmp_path / name) for name in ("none.jpg", "b.jpg", "a.jpg")]
    label_map = LabelMap((Label(3, "cat"), Label(5, "dog")))
    none, b, a = labelled_images_of_table(images, tmp_path / "t.csv", label_map, tmp_path)
    assert (none.size, len(none.boxes_yxyx), len(none.classes)) == (None, 0, 0)
    assert (a.size, b.size) == ((40, 50), (20, 10))
    assert b.boxes_yxyx.tolist() == [[0.1, 0.1, 0.5, 0.2], [0, 0, 1, 1]]
    assert (b.classes.tolist(), b.is_crowd.tolist(), b.area.tolist()) == ([5, 3], [True, False], [7, 8])
    assert (a.boxes_yxyx.tolist(), a.classes.tolist()) == ([[0.1, 0.1, 0.2, 0.2]], [3])
