"""The settings of a model, and the names of its classes."""

import pytest

from odflow.errors import ConfigError
from odflow.heads.segmentation.settings import SEGMENTATION, class_names


def test_a_model_is_read_as_it_was_written(squares, tmp_path):
    model = squares.model(scale=(0.5, 1.5))
    SEGMENTATION.write_model(model, tmp_path)
    assert SEGMENTATION.read_model(tmp_path) == model


def test_a_number_without_a_name_is_called_by_its_number():
    assert class_names({0: "background", 1: "person", 3: "bird"}, "c.json") == (
        "background",
        "person",
        "2",
        "bird",
    )


@pytest.mark.parametrize(
    ("names", "told"), [({0: "background"}, "two or more"), ({0: "a", 1: "b", 2: "a"}, 'name "a"')]
)
def test_classes_that_cannot_be_told_apart_are_refused(names, told):
    with pytest.raises(ConfigError, match=f"c.json: .*{told}"):
        class_names(names, "c.json")
