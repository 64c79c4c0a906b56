"""From a record's example to input and labels: places, pixels and joints agree, however it is drawn."""

import dataclasses
import functools
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from odflow.formats.example import encode_example
from odflow.heads.pose.settings import Crop, Heatmaps, PoseModel
from odflow.heads.pose.skeleton import Skeleton
from odflow.ops.heatmaps import binomial, gaussian, heatmaps

tf = pytest.importorskip("tensorflow")

SKELETON = Skeleton(
    name="four",
    joints=("left_hand", "right_hand", "head", "hip"),
    limbs=(("head", "hip"),),
    pairs=(("left_hand", "right_hand"),),
    torso=("head", "hip"),
)
PLAIN = np.zeros(2, np.int64)
WILD = Crop(128, 96, flip=0.5, rotation=40.0, scale=0.3)
JOINTS = np.array([[50, 60, 2], [130, 70, 1], [90, 30, 2], [95, 120, 2]], np.float32)


def jpeg(image, **options):
    return saved(image, "JPEG", **({"quality": 95} | options))


def saved(image, form, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, form, **options)
    return file.getvalue()


def example(encoded, size, joints=JOINTS, scale=0.6, **changes):
    """An example of one person; size is width and height."""
    joints = np.asarray(joints, np.float32)
    features = {
        "image/encoded": [encoded],
        "image/width": np.array([size[0]]),
        "image/height": np.array([size[1]]),
        "image/object/scale": np.float32([scale]),
        "image/object/keypoint/text": [name.encode() for name in SKELETON.joints],
        "image/object/keypoint/x": joints[:, 0] / np.float32(size[0]),
        "image/object/keypoint/y": joints[:, 1] / np.float32(size[1]),
        "image/object/keypoint/visibility": joints[:, 2].astype(np.int64),
    }
    return encode_example(features | changes)


@functools.cache
def maker(crop, maps, training):
    """The inputs of these settings as a graph, as datasets run them."""
    from odflow.heads.pose.inputs import PoseInputs

    inputs = PoseInputs(PoseModel(SKELETON, crop, maps))
    signature = [tf.TensorSpec([], tf.string), tf.TensorSpec([2], tf.int64)]
    return tf.function(functools.partial(inputs, training=training), input_signature=signature)


def made(payload, crop=None, maps=None, draw=PLAIN, training=False):
    """Input and labels as NumPy arrays."""
    image, labels = maker(crop or Crop(), maps or Heatmaps(), training)(payload, draw)
    return image.numpy(), {name: value.numpy() for name, value in labels.items()}


