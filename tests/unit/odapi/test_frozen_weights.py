"""Weights out of frozen graphs: against the model's checkpoint, TensorFlow's own folding, and NumPy."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from odflow.errors import InputError
from odflow.odapi.frozen_weights import FrozenGraph, read_frozen_graph
from odflow.odapi.tf1_names import canonical_names

tf = pytest.importorskip("tensorflow")

MODEL = "models/ssd_mobilenet_v1_coco"
LAYER = "FeatureExtractor/MobilenetV1/Conv2d_0"
CONVOLUTION, NORM = (
    f"model/_feature_extractor/classification_backbone/layer_with_weights-{number}" for number in (0, 1)
)
STATISTICS = ("gamma", "beta", "moving_mean", "moving_variance")


@pytest.fixture(scope="module")
def graph(shared):
    return read_frozen_graph(shared / MODEL / "frozen_inference_graph.pb")


@pytest.fixture(scope="module")
def checkpoint(shared):
    reader = tf.train.load_checkpoint(str(shared / MODEL / "model.ckpt"))
    names = set(reader.get_variable_to_shape_map()) - {"global_step"}
    return {name: reader.get_tensor(name) for name in names}


@pytest.fixture
def wanted(checkpoint):
    return set(canonical_names(checkpoint).values())


def written(graph_def, path):
    path.write_bytes(graph_def.SerializeToString())
    return path


def loaded(path):
    graph_def = tf.compat.v1.GraphDef()
    graph_def.ParseFromString(path.read_bytes())
    return graph_def


def normalized(x, weights, epsilon):
    """Batch norm by hand."""
    gamma, beta, mean, variance = (weights[f"{NORM}/{name}"].astype(float) for name in STATISTICS)
    return (x - mean) / np.sqrt(variance + epsilon) * gamma + beta


def test_the_constants_are_those_of_the_checkpoint(graph, checkpoint):
    assert set(graph.arrays) == set(checkpoint)
    for name, value in checkpoint.items():
        np.testing.assert_array_equal(graph.arrays[name], value)
    assert len(graph.epsilons) == 35
    assert set(graph.epsilons.values()) == {np.float32(0.001)}


def test_batch_norms_that_tensorflow_folded_compute_the_same(shared, checkpoint, wanted, tmp_path):
    """TensorFlow's tool folds them into the kernels, and gives the constants names of its own."""
    from tensorflow.python.tools.optimize_for_inference_lib import optimize_for_inference

    whole = loaded(shared / MODEL / "frozen_inference_graph.pb")
    outputs = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"]
    small = optimize_for_inference(whole, ["image_tensor"], outputs, [tf.uint8.as_datatype_enum])
    assert not [node for node in small.node if node.op.startswith("FusedBatchNorm")]
    folded = read_frozen_graph(written(small, tmp_path / "folded.pb"))
    assert set(folded.arrays) == set(checkpoint)
    names = canonical_names(checkpoint)
    norms = {names[name].rpartition("/")[0]: 0.01 for name in names if name.endswith("/gamma")}
    found = folded.for_network(wanted, norms)
    for name in (
        name
        for name in checkpoint
        if name.endswith("weights") and f"{_scope(name)}/BatchNorm/beta" in checkpoint
    ):
        key, scope = names[name], _scope(name)
        norm = names[f"{scope}/BatchNorm/gamma"].rpartition("/")[0]
        theirs = {one: checkpoint[f"{scope}/BatchNorm/{one}"].astype(float) for one in STATISTICS}
        factor = theirs["gamma"] / np.sqrt(theirs["moving_variance"] + 0.001)
        ours = found[f"{norm}/gamma"] / np.sqrt(found[f"{norm}/moving_variance"] + 0.01)
        shape = (-1, 1) if "depthwise" in name else (-1,)
        np.testing.assert_allclose(
            found[key] * ours.reshape(shape), checkpoint[name] * factor.reshape(shape), atol=1e-6
        )
        offset = theirs["beta"] - theirs["moving_mean"] * factor
        np.testing.assert_allclose(
            found[f"{norm}/beta"] - found[f"{norm}/moving_mean"] * ours, offset, atol=1e-6
        )


def _scope(name):
    return name.rpartition("/")[0]


@given(
    values=st.lists(
        st.tuples(st.floats(0.1, 3), st.floats(-2, 2), st.floats(-2, 2), st.floats(0, 4)),
        min_size=1,
        max_size=5,
    ),
    epsilons=st.tuples(st.floats(1e-5, 0.1), st.floats(1e-5, 0.1)),
    scaled=st.booleans(),
)
def test_another_epsilon_computes_the_same(values, epsilons, scaled):
    columns = [np.float32(column) for column in zip(*values, strict=True)]
    arrays = {f"{LAYER}/BatchNorm/{name}": column for name, column in zip(STATISTICS, columns, strict=True)}
    theirs, ours = epsilons
    if not scaled:  # a graph without learned scales, and a network without
        arrays[f"{LAYER}/BatchNorm/gamma"] = np.ones_like(columns[0])
        arrays[f"{LAYER}/BatchNorm/moving_variance"] += np.float32(0.1)
    before = {f"{NORM}/{name}": arrays[f"{LAYER}/BatchNorm/{name}"] for name in STATISTICS}
    graph = FrozenGraph(Path("graph.pb"), arrays, {f"{LAYER}/BatchNorm": theirs})
    wanted = set(before) if scaled else set(before) - {f"{NORM}/gamma"}
    after = graph.for_network(wanted, {NORM: ours})
    x = np.linspace(-3, 3, 7)[:, None]
    np.testing.assert_allclose(
        normalized(x, after, ours), normalized(x, before, theirs), atol=1e-3, rtol=1e-4
    )


