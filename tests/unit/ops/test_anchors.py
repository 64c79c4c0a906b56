import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odflow.ops.anchors import GridAnchors, MultiscaleAnchors, SsdAnchors, even_scales


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


SSD_MAPS = [(19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)]


def coco_anchors(**changed):
    """The anchors of ssd_mobilenet_v1_coco's config; its ratios are float32 there."""
    ratios = np.float32([1.0, 2.0, 0.5, 3.0, 0.3333]).astype(float)
    return SsdAnchors(even_scales(6, 0.2, 0.95), tuple(ratios), **changed)


def test_ssd_anchors_are_those_that_the_apis_graph_computes(shared):
    """The oracle: the anchors that the API's own graph computes for a 300x300 input."""
    tf = pytest.importorskip("tensorflow")
    graph_def = tf.compat.v1.GraphDef()
    model = shared / "models/ssd_mobilenet_v1_coco/frozen_inference_graph.pb"
    graph_def.ParseFromString(model.read_bytes())
    with tf.Graph().as_default():
        anchors, image = tf.import_graph_def(
            graph_def, return_elements=["Concatenate/concat:0", "image_tensor:0"], name=""
        )
        with tf.compat.v1.Session() as session:
            expected = session.run(anchors, {image: np.zeros((1, 20, 30, 3), np.uint8)})
    boxes = coco_anchors().boxes(300, 300, SSD_MAPS)
    assert boxes.dtype == np.float32
    np.testing.assert_allclose(boxes / 300, expected, atol=1e-6)


def test_a_finest_map_that_is_not_reduced_has_all_anchors():
    assert coco_anchors().per_level == (3, 6, 6, 6, 6, 6)
    assert coco_anchors(reduce_lowest=False).per_level == (6,) * 6
    assert coco_anchors(interpolated_aspect_ratio=0.0).per_level == (3, 5, 5, 5, 5, 5)


def test_ssd_anchors_stay_square_in_an_oblong_image():
    boxes = SsdAnchors((0.5,), (1.0,), 0.0, reduce_lowest=False).boxes(100, 200, [(1, 2)])
    np.testing.assert_allclose(boxes, [[25, 25, 75, 75], [25, 125, 75, 175]])


def test_the_extra_anchor_lies_between_this_scale_and_the_next():
    boxes = SsdAnchors((0.25, 0.49), (4.0,), 1.0, reduce_lowest=False).boxes(100, 100, [(1, 1)] * 2)
    sides = boxes[:, 2:] - boxes[:, :2]
    np.testing.assert_allclose(sides, [[12.5, 50], [35, 35], [24.5, 98], [70, 70]], rtol=1e-6)


def test_ssd_anchors_stand_where_strides_and_offsets_put_them():
    anchors = SsdAnchors(
        (0.1,), (1.0,), 0.0, reduce_lowest=False, base_size=(1.0, 2.0), strides=[(16, 8)], offsets=[(7, -3)]
    )
    boxes = anchors.boxes(100, 100, [(2, 2)])
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, [[7, -3], [7, 5], [23, -3], [23, 5]])
    np.testing.assert_allclose(boxes[0, 2:] - boxes[0, :2], [10, 20], rtol=1e-6)


def test_grid_anchors_are_those_of_the_apis_documentation():
    """Scale times the base, height over the root of the ratio; ratios outer, scales inner."""
    boxes = GridAnchors((0.5, 1.0, 2.0), (0.25, 1.0, 4.0), offset=(7, -3)).boxes(600, 600, [(1, 1)])
    assert boxes.tolist() == [
        [-121, -35, 135, 29],
        [-249, -67, 263, 61],
        [-505, -131, 519, 125],
        [-57, -67, 71, 61],
        [-121, -131, 135, 125],
        [-249, -259, 263, 253],
        [-25, -131, 39, 125],
        [-57, -259, 71, 253],
        [-121, -515, 135, 509],
    ]


@given(height=st.integers(1, 300), width=st.integers(1, 300))
def test_all_kinds_have_as_many_anchors_as_they_say(height, width):
    shapes = [(2, 3), (1, 2)]
    for anchors, maps in (
        (SsdAnchors((0.2, 0.5)), shapes),
        (MultiscaleAnchors(3, 4), shapes),
        (GridAnchors(), shapes[:1]),
    ):
        wanted = sum(
            rows * columns * each for (rows, columns), each in zip(maps, anchors.per_level, strict=True)
        )
        assert anchors.boxes(height, width, maps).shape == (wanted, 4)
