"""EfficientDet's extractor against Keras's own EfficientNet, NumPy and the API's published counts."""

import dataclasses

import numpy as np
import pytest

from odflow.errors import ConfigError
from odflow.odapi.pipeline_config import read_pipeline_config
from odflow.training.settings import BatchNorm, Hyperparams, Initializer, LearningRate, Resizer
from odflow.training.ssd.settings import BifpnShape
from odflow.training.translation import translate

tf = pytest.importorskip("tensorflow")

HYPERPARAMS = Hyperparams(
    "swish",
    BatchNorm(0.99, 0.001),
    Initializer("truncated_normal", stddev=0.03),
    l2_weight=4e-5,
    force_use_bias=True,
)


def extractor(version, shape):
    from odflow.training.layers.convolutions import Convolutions
    from odflow.training.ssd.efficientnet import EfficientNetBifpn

    return EfficientNetBifpn(version, shape, Convolutions(HYPERPARAMS))


def randomize(variables, seed=3):
    rng = np.random.default_rng(seed)
    for variable in variables:
        value = rng.normal(size=variable.shape) * 0.2
        positive = "variance" in variable.name or "gamma" in variable.name
        variable.assign(np.abs(value) + 0.5 if positive else value)


@pytest.fixture(scope="module")
def d0():
    model = extractor("efficientnet-b0", BifpnShape(3, 7, 3, 64))
    model(tf.zeros([1, 128, 128, 3]))
    return model


# What the Object Detection API's own test of its extractor expects: trainable numbers,
# EfficientNet's classifier among them.
PUBLISHED = {
    ("efficientnet-b0", 3, 64, "fast_attention"): 5484829,
    ("efficientnet-b1", 4, 88, "fast_attention"): 8185156,
    ("efficientnet-b2", 5, 112, "fast_attention"): 9818153,
    ("efficientnet-b3", 6, 160, "fast_attention"): 13792706,
    ("efficientnet-b4", 7, 224, "fast_attention"): 22691445,
    ("efficientnet-b5", 7, 288, "fast_attention"): 35795677,
    ("efficientnet-b6", 8, 384, "sum"): 53624512,
}
SLOW = [pytest.param(*item, marks=pytest.mark.slow) for item in list(PUBLISHED.items())[2:]]


@pytest.mark.parametrize(("kind", "count"), [*list(PUBLISHED.items())[:2], *SLOW])
def test_every_size_has_as_many_trainable_numbers_as_the_apis(kind, count):
    version, iterations, filters, method = kind
    model = extractor(version, BifpnShape(3, 7, iterations, filters, method))
    maps = model(tf.zeros([1, 128, 256, 3]))
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == count
    assert [tuple(one.shape) for one in maps] == [(1, 128 >> k, 256 >> k, filters) for k in range(3, 8)]


def test_checkpoint_keys_are_the_apis(d0, tmp_path):
    tf.train.Checkpoint(model=d0).write(str(tmp_path / "ckpt"))
    keys = {name.partition("/.ATTRIBUTES")[0] for name, _ in tf.train.list_variables(str(tmp_path / "ckpt"))}
    for key in (
        "model/_efficientnet/layer_with_weights-0/kernel",
        "model/_bifpn_stage/node_input_blocks/0/0/1/0/kernel",  # the node, its input, (index, layers), layer
        "model/_bifpn_stage/node_input_blocks/0/0/1/1/moving_mean",
        "model/_bifpn_stage/node_combine_op/2/bifpn_combine_weights",
        "model/_bifpn_stage/node_post_combine_block/2/1/pointwise_kernel",
        "model/_bifpn_stage/node_post_combine_block/2/2/gamma",
        "model/classification_backbone/layer_with_weights-130/kernel",  # the classifier
    ):
        assert key in keys


def test_efficientnet_computes_what_keras_computes(d0):
    import tf_keras

    peer = tf_keras.applications.EfficientNetB0(weights=None, input_shape=(96, 128, 3), include_top=False)
    layers = {layer.name: layer for layer in peer.layers}
    names = ["block3b_add", "block5c_add", "block7a_project_bn"]
    peer_maps = tf_keras.Model(peer.input, [layers[name].output for name in names])
    randomize(d0._efficientnet.weights)
    own = [layer for layer in d0._efficientnet.layers if layer.weights]
    others = [layer for layer in peer.layers if layer.weights and layer.name != "normalization"]
    for layer, other in zip(own, others, strict=False):  # in the order of the layers; the peer has a top
        other.set_weights(layer.get_weights())
    pixels = np.random.default_rng(1).normal(size=(2, 96, 128, 3)).astype("f")
    for found, wanted in zip(d0._efficientnet(pixels), peer_maps(pixels * 255.0), strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-5 * float(tf.reduce_max(tf.abs(wanted))))