def noise(width, height, seed=0):
    """An image of coarse noise, which JPEG keeps."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def in_image(labels):
    """Joints (K, 2) of the labels in pixels of the image."""
    return np.column_stack([labels["joints"][:, :2], np.ones(4)]) @ labels["to_image"].T


def test_what_pose_records_writes_is_read():
    from odflow.formats.encoding import EncodedImage
    from odflow.heads.pose.person import Person, encode

    data = jpeg(noise(200, 150))
    box, middle = np.array([50.0, 30, 130, 120]), np.array([90.0, 75])
    person = Person("a.jpg", 0, 200, 150, JOINTS, box, middle, 0.6, 0.0)
    written = b"".join(encode(person, EncodedImage(data, "jpeg", 200, 150), SKELETON.joints))
    seen, labels = made(written)
    wanted_seen, wanted_labels = made(example(data, (200, 150)))
    np.testing.assert_array_equal(seen, wanted_seen)
    for name, wanted in wanted_labels.items():
        np.testing.assert_array_equal(labels[name], wanted)
    np.testing.assert_allclose(in_image(labels), JOINTS[:, :2], atol=1e-3)


def test_shapes_and_types():
    image, labels = made(example(jpeg(noise(200, 150)), (200, 150)))
    assert (image.shape, image.dtype) == ((256, 256, 3), np.uint8)
    assert {name: (value.shape, value.dtype) for name, value in labels.items()} == {
        "heatmaps": ((64, 64, 4), np.float32),
        "labelled": ((4,), np.float32),
        "joints": ((4, 3), np.float32),
        "to_image": ((2, 3), np.float32),
    }


def test_the_plain_view_is_the_box_of_the_joints_and_its_margin():
    """Joints reach from 50 to 130 and 30 to 120; 0.2 of 120 pixels are 24 on each side."""
    _, labels = made(example(jpeg(noise(200, 150)), (200, 150)))
    side = 90 + 48
    pixel = side / 256
    wanted = [[pixel, 0, 90 - side / 2], [0, pixel, 75 - side / 2]]
    np.testing.assert_allclose(labels["to_image"], wanted, rtol=1e-5)


def test_a_view_has_the_proportions_of_the_input():
    _, labels = made(example(jpeg(noise(200, 150)), (200, 150)), Crop(128, 32))
    assert labels["to_image"][0, 0] == pytest.approx(labels["to_image"][1, 1], rel=1e-6)
    assert labels["to_image"][0, 0] == pytest.approx((80 + 48) / 32, rel=1e-6)


joint = st.tuples(st.floats(-30, 330, width=32), st.floats(-30, 230, width=32), st.integers(0, 2))


@settings(max_examples=60, deadline=None)
@given(
    joints=st.lists(joint, min_size=4, max_size=4),
    position=st.integers(0, 2**40),
    crop=st.sampled_from([Crop(), WILD, dataclasses.replace(WILD, whole=True), Crop(flip=1.0)]),
)
def test_labelled_joints_come_back_from_the_input(joints, position, crop):
    payload = example(jpeg(noise(300, 200)), (300, 200), joints)
    _, labels = made(payload, crop, Heatmaps(32, 24), np.array([1, position]), training=True)
    # Joints may have changed sides; nothing else changes their order.
    mirrored = np.linalg.det(labels["to_image"][:, :2]) < 0
    wanted = np.array(joints, np.float32)[list(SKELETON.flipped)] if mirrored else np.float32(joints)
    there = wanted[:, 2] > 0
    np.testing.assert_array_equal(labels["joints"][:, 2], wanted[:, 2])
    np.testing.assert_array_equal(labels["labelled"], there)
    np.testing.assert_allclose(in_image(labels)[there], wanted[there, :2], atol=0.01)
    assert not labels["joints"][~there].any()
    cells = labels["joints"] * np.float32([24 / crop.width, 32 / crop.height, 1])
    np.testing.assert_allclose(
        labels["heatmaps"], heatmaps(cells, (32, 24), gaussian()), rtol=1e-6, atol=1e-12
    )


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 60.0])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_bright_spot_at_a_joint_is_where_its_heatmap_is_highest(form, rotation, whole):
    """The pixels and the labels are moved by different code: this holds them together."""
    crop = Crop(whole=whole, flip=0.5, rotation=rotation, scale=0.2)
    sides = set()
    for number in range(4):
        for position in range(6):
            image = np.zeros((300, 400, 3), np.uint8)
            joints = np.array([[120, 90, 2], [290, 110, 2], [200, 60, 2], [210, 240, 2]], np.float32) + 0.5
            x, y = joints[number, :2].astype(int)
            image[y - 3 : y + 4, x - 3 : x + 4] = 255
            payload = example(saved(image, form), (400, 300), joints, scale=3.0)
            seen, labels = made(payload, crop, draw=np.array([7, position]), training=True)
            sides.add(bool(np.linalg.det(labels["to_image"][:, :2]) < 0))
            weight = seen.astype(float).sum(axis=2)
            weight[weight < 200] = 0
            place = [(weight * (axis + 0.5)).sum() / weight.sum() for axis in np.indices(weight.shape)]
            mirrored = np.linalg.det(labels["to_image"][:, :2]) < 0
            slot = SKELETON.flipped[number] if mirrored else number
            # Half a pixel of the input, which is an eighth of a cell.
            np.testing.assert_allclose(labels["joints"][slot, 1::-1], place, atol=0.5)
            cell = np.unravel_index(labels["heatmaps"][..., slot].argmax(), (64, 64))
            assert np.abs(np.array(cell) + 0.5 - np.array(place) / 4).max() <= 0.5 + 0.5 / 4
            assert labels["heatmaps"][..., slot].max() == 12
    assert sides == {True, False}


@pytest.mark.parametrize("rotation", [0.0, 1e-6])
def test_pixels_are_those_of_an_affine_transform(rotation):
    """Pillow's bilinear transform as the oracle; within, where both treat borders alike."""
    image = noise(400, 300)
    crop = Crop(flip=1.0, rotation=rotation)
    payload = example(saved(image, "PNG"), (400, 300), np.add(JOINTS, [90, 70, 0]))
    seen, labels = made(payload, crop, training=True)
    wanted = Image.fromarray(image).transform(
        (256, 256), Image.Transform.AFFINE, labels["to_image"].ravel(), Image.Resampling.BILINEAR
    )
    difference = np.abs(seen.astype(int) - np.asarray(wanted, int))
    assert difference.max() <= 1


