"""Checkpoints of several writers, made by TensorFlow itself, read under the API's names."""

import shutil

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from odflow.errors import InputError
from odflow.odapi.checkpoint import (
    OBJECT_GRAPH,
    VALUE,
    existing_path,
    find_checkpoint,
    read_checkpoint,
    weights_of,
)

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

from tensorflow.core.protobuf import trackable_object_graph_pb2  # noqa: E402

BACKBONE = "model/_feature_extractor/classification_backbone/"


@pytest.fixture(scope="module")
def classifier():
    layers = tf_keras.layers
    image = tf_keras.Input([8, 8, 3])
    maps = layers.BatchNormalization()(layers.Conv2D(4, 3, use_bias=False)(image))
    model = tf_keras.Model(image, layers.Dense(5)(layers.Flatten()(maps)))
    rng = np.random.default_rng(4)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def detector(classifier):
    """What the API's model looks like to a checkpoint; the head is in two places, as shared layers are."""
    network, extractor = tf.Module(), tf.Module()
    extractor.classification_backbone = classifier
    network._feature_extractor = extractor
    network._box_predictor = tf.Module()
    network._box_predictor._towers = {"boxes": [tf.Variable([[1.0, 2.0]])]}
    network._shared = network._box_predictor._towers["boxes"]
    return network


def names_of(classifier, root):
    kernel, gamma, beta, mean, variance, dense, bias = classifier.get_weights()
    first, norm, last = (f"{root}layer_with_weights-{number}" for number in range(3))
    return {
        f"{first}/kernel": kernel,
        f"{norm}/gamma": gamma,
        f"{norm}/beta": beta,
        f"{norm}/moving_mean": mean,
        f"{norm}/moving_variance": variance,
        f"{last}/kernel": dense,
        f"{last}/bias": bias,
    }


def assert_holds(weights, arrays):
    for name, array in arrays.items():
        np.testing.assert_array_equal(weights[name], array, err_msg=name)


def test_a_training_checkpoint_of_the_api_gives_its_weights_alone(detector, classifier, tmp_path):
    optimizer = tf_keras.optimizers.legacy.SGD(0.0, momentum=0.9)
    variables = list(detector.trainable_variables)
    optimizer.apply_gradients((tf.zeros_like(variable), variable) for variable in variables)
    step = tf.Variable(7, dtype=tf.int64)
    saved = tf.train.Checkpoint(step=step, model=detector, optimizer=optimizer).save(str(tmp_path / "ckpt"))
    assert any("OPTIMIZER_SLOT" in name for name, _ in tf.train.list_variables(saved))
    weights = read_checkpoint(tmp_path / "ckpt-1")
    assert weights.kind == "TF2 Object Detection API"
    expected = names_of(classifier, BACKBONE) | {"model/_shared/0": np.array([[1.0, 2.0]])}
    assert set(weights) == set(expected)
    assert weights.shapes[f"{BACKBONE}layer_with_weights-0/kernel"] == (3, 3, 3, 4)
    assert_holds(weights, expected)


def test_a_shared_variable_is_found_by_each_of_its_paths(detector, tmp_path):
    tf.train.Checkpoint(model=detector).write(str(tmp_path / "ckpt-0"))
    weights = read_checkpoint(tmp_path)
    assert weights.locate("model/_box_predictor/_towers/boxes/0") == "model/_shared/0"
    np.testing.assert_array_equal(weights["model/_box_predictor/_towers/boxes/0"], [[1.0, 2.0]])
    assert weights.locate("model/_box_predictor/_towers/boxes/1") is None
    with pytest.raises(KeyError):
        weights["model/_box_predictor/_towers/classes/0"]


@pytest.mark.parametrize("form", ["api", "detector", "keras", "keras in model", "save_weights"])
def test_a_classifier_is_found_wherever_it_was_kept(form, detector, classifier, tmp_path):
    prefix = str(tmp_path / "ckpt-1")
    if form == "save_weights":
        classifier.save_weights(prefix, save_format="tf")
    else:
        roots = {
            "api": tf.train.Checkpoint(feature_extractor=classifier),
            "detector": tf.train.Checkpoint(model=detector),
            "keras": tf.train.Checkpoint(classifier),
            "keras in model": tf.train.Checkpoint(model=classifier),
        }
        roots[form].write(prefix)
    assert_holds(read_checkpoint(tmp_path / "ckpt-1"), names_of(classifier, "feature_extractor/"))


