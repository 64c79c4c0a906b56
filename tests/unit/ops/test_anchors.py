import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odflow.ops.anchors import MultiscaleAnchors


def test_anchors_are_those_that_the_api_computed(shared):
    reference = np.load(shared / "models/ssd_mobilenet_v2_fpnlite_320/reference.npz")["anchors"]
    boxes = MultiscaleAnchors().boxes(320, 320)
    np.testing.assert_allclose(boxes / 320, reference, atol=1e-6)


@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    scales=st.integers(1, 3),
    aspects=st.lists(st.floats(0.2, 5), min_size=1, max_size=3),
)
def test_every_place_of_every_level_has_its_anchors(height, width, scales, aspects):
    anchors = MultiscaleAnchors(2, 5, 3.0, aspects, scales)
    places = sum(-(-height // 2**level) * -(-width // 2**level) for level in range(2, 6))
    boxes = anchors.boxes(height, width)
    assert boxes.shape == (places * anchors.per_location, 4)
    sizes = boxes[:, 2:] - boxes[:, :2]
    assert (sizes > 0).all()


def test_an_aspect_ratio_is_width_over_height_at_equal_area():
    boxes = MultiscaleAnchors(3, 3, 4.0, [4.0], 1).boxes(8, 8)
    height, width = boxes[0, 2:] - boxes[0, :2]
    assert width / height == pytest.approx(4.0)
    assert width * height == pytest.approx(32.0**2)