def swish(x):
    return x / (1 + np.exp(-x))


def up(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def down(x):
    """3x3 max pooling by steps of 2, padded below and to the right as TensorFlow's SAME does."""
    h, w = x.shape[1:3]
    padded = np.pad(x, [(0, 0), (0, 1), (0, 1), (0, 0)], constant_values=-np.inf)
    shifts = [padded[:, i : i + h : 2, j : j + w : 2] for i in range(3) for j in range(3)]
    return np.max([s[:, : h // 2, : w // 2] for s in shifts if s.shape[1:3] == (h // 2, w // 2)], axis=0)


def norm(x, layer):
    gamma, beta, mean, variance = (value.numpy() for value in layer.weights)
    return (x - mean) / np.sqrt(variance + 0.001) * gamma + beta


def separable(x, layer):
    depthwise, pointwise, bias = (value.numpy() for value in layer.weights)
    h, w = x.shape[1:3]
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    total = sum(padded[:, i : i + h, j : j + w] * depthwise[i, j, :, 0] for i in range(3) for j in range(3))
    return total @ pointwise[0, 0] + bias


WEIGHTS = {
    "fast_attention": lambda w: np.maximum(w, 0) / (np.maximum(w, 0).sum() + 1e-4),
    "weighted_sum": lambda w: w,
    "attention": np.ones_like,  # the API's softmax over an axis of length 1
    "sum": np.ones_like,
}


@pytest.mark.parametrize("method", WEIGHTS)
def test_bifpn_computes_its_nodes_as_written_out_by_hand(method):
    from odflow.training.layers.convolutions import Convolutions
    from odflow.training.ssd.bifpn import Bifpn

    bifpn = Bifpn(BifpnShape(3, 5, 2, 6, method), 4, Convolutions(HYPERPARAMS))
    rng = np.random.default_rng(2)
    c3, c4 = rng.normal(size=(2, 8, 16, 5)).astype("f"), rng.normal(size=(2, 4, 8, 7)).astype("f")
    bifpn([c3, c4])
    randomize(bifpn.variables)
    blocks = iter(
        zip(bifpn.node_input_blocks, bifpn.node_combine_op, bifpn.node_post_combine_block, strict=True)
    )

    def lateral(block, x):
        kernel, bias = (value.numpy() for value in block[0].weights)
        return norm(x @ kernel[0, 0] + bias, block[1])

    def node(*inputs):
        """Each input: a map, or a map of the backbone and how it is resampled after its 1x1."""
        sources, combine, (_, convolve, normalize) = next(blocks)
        ready = [
            lateral(block, one[0]) if isinstance(one, tuple) else one
            for one, (_, block) in zip(inputs, sources, strict=True)
        ]
        given = [1.0] * len(ready) if method == "sum" else combine.per_input_weights.numpy()[:, 0]
        total = sum(x * w for x, w in zip(ready, WEIGHTS[method](np.array(given)), strict=True))
        return norm(separable(swish(total), convolve), normalize)

    [(_, first)], _, _ = next(blocks)
    p5 = down(lateral(first, c4))
    # Down and up, twice; the backbone's maps have a 1x1 convolution for each use.
    d4 = node((c4,), up(p5))
    d3 = node((c3,), up(d4))
    u4 = node((c4,), d4, down(d3))
    u5 = node(p5, down(u4))
    e4 = node(u4, up(u5))
    e3 = node(d3, up(e4))
    v4 = node(u4, e4, down(e3))
    v5 = node(u5, down(v4))
    for found, wanted in zip(bifpn([c3, c4]), (e3, v4, v5), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_batch_norms_and_dropped_blocks_follow_the_mode():
    model = extractor("efficientnet-b0", BifpnShape(3, 5, 1, 8))
    images = np.random.default_rng(1).normal(size=(2, 64, 64, 3)).astype("f")
    before = model(images, training=False)[0].numpy()
    model(images, training=True)
    assert np.abs(model(images, training=False)[0] - before).max() > 0  # running statistics moved
    moved = [v for v in model._bifpn_stage.variables if "moving_mean" in v.name and np.any(v.numpy())]
    assert len(moved) == len([v for v in model._bifpn_stage.variables if "moving_mean" in v.name])


# By the API's sample configs: the backbone, and the pyramid's iterations, filters and sums.
SAMPLES = {
    "d0_512x512_coco17_tpu-8": ("b0", 3, 64, "fast_attention"),
    "d1_640x640_coco17_tpu-8": ("b1", 4, 88, "fast_attention"),
    "d2_768x768_coco17_tpu-8": ("b2", 5, 112, "fast_attention"),
    "d3_896x896_coco17_tpu-32": ("b3", 6, 160, "fast_attention"),
    "d4_1024x1024_coco17_tpu-32": ("b4", 7, 224, "fast_attention"),
    "d5_1280x1280_coco17_tpu-32": ("b5", 7, 288, "fast_attention"),
    "d6_1408x1408_coco17_tpu-32": ("b6", 8, 384, "sum"),
    "d7_1536x1536_coco17_tpu-32": ("b6", 8, 384, "sum"),
}


def sample(shared, name):
    return read_pipeline_config(shared / f"odapi/configs/ssd_efficientdet_{name}.config")


@pytest.mark.parametrize(("name", "shape"), SAMPLES.items())
def test_sample_configs_are_translated(shared, name, shape):
    settings, coverage = translate(sample(shared, name), name)
    version, iterations, filters, method = shape
    extractor, side = settings.model.extractor, int(name.split("_")[1].split("x")[0])
    assert extractor.type == f"ssd_efficientnet-{version}_bifpn_keras"
    assert extractor.pyramid == BifpnShape(3, 7, iterations, filters, method)
    assert extractor.hyperparams.force_use_bias
    assert settings.model.resizer == Resizer(side, side, side)
    assert settings.model.class_slots == 90
    assert coverage.of("model.ssd.feature_extractor.bifpn.num_filters").state == "honoured"


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("feature_extractor.bifpn.combine_method", "mean", 'is "mean"; wanted: .*fast_attention'),
        ("feature_extractor.depth_multiplier", 0.5, "depth_multiplier is 0.5; wanted: 1.0"),
        ("image_resizer.keep_aspect_ratio_resizer.max_dimension", 520, "520x520; wanted: multiples of 128"),
    ],
)
def test_what_efficientdet_lacks_is_refused(shared, place, value, said):
    config = sample(shared, "d0_512x512_coco17_tpu-8")
    *parents, name = place.split(".")
    message = config.model.ssd
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, name, value)
    with pytest.raises(ConfigError, match=said):
        translate(config, "test.config")


def small(settings, side=128):
    resizer = Resizer(side, side, side)
    return dataclasses.replace(settings, model=dataclasses.replace(settings.model, resizer=resizer))


@pytest.mark.slow
@pytest.mark.parametrize("name", SAMPLES)
def test_sample_configs_build(shared, name):
    from odflow.training.architecture import architecture

    network = architecture(small(translate(sample(shared, name), name)[0])).build()
    maps, encodings, logits = network(tf.zeros([1, 128, 128, 3]))
    anchors = 9 * sum(side**2 for side in (16, 8, 4, 2, 1))
    assert (encodings.shape, logits.shape) == ((1, anchors, 4), (1, anchors, 90))
    assert len(maps) == 5
    if name.startswith("d0"):
        used = [network._feature_extractor._efficientnet, network._feature_extractor._bifpn_stage]
        used.append(network._box_predictor)
        count = sum(int(np.prod(v.shape)) for part in used for v in part.trainable_variables)
        assert round(count / 1e6, 1) == 3.9  # million, as EfficientDet's paper has it


@pytest.mark.slow
@pytest.mark.parametrize("name", list(SAMPLES)[:2])
def test_a_training_step_of_a_sample_config_lowers_its_loss(shared, name):
    from odflow.training.architecture import architecture
    from odflow.training.examples.augmentation import Sample
    from odflow.training.loop.optimizers import build_optimizer
    from odflow.training.loop.train_step import TrainStep

    settings = small(translate(sample(shared, name), name)[0])
    rate = LearningRate("constant", 0.01)
    optimizer = dataclasses.replace(settings.training.optimizer, learning_rate=rate, clip_norm=10.0)
    kind = architecture(settings)
    network = kind.build()
    image = np.random.default_rng(1).integers(0, 256, (128, 128, 3)).astype(np.uint8)
    boxes, classes = tf.constant([[0.2, 0.2, 0.7, 0.8]]), tf.constant([5], tf.int64)
    one = kind.targets(Sample(tf.constant(image), boxes, classes))
    inputs, labels = tf.nest.map_structure(lambda value: tf.stack([value, value]), one)
    step = tf.function(TrainStep(kind, network, build_optimizer(optimizer), network.trainable_variables))
    losses = [float(step(inputs, labels)["Loss/total_loss"]) for _ in range(6)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