def test_a_scale_that_the_graph_does_not_learn_is_one():
    ones = np.ones(2, np.float32)
    arrays = {f"{LAYER}/BatchNorm/{name}": ones for name in STATISTICS[1:]}
    graph = FrozenGraph(Path("graph.pb"), arrays, {f"{LAYER}/BatchNorm": 0.001})
    found = graph.for_network({f"{NORM}/{name}" for name in STATISTICS}, {NORM: 0.001})
    np.testing.assert_array_equal(found[f"{NORM}/gamma"], ones)


def test_batch_norms_of_many_operations_tell_their_epsilon(tmp_path):
    """As TF-Slim built them before TensorFlow 1.4."""
    with tf.Graph().as_default() as whole:
        image = tf.compat.v1.placeholder(tf.float32, [1, 4, 4, 3])
        read = {
            name: tf.identity(
                tf.constant(np.ones(shape, np.float32), name=f"{LAYER}/{name}"), f"{LAYER}/{name}/read"
            )
            for name, shape in {
                "weights": (1, 1, 3, 2),
                **{f"BatchNorm/{one}": (2,) for one in STATISTICS},
            }.items()
        }
        with tf.name_scope("FeatureExtractor/MobilenetV1/MobilenetV1/Conv2d_0/"):
            maps = tf.nn.conv2d(image, read["weights"], 1, "SAME", name="Conv2D")
            with tf.name_scope("BatchNorm"):
                mean, variance = read["BatchNorm/moving_mean"], read["BatchNorm/moving_variance"]
                tf.nn.batch_normalization(
                    maps, mean, variance, read["BatchNorm/beta"], read["BatchNorm/gamma"], 0.25
                )
    found = read_frozen_graph(written(whole.as_graph_def(), tmp_path / "old.pb"))
    assert found.epsilons == {f"{LAYER}/BatchNorm": 0.25}
    assert set(found.arrays) == {f"{LAYER}/weights", *(f"{LAYER}/BatchNorm/{one}" for one in STATISTICS)}


def test_half_precision_weights_are_read(tmp_path):
    with tf.Graph().as_default() as whole:
        tf.constant(np.float16([0.5, 1.5]), name=f"{LAYER}/biases")
    arrays = read_frozen_graph(written(whole.as_graph_def(), tmp_path / "half.pb")).arrays
    assert arrays[f"{LAYER}/biases"].dtype == np.float32
    assert arrays[f"{LAYER}/biases"].tolist() == [0.5, 1.5]


def test_what_is_no_frozen_graph_is_told_in_one_line(shared, tmp_path):
    cut, empty, junk = (tmp_path / name for name in ("cut.pb", "empty.pb", "junk.pb"))
    cut.write_bytes((shared / MODEL / "frozen_inference_graph.pb").read_bytes()[:1_000_000])
    empty.write_bytes(b"")
    junk.write_text("model { ssd { } }")
    for path, wanted in ((cut, "damaged"), (junk, "is a pipeline.config, not"), (empty, "is an empty file")):
        with pytest.raises(InputError, match=wanted) as error:
            read_frozen_graph(path)
        assert "\n" not in str(error.value)
        assert str(path) in str(error.value)


def test_a_quantised_graph_is_refused(tmp_path):
    with tf.Graph().as_default() as whole:
        weights = tf.constant(np.ones(2, np.float32), name=f"{LAYER}/weights")
        tf.quantization.fake_quant_with_min_max_args(weights, name="quantised")
    with pytest.raises(InputError, match="quantised"):
        read_frozen_graph(written(whole.as_graph_def(), tmp_path / "graph.pb"))


def without_inputs(graph_def):
    for node in graph_def.node:
        if node.op in ("Conv2D", "FusedBatchNorm", "FusedBatchNormV3"):
            del node.input[:]


def in_a_circle(graph_def):
    first, second = graph_def.node.add(name="a", op="Identity"), graph_def.node.add(name="b", op="Identity")
    first.input.append("b")
    second.input.append("a")
    for node in graph_def.node:
        if node.op == "Conv2D":
            node.input[1] = "a"


def larger_than_they_are(graph_def):
    for node in graph_def.node:
        if node.op == "Const":
            for dimension in node.attr["value"].tensor.tensor_shape.dim:
                dimension.size = 10**6


def of_a_negative_size(graph_def):
    for node in graph_def.node:
        if node.op == "Const":
            for dimension in node.attr["value"].tensor.tensor_shape.dim:
                dimension.size = -3


def cut_short(graph_def):
    for node in graph_def.node:
        tensor = node.attr["value"].tensor
        tensor.tensor_content = tensor.tensor_content[:-3]


def of_no_type(graph_def):
    for node in graph_def.node:
        if node.op == "Const":
            node.attr["value"].tensor.dtype = 20


def without_values(graph_def):
    for node in graph_def.node:
        if node.op == "Const":
            del node.attr["value"]


@pytest.mark.parametrize(
    "spoil",
    [
        without_inputs,
        in_a_circle,
        larger_than_they_are,
        of_a_negative_size,
        cut_short,
        of_no_type,
        without_values,
    ],
)
def test_a_graph_that_makes_no_sense_ends_in_one_line_or_is_read(spoil, shared, tmp_path):
    graph_def = loaded(shared / MODEL / "frozen_inference_graph.pb")
    spoil(graph_def)
    place = written(graph_def, tmp_path / "graph.pb")
    said = ""
    try:
        read_frozen_graph(place)
    except InputError as error:
        said = str(error)
    assert not said or said.startswith(f"{place}: ")
    assert "\n" not in said