def test_a_block_of_model_gardens_mobilenet_is_counted_layer_by_layer(tmp_path):
    blocks = {
        0: {"_conv0": ["kernel"], "_norm0": ["gamma", "beta"]},
        1: {"_conv1": ["depthwise_kernel"], "_norm1": ["gamma"], "_conv2": ["kernel"], "_norm2": ["gamma"]},
        10: {"_conv0": ["kernel"], "_norm0": ["gamma"]},
    }
    root, values, number = tf.Module(), {}, 0
    for place, block in blocks.items():
        parent = tf.Module()
        for layer, (name, attributes) in enumerate(block.items()):
            child = tf.Module()
            for attribute in attributes:
                value = float(100 * place + layer)
                setattr(child, attribute, tf.Variable([value]))
                values[f"feature_extractor/layer_with_weights-{number}/{attribute}"] = [value]
            setattr(parent, name, child)
            number += 1
        setattr(root, f"layer_with_weights-{place}", parent)
    tf.train.Checkpoint(backbone=root).write(str(tmp_path / "ckpt-1"))
    weights = read_checkpoint(tmp_path)
    assert weights.kind == "Model Garden"
    assert_holds(weights, values)


def write_tf1(prefix, arrays):
    """As TensorFlow 1's Saver does: names and arrays, and no object graph."""
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(array) for array in arrays.values()],
    )


@pytest.mark.parametrize("scope", ["FeatureExtractor/", "FirstStageFeatureExtractor/", ""])
def test_the_state_of_a_tf1_optimizer_is_no_weight(scope, tmp_path):
    kernel = np.random.default_rng(1).normal(size=(3, 3, 3, 8)).astype(np.float32)
    name = f"{scope}MobilenetV1/Conv2d_0/weights"
    others = {
        f"{name}/{slot}": kernel * 0 for slot in ("RMSProp", "RMSProp_1", "Adam", "ExponentialMovingAverage")
    }
    write_tf1(tmp_path / "model.ckpt-9", {name: kernel, **others, "global_step": np.int64(9)})
    weights = read_checkpoint(tmp_path)
    assert weights.kind == "TF1"
    place = BACKBONE if scope else "feature_extractor/"  # as a classifier's, which fits any detector
    assert list(weights) == [f"{place}layer_with_weights-0/kernel"]
    np.testing.assert_array_equal(weights["feature_extractor/layer_with_weights-0/kernel"], kernel)


@pytest.mark.parametrize("averaged", [False, True])
@pytest.mark.parametrize("having", [(), ("weights",), ("weights", "BatchNorm/beta")])
@pytest.mark.parametrize("scope", ["FeatureExtractor/", "SecondStageFeatureExtractor/", ""])
def test_moving_averages_are_taken_where_asked_for_and_never_silently(scope, having, averaged, tmp_path):
    """What the API's exporter does: variables without an average keep their own values."""
    layer, rng = f"{scope}MobilenetV1/Conv2d_0", np.random.default_rng(2)
    arrays = {"weights": rng.normal(size=(3, 3, 3, 8)), "BatchNorm/beta": rng.normal(size=8)}
    arrays["BatchNorm/moving_mean"] = rng.normal(size=8)
    averages = {f"{name}/ExponentialMovingAverage": arrays[name] + 1.0 for name in having}
    write_tf1(
        tmp_path / "model.ckpt-3", {f"{layer}/{name}": one for name, one in (arrays | averages).items()}
    )
    weights = read_checkpoint(tmp_path, averaged=averaged)
    keys = {"weights": "0/kernel", "BatchNorm/beta": "1/beta", "BatchNorm/moving_mean": "1/moving_mean"}
    root = BACKBONE if scope else "feature_extractor/"
    assert_holds(
        weights,
        {
            f"{root}layer_with_weights-{key}": arrays[name] + (averaged and name in having)
            for name, key in keys.items()
        },
    )
    assert len(weights) == 3
    assert weights.averages == {f"{root}layer_with_weights-{keys[name]}" for name in having}
    assert weights.averaged == averaged


