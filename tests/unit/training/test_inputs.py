import numpy as np
import pytest

from odflow.errors import InputError

tf = pytest.importorskip("tensorflow")

BOXES = np.array([[0.1, 0.2, 0.5, 0.6], [0.4, 0.5, 0.95, 0.9]], np.float32)


def example(boxes=BOXES, classes=(1, 2), crowd=None, image=None):
    """A serialized Example as the Object Detection API writes it."""
    if image is None:
        image = np.random.default_rng(2).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    feature = {
        "image/encoded": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[tf.io.encode_png(image).numpy()])
        ),
        "image/object/class/label": tf.train.Feature(int64_list=tf.train.Int64List(value=classes)),
    }
    for name, column in zip(("ymin", "xmin", "ymax", "xmax"), np.asarray(boxes).T, strict=True):
        feature[f"image/object/bbox/{name}"] = tf.train.Feature(float_list=tf.train.FloatList(value=column))
    if crowd is not None:
        feature["image/object/is_crowd"] = tf.train.Feature(int64_list=tf.train.Int64List(value=crowd))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def test_crowds_and_boxes_beyond_the_limit_are_left_out():
    from odflow.training.inputs import decode

    assert decode(tf.constant(example(crowd=[1, 0])), 10).classes.numpy().tolist() == [2]
    assert decode(tf.constant(example()), 1).classes.numpy().tolist() == [1]


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_training_sees_the_pixels_that_detect_sees(form, tmp_path):
    from PIL import Image

    from odflow.formats.images import read_image
    from odflow.training.inputs import decode

    noise = np.random.default_rng(7).integers(0, 256, (40, 56, 3)).astype(np.uint8)
    file = tmp_path / "image"
    Image.fromarray(noise).resize((140, 100)).save(file, form)
    feature = {"image/encoded": tf.train.Feature(bytes_list=tf.train.BytesList(value=[file.read_bytes()]))}
    serialized = tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
    np.testing.assert_array_equal(decode(tf.constant(serialized), 10).image, read_image(file))


def test_targets_decode_back_to_the_boxes_that_they_were_made_of(settings):
    from odflow.training.inputs import decode
    from odflow.training.ssd.boxes import decode_boxes
    from odflow.training.ssd.targets import Targets

    anchors = settings.model.anchors.boxes(96, 128)
    _, targets = Targets(settings.model)(decode(tf.constant(example()), 10))
    positive = targets["box_weights"].numpy() > 0
    decoded = decode_boxes(targets["encodings"][None], anchors, settings.model.matching.box_scales)[0]
    wanted = BOXES * [96, 128, 96, 128]
    kinds = targets["classes"].numpy()[positive]
    np.testing.assert_allclose(decoded.numpy()[positive], wanted[kinds - 1], atol=1e-3)
    assert set(kinds) == {1, 2}


def test_every_box_has_its_best_anchor_and_all_good_ones(settings):
    from odflow.ops.boxes import iou
    from odflow.training.inputs import decode
    from odflow.training.ssd.targets import Targets

    small = np.float32([[0.5, 0.5, 0.53, 0.53]])  # no anchor overlaps it by half
    boxes = np.concatenate([BOXES, small])
    anchors = settings.model.anchors.boxes(96, 128)
    _, targets = Targets(settings.model)(decode(tf.constant(example(boxes, (1, 2, 2))), 10))
    overlap = iou(anchors, boxes * np.float32([96, 128, 96, 128]))
    assert overlap[:, 2].max() < 0.5
    expected = overlap.max(axis=1) >= 0.5
    expected[overlap.argmax(axis=0)] = True
    np.testing.assert_array_equal(targets["box_weights"].numpy() > 0, expected)


def test_an_image_without_boxes_is_all_background(settings):
    from odflow.training.inputs import decode
    from odflow.training.ssd.targets import Targets

    _, targets = Targets(settings.model)(decode(tf.constant(example(np.zeros((0, 4)), [])), 10))
    assert (targets["classes"].numpy() == -1).all()
    assert (targets["class_weights"].numpy() == 1).all()
    assert (targets["box_weights"].numpy() == 0).all()


@pytest.fixture(scope="module")
def trained(settings, tmp_path_factory):
    """Twelve steps on eight pictures, stopped after the first checkpoint and gone on with."""
    from odflow.training.fitting import Folders, fit

    folder = tmp_path_factory.mktemp("fit")
    record = folder / "train.record"
    with tf.io.TFRecordWriter(str(record)) as writer:
        for _ in range(8):
            writer.write(example())
    folders = Folders(folder / "scratch", folder / "tensorboard", folder / "checkpoint")
    seen = []
    for step, loss in fit(settings, [str(record)], folders, None, 5):
        seen.append((step, loss))
        if step == 6:
            break
    rest = list(fit(settings, [str(record)], folders, None, 5))
    return folders, seen, rest


@pytest.mark.slow
def test_training_goes_on_from_its_last_checkpoint(trained):
    folders, seen, rest = trained
    assert [step for step, _ in rest] == list(range(1, 13))
    assert np.isnan([loss for step, loss in rest if step <= 5]).all()
    assert np.isfinite([loss for step, loss in rest if step > 10]).all()
    assert seen[0][1] > rest[-1][1]
    assert list(folders.tensorboard.glob("events*"))


@pytest.mark.slow
def test_a_class_id_beyond_the_config_ends_the_training_with_the_reason(settings, tmp_path):
    from odflow.training.fitting import Folders, fit

    record = tmp_path / "train.record"
    with tf.io.TFRecordWriter(str(record)) as writer:
        writer.write(example(classes=(1, 3)))
    folders = Folders(tmp_path / "scratch", tmp_path / "tensorboard", tmp_path / "checkpoint")
    with pytest.raises(InputError, match="class id above num_classes, 2"):
        list(fit(settings, [str(record)], folders, None, 5))


@pytest.mark.slow
def test_the_frozen_graph_and_the_checkpoint_agree(trained, settings, tmp_path):
    from odflow.training.architecture import architecture
    from odflow.training.checkpoints import load_weights
    from odflow.training.exporting import Detector, export_detector

    folders, _, _ = trained
    export_detector(settings, folders.weights, tmp_path)
    kind = architecture(settings)
    network = kind.build()
    load_weights(network, folders.weights, "full")
    detector = Detector(network, kind)
    saved = tf.saved_model.load(str(tmp_path / "saved_model")).signatures["serving_default"]
    graph = tf.compat.v1.GraphDef.FromString((tmp_path / "frozen_inference_graph.pb").read_bytes())
    names = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"]
    rng = np.random.default_rng(3)
    with tf.Graph().as_default() as frozen:
        tf.import_graph_def(graph, name="")
    session = tf.compat.v1.Session(graph=frozen)
    for size in [(1, 50, 70), (2, 96, 128), (1, 300, 120)]:
        image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        found = session.run([f"{name}:0" for name in names], {"image_tensor:0": image})
        direct = detector.detect(tf.constant(image))
        loaded = saved(tf.constant(image))
        for name, value in zip(names, found, strict=True):
            np.testing.assert_allclose(value, direct[name], atol=1e-5)
            np.testing.assert_allclose(value, loaded[name], atol=1e-5)
        assert found[0].shape == (size[0], 30, 4)
        assert (found[3] <= 30).all()
        assert set(np.unique(found[2])) <= {0.0, 1.0, 2.0}