@pytest.mark.parametrize("subsampling", [0, 1, 2])
def test_a_part_of_a_jpeg_is_decoded_as_the_whole_is(subsampling):
    image = noise(413, 307)
    encoded = jpeg(image, subsampling=subsampling)
    decoded = np.asarray(Image.open(io.BytesIO(encoded)))
    for shift in range(0, 100, 7):
        joints = np.add(JOINTS, [shift, shift, 0])
        part, _ = made(example(encoded, (413, 307), joints))
        whole, _ = made(example(saved(decoded, "PNG"), (413, 307), joints))
        np.testing.assert_array_equal(part, whole)


def test_beyond_the_image_is_black_and_small_images_are_fine():
    image = np.full((20, 30, 3), 200, np.uint8)
    joints = [[2, 3, 2], [28, 4, 2], [15, 1, 2], [15, 18, 2]]
    seen, labels = made(example(jpeg(image), (30, 20), joints, scale=0.5))
    rows, columns = np.indices((256, 256)) + 0.5
    x, y = np.tensordot(labels["to_image"], np.stack([columns, rows, np.ones((256, 256))]), 1)
    inside = (x > 1) & (x < 29) & (y > 1) & (y < 19)
    outside = (x < -1) | (x > 31) | (y < -1) | (y > 21)
    assert inside.any()
    assert outside.any()
    assert np.abs(seen[inside].astype(int) - 200).max() <= 2
    assert not seen[outside].any()


@pytest.mark.parametrize("crop", [Crop(), WILD], ids=["plain", "wild"])
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_a_person_outside_the_image_is_black(form, crop):
    far = [[-1e6, 3, 2], [-1e6 + 20, 4, 2], [-1e6, 1, 2], [-1e6, 60, 2]]
    seen, labels = made(example(saved(noise(40, 30), form), (40, 30), far), crop, training=True)
    assert not seen.any()
    assert labels["labelled"].all()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 2)])
@pytest.mark.parametrize("crop", [Crop(), WILD], ids=["plain", "wild"])
def test_the_smallest_images(size, crop):
    image = np.full((size[1], size[0], 3), 99, np.uint8)
    joints = [[0, 0, 2], [size[0], 0, 2], [0, size[1], 2], [size[0], size[1], 2]]
    seen, _ = made(example(saved(image, "PNG"), size, joints, scale=0.0), crop, training=True)
    assert seen.max() <= 99
    assert seen.max() > 80


def test_a_person_without_labelled_joints_is_the_whole_image():
    image = noise(400, 300)
    seen, labels = made(example(saved(image, "PNG"), (400, 300), JOINTS * [1, 1, 0]))
    assert not labels["heatmaps"].any()
    assert not labels["labelled"].any()
    assert in_image({**labels, "joints": np.full((4, 3), 128.0)})[0] == pytest.approx([200, 150])
    assert labels["to_image"][0, 0] == pytest.approx(400 / 256)
    assert seen[128, 128].any()