def test_every_variable_of_a_tf1_zoo_checkpoint_has_a_canonical_name(shared):
    folder = shared / "models/ssd_mobilenet_v1_coco"
    weights = read_checkpoint(folder / "model.ckpt")
    stored = dict(tf.train.list_variables(str(folder / "model.ckpt")))
    assert len(weights) == len(stored) - 1, "global_step is no weight"
    assert all(name.startswith("model/") for name in weights)
    kernel = tf.train.load_variable(
        str(folder / "model.ckpt"), "FeatureExtractor/MobilenetV1/Conv2d_13_pointwise/weights"
    )
    np.testing.assert_array_equal(weights[f"{BACKBONE}layer_with_weights-52/kernel"], kernel)


@pytest.fixture
def files(detector, tmp_path):
    """An exported folder with two checkpoints in its own."""
    folder = tmp_path / "exported/checkpoint"
    for number in (9, 10):
        tf.train.Checkpoint(model=detector).write(str(folder / f"ckpt-{number}"))
    return folder


def test_a_checkpoint_is_found_from_each_place_that_users_name(files):
    newest = str(files / "ckpt-10")
    assert find_checkpoint(files.parent) == newest, "10 comes after 9"
    assert find_checkpoint(files) == newest
    for name in ("ckpt-9", "ckpt-9.index", "ckpt-9.data-00000-of-00001"):
        assert find_checkpoint(files / name) == str(files / "ckpt-9")
    with pytest.raises(InputError, match="holds no checkpoint; wanted: a prefix such as"):
        find_checkpoint(files / "ckpt-11")
    assert existing_path(files / "ckpt-9") == files / "ckpt-9.index"
    assert existing_path(files) == files
    assert existing_path(files / "ckpt-11") == files / "ckpt-11"


def test_the_state_file_names_a_checkpoint_of_its_own_folder_alone(files, tmp_path, detector):
    tf.train.Checkpoint(model=detector).write(str(tmp_path / "elsewhere/ckpt-9"))
    elsewhere = tmp_path / "elsewhere/ckpt-9"
    (files / "checkpoint").write_text(f'model_checkpoint_path: "{elsewhere}"\n')
    assert find_checkpoint(files) == str(files / "ckpt-9")
    (files / "checkpoint").write_text('model_checkpoint_path: "../../elsewhere/ckpt-99"\n')
    assert find_checkpoint(files) == str(files / "ckpt-10")


def damage(path, how):
    content = path.read_bytes()
    if how == "gone":
        path.unlink()
    elif how == "flipped":
        middle = len(content) // 3
        path.write_bytes(content[:middle] + bytes(255 - byte for byte in content[middle : middle + 9]))
        path.write_bytes(path.read_bytes() + content[middle + 9 :])
    else:
        path.write_bytes(content[: int(len(content) * how)])


@pytest.mark.parametrize("how", [0.0, 0.5, 0.99, "flipped", "gone"])
@pytest.mark.parametrize("suffix", [".index", ".data-00000-of-00001"])
def test_a_damaged_checkpoint_is_told_in_one_line(how, suffix, files):
    damage(files / f"ckpt-9{suffix}", how)
    with pytest.raises(InputError) as error:
        dict(read_checkpoint(files / "ckpt-9"))
    message = str(error.value)
    assert "ckpt-9" in message
    assert "\n" not in message
    assert len(message) < 400
    assert error.value.exit_code == 2
    assert ("holds no checkpoint" if (how, suffix) == ("gone", ".index") else "damaged") in message


def varint(number):
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


@pytest.mark.parametrize("size", [200_000, 2**31, 2**36, 2**62, 2**64 - 1, 2**64 - 6])
@pytest.mark.parametrize("begin", [0, 2**63])
def test_an_index_that_points_out_of_itself_is_told_before_anything_is_allocated(begin, size, files):
    index = files / "ckpt-9.index"
    whole = index.read_bytes()
    handles = (varint(0) * 2 + varint(begin) + varint(size)).ljust(40, b"\0")
    index.write_bytes(whole[:-48] + handles + whole[-8:])
    with pytest.raises(InputError, match=rf"ckpt-9: is damaged .*points to {size} from byte {begin} on\)"):
        read_checkpoint(files / "ckpt-9")


def test_an_index_whose_end_holds_no_numbers_is_told(files):
    index = files / "ckpt-9.index"
    whole = index.read_bytes()
    index.write_bytes(whole[:-48] + b"\xff" * 40 + whole[-8:])
    with pytest.raises(InputError, match=r"ckpt-9: is damaged .*a number that does not end\)"):
        read_checkpoint(files / "ckpt-9")


def test_who_wrote_a_checkpoint_is_told(files, detector):
    assert read_checkpoint(files.parent).kind == "TF2 Object Detection API"
    (files.parent / "import.json").write_text("{}")
    assert read_checkpoint(files.parent).kind == "odflow"


def test_arrays_in_memory_are_weights_too():
    weights = weights_of({"model/a": np.ones((2, 3))}, "model.pb", "frozen graph")
    assert weights.shapes == {"model/a": (2, 3)}
    assert weights["model/a"].sum() == 6
    assert "model/b" not in weights


def test_a_copy_without_its_state_file_is_read(shared, tmp_path):
    folder = shared / "models/ssd_mobilenet_v2_fpnlite_320/checkpoint"
    for file in folder.glob("ckpt-0.*"):
        shutil.copy(file, tmp_path)
    assert len(read_checkpoint(tmp_path)) == 384


def write_with_graph(prefix, graph):
    """A TF2 checkpoint of one variable with this object graph."""
    write_tf1(prefix, {OBJECT_GRAPH: graph, f"model/a{VALUE}": np.float32([3.0])})


def graph_of(path, nodes=2, child=1):
    """The serialized object graph in which `path` leads to the variable model/a."""
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    for _ in range(nodes):
        graph.nodes.add()
    graph.nodes[0].children.add(node_id=child, local_name=path)
    graph.nodes[-1].attributes.add(name="VARIABLE_VALUE", checkpoint_key=f"model/a{VALUE}")
    return graph.SerializeToString()


UNKNOWN_FIELD = bytes([15 << 3 | 2])
"""The tag of bytes in a field that a TrackableObjectGraph does not have, and passes over."""


@given(ends=st.lists(st.sampled_from([0, 1, 10, 127]), max_size=40), nuls=st.integers(0, 40))
@example(ends=[], nuls=1)
@settings(max_examples=25, deadline=None)
def test_an_object_graph_keeps_the_nuls_at_its_end(ends, nuls, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("nuls") / "ckpt-1"
    rest = bytes(ends) + bytes(nuls)
    write_with_graph(prefix, graph_of("one") + UNKNOWN_FIELD + bytes([len(rest)]) + rest)
    assert read_checkpoint(prefix)["one"] == [3.0]


def test_a_checkpoint_of_step_0_is_read(detector, classifier, tmp_path):
    """Its object graph ends in NULs where the last object is a counter without a value."""
    step = tf.Variable(0, dtype=tf.int64)
    saved = tf.train.Checkpoint(step=step, model=detector).save(str(tmp_path / "ckpt"))
    assert saved.endswith("ckpt-1")
    assert_holds(read_checkpoint(tmp_path / "ckpt-1"), names_of(classifier, BACKBONE))


@pytest.mark.parametrize(
    "graph",
    [b"", b"\0", b"\xff\xff", graph_of("one")[:-3], graph_of("one", child=7), graph_of("one", child=-1), 1.0],
    ids=["empty", "nul", "no message", "cut", "child beyond", "child before", "a number"],
)
def test_a_damaged_object_graph_is_told_in_one_line(graph, tmp_path):
    write_with_graph(tmp_path / "ckpt-1", graph)
    with pytest.raises(InputError, match=r"ckpt-1: is damaged or not whole \(.+\)\. Copy") as error:
        read_checkpoint(tmp_path)
    assert "\n" not in str(error.value)