def test_a_joint_that_is_not_a_number_is_not_labelled():
    joints = JOINTS.copy()
    joints[1, 0] = np.nan
    _, labels = made(example(jpeg(noise(200, 150)), (200, 150), joints))
    assert labels["labelled"].tolist() == [1, 0, 1, 1]
    assert np.isfinite(labels["to_image"]).all()
    assert np.isfinite(labels["joints"]).all()


def test_the_same_draw_gives_the_same_and_another_another():
    payload = example(jpeg(noise(200, 150)), (200, 150))
    first, again, other = (
        made(payload, WILD, draw=np.array([5, n]), training=True)[1]["to_image"] for n in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_draws_cover_their_ranges():
    payload = example(jpeg(noise(200, 150)), (200, 150))
    affines = [
        made(payload, WILD, draw=np.array([5, n]), training=True)[1]["to_image"][:, :2] for n in range(300)
    ]
    angles = [np.degrees(np.arctan2(-affine[0, 1], affine[1, 1])) for affine in affines]
    assert -40 <= min(angles) < -33
    assert 33 < max(angles) <= 40
    assert 0.3 < np.mean([np.linalg.det(affine) < 0 for affine in affines]) < 0.7
    # The joints are 80 pixels wide, the body 120: margins from 0.1 to 0.3, factors from 0.7 to 1.3.
    sides = [96 * np.hypot(*affine[:, 1]) for affine in affines]
    low, high = 0.7 * (80 + 24), 1.3 * (80 + 72)
    assert low <= min(sides) < 1.1 * low
    assert 0.9 * high < max(sides) <= high


def test_flic_maps_and_images_are_those_of_its_first_code():
    """480 by 720 pixels as they are, 60 by 90 cells, joints beyond the border at the border."""
    image = noise(720, 480)
    joints = [[101.3, 77.7, 1], [-20.5, 100.2, 1], [733.1, 500.9, 1], [479.9, 80.1, 1]]
    crop, maps = Crop(480, 720, whole=True), Heatmaps(60, 90, kernel="binomial")
    seen, labels = made(example(saved(image, "PNG"), (720, 480), joints), crop, maps, training=True)
    np.testing.assert_array_equal(seen, image)
    cells = np.array([[12.6, 9.7, 1], [0, 12.5, 1], [90, 60, 1], [59.9, 10, 1]])
    np.testing.assert_allclose(labels["heatmaps"], heatmaps(cells, (60, 90), binomial()), atol=1e-7)
    assert labels["heatmaps"][59, 89, 2] == np.float32(1 / 16)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"image/encoded": [b"no image"]}, "Unknown image file format"),
        ({"image/encoded": [jpeg(noise(200, 150))[:60]]}, "JPEG"),
        ({"image/width": np.array([5000])}, "crop window|size"),
        ({"image/object/keypoint/x": np.float32([0.1])}, "keypoint/x"),
        ({"image/object/keypoint/text": [b"a", b"b", b"c", b"d"]}, "wanted the joints"),
        ({"image/object/scale": np.float32([])}, "scale"),
    ],
)
def test_examples_that_cannot_be_used_are_told(wrong, said):
    payload = example(jpeg(noise(200, 150)), (200, 150), np.add(JOINTS, [60, 0, 0]), **wrong)
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        made(payload, Crop(whole=True))


def test_it_runs_in_a_dataset_and_batches():
    inputs = maker(WILD, Heatmaps(32, 24), training=True)
    payload = example(jpeg(noise(200, 150)), (200, 150))
    records = tf.data.Dataset.from_tensors(payload).repeat(6).enumerate()
    batches = records.map(
        lambda position, serialized: inputs(serialized, tf.stack([tf.constant(3, tf.int64), position])),
        num_parallel_calls=2,
    ).batch(4)
    images, labels = next(iter(batches))
    assert images.shape == (4, 128, 96, 3)
    assert labels["heatmaps"].shape == (4, 32, 24, 4)
    alone, _ = made(payload, WILD, Heatmaps(32, 24), draw=np.array([3, 2]), training=True)
    # tf.data simplifies arithmetic, and so a rounding may fall to the other side.
    np.testing.assert_allclose(images[2], alone.astype(float), atol=1)
    np.testing.assert_array_equal(next(iter(batches))[0], images)
