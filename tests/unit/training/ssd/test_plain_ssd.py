"""Plain SSDs and MobileNet v1: against Keras's own MobileNet, a real checkpoint, and arithmetic."""

from dataclasses import replace

import numpy as np
import pytest

from odflow.odapi.tf1_names import aligned, canonical_names
from odflow.ops.anchors import SsdAnchors, even_scales
from odflow.training.settings import BatchNorm, Hyperparams, Resizer
from odflow.training.ssd.settings import ConvolutionalPredictor, Extractor, FpnShape

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

HYPERPARAMS = Hyperparams("relu6", BatchNorm(0.97, 0.001))
EXTRACTOR = Extractor("ssd_mobilenet_v1", HYPERPARAMS, None, depth_multiplier=0.25, min_depth=8)
NORMS = ("gamma", "beta", "moving_mean", "moving_variance")


def backbone(extractor=EXTRACTOR, changed=None):
    from odflow.training.layers.convolutions import Convolutions
    from odflow.training.ssd.mobilenet_v1 import mobilenet_v1

    return mobilenet_v1(extractor, Convolutions(extractor.hyperparams), changed)


def built(extractor):
    from odflow.training.layers.convolutions import Convolutions
    from odflow.training.ssd.extractors import EXTRACTORS

    return EXTRACTORS[extractor.type](extractor, Convolutions(extractor.hyperparams))


def network_of(model, extractor=EXTRACTOR, predictor=None, resizer=None):
    """A whole small network, with the anchors of the SSD paper."""
    from odflow.training.ssd.network import build_network

    maps = len(extractor.levels)
    changed = replace(
        model,
        extractor=extractor,
        predictor=predictor or ConvolutionalPredictor(HYPERPARAMS),
        anchors=SsdAnchors(even_scales(maps, 0.2, 0.95)),
        resizer=resizer or Resizer(64, 96),
    )
    return changed, build_network(changed)


def keys_of(network):
    from odflow.training.checkpoints import variables_by_name

    return set(variables_by_name(network))


def slim(scope, kernel="weights", norm=True):
    return (
        [f"{scope}/{kernel}"]
        + [f"{scope}/BatchNorm/{one}" for one in NORMS if norm]
        + ([] if norm else [f"{scope}/biases"])
    )


@pytest.mark.parametrize("multiplier", [1.0, 0.25])
def test_the_backbone_computes_what_kerass_own_mobilenet_computes(multiplier):
    oracle = tf_keras.applications.MobileNet(
        (64, 64, 3), alpha=multiplier, include_top=False, weights=None, pooling=None
    )
    rng = np.random.default_rng(3)
    ours = backbone(replace(EXTRACTOR, depth_multiplier=multiplier))
    for layer in oracle.layers:
        values = [rng.uniform(0.1, 1.0, value.shape) / 3 for value in layer.get_weights()]
        layer.set_weights(values)
        if values:
            ours.get_layer(layer.name).set_weights(values)
    images = rng.uniform(-1, 1, (2, 64, 64, 3)).astype(np.float32)
    wanted = oracle(images, training=False).numpy()
    np.testing.assert_allclose(ours(images, training=False), wanted, atol=1e-4 * np.abs(wanted).max())


def test_the_apis_keras_type_squares_the_multiplier_and_tensorflow_1s_does_not():
    def channels(kind):
        extractor = replace(EXTRACTOR, type=kind, depth_multiplier=0.75, min_depth=16)
        network = backbone(extractor)
        return [network.get_layer(name).filters for name in ("conv1", "conv_pw_1", "conv_pw_13")]

    assert channels("ssd_mobilenet_v1") == [24, 48, 768]
    assert channels("ssd_mobilenet_v1_keras") == [18, 36, 576]


def test_the_last_blocks_under_a_separable_pyramid_are_slender():
    shape = FpnShape(3, 7, 64)
    extractor = replace(
        EXTRACTOR, type="ssd_mobilenet_v1_fpn_keras", pyramid=shape, separable=True, depth_multiplier=1.0
    )
    whole = built(replace(extractor, separable=False)).classification_backbone
    slender = built(extractor).classification_backbone
    assert [whole.get_layer(f"conv_pw_{block}").filters for block in (11, 12, 13)] == [512, 1024, 1024]
    assert [slender.get_layer(f"conv_pw_{block}").filters for block in (11, 12, 13)] == [512, 512, 256]
    maps = built(extractor)(tf.zeros((1, 128, 64, 3)))
    assert [tuple(one.shape[1:]) for one in maps] == [
        (16, 8, 64),
        (8, 4, 64),
        (4, 2, 64),
        (2, 1, 64),
        (1, 1, 64),
    ]


@pytest.mark.parametrize(
    ("kind", "explicit", "first"),
    [
        ("ssd_mobilenet_v1", False, [512, 1024]),
        ("ssd_mobilenet_v1", True, [512, 1024]),
        ("ssd_mobilenet_v2_keras", True, [576, 1280]),
    ],
)
def test_a_300_pixel_image_has_the_papers_maps(kind, explicit, first):
    extractor = replace(EXTRACTOR, type=kind, depth_multiplier=1.0, min_depth=16, explicit_padding=explicit)
    maps = built(extractor)(tf_keras.Input((300, 300, 3)))
    assert [tuple(one.shape[1:3]) for one in maps] == [(side, side) for side in (19, 10, 5, 3, 2, 1)]
    assert [one.shape[3] for one in maps] == [*first, 512, 256, 256, 128]


def test_explicit_padding_pads_both_sides_alike():
    """Keras and TensorFlow pad an even map on its lower right alone."""
    network = backbone(replace(EXTRACTOR, explicit_padding=True))
    images = np.random.default_rng(4).uniform(-1, 1, (1, 32, 32, 3)).astype(np.float32)
    first = tf_keras.Model(network.inputs, network.get_layer("conv1").output)
    kernel = network.get_layer("conv1").get_weights()[0]
    wanted = tf.nn.conv2d(images, kernel, 2, [[0, 0], [1, 1], [1, 1], [0, 0]])
    np.testing.assert_allclose(first(images), wanted, atol=1e-5)


def test_fewer_maps_where_the_config_has_fewer_layers():
    assert len(built(replace(EXTRACTOR, num_layers=4))(tf.zeros((1, 64, 64, 3)))) == 4


def test_pad_to_multiple_widens_the_input(model):
    changed, network = network_of(model, replace(EXTRACTOR, pad_to_multiple=32), resizer=Resizer(70, 96))
    maps, encodings, logits = network(tf.zeros((2, 70, 96, 3)))
    assert tuple(maps[0].shape) == (2, 6, 6, 128)
    assert len(changed.anchor_boxes()) == encodings.shape[1] == logits.shape[1]


def test_parity_of_names_with_a_tensorflow_1_checkpoint_of_the_api(shared):
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training.architecture import architecture
    from odflow.training.checkpoints import variables_by_name
    from odflow.training.translation import translate

    folder = shared / "models/ssd_mobilenet_v1_coco"
    listed = dict(tf.train.list_variables(str(folder / "model.ckpt")))
    keys = canonical_names(listed)
    settings, _ = translate(read_pipeline_config(folder / "pipeline.config"), "pipeline.config")
    network = architecture(settings).build()
    ours = {name: list(variable.shape) for name, variable in variables_by_name(network).items()}
    assert ours == {keys[name]: shape for name, shape in listed.items() if name in keys}


def test_dropout_padding_and_depthwise_layers_keep_the_places_that_the_api_gives_them(model):
    extractor = replace(
        EXTRACTOR, type="ssd_mobilenet_v2", separable=True, explicit_padding=True, depth_multiplier=0.35
    )
    predictor = ConvolutionalPredictor(
        HYPERPARAMS, convolutions=2, min_depth=0, max_depth=24, kernel_size=3, separable=True, dropout=0.2
    )
    keys = keys_of(network_of(model, extractor, predictor)[1])
    wanted = []
    for level in range(6):
        for layer in range(2):
            wanted += slim(f"BoxPredictor_{level}/Conv2d_{layer}_1x1_24")
        for head in ("BoxEncodingPredictor", "ClassPredictor"):
            wanted += slim(f"BoxPredictor_{level}/{head}_depthwise", "depthwise_weights")
            wanted += slim(f"BoxPredictor_{level}/{head}", norm=False)
    for level in range(2, 6):
        root = "FeatureExtractor/MobilenetV2/layer_19"
        wanted += slim(f"{root}_1_Conv2d_{level}_1x1_64")
        wanted += slim(f"{root}_2_Conv2d_{level}_3x3_s2_128_depthwise", "depthwise_weights")
        wanted += slim(f"{root}_2_Conv2d_{level}_3x3_s2_128")
    named = canonical_names(wanted)
    assert len(named) == len(wanted)
    found = set(aligned(named.values(), keys).values())
    assert found == {key for key in keys if "classification_backbone" not in key}
    root = (
        "model/_box_predictor/_prediction_heads/class_predictions_with_background/0/_class_predictor_layers"
    )
    assert f"{root}/1/depthwise_kernel" in keys  # dropout is layer 0
    assert "model/_feature_extractor/feature_map_generator/convolutions/2/4/depthwise_kernel" in keys


def test_names_that_patterns_match_are_the_api_s_whatever_was_built_before(model):
    from odflow.training.checkpoints import variables_by_name

    predictor = ConvolutionalPredictor(HYPERPARAMS, convolutions=1, max_depth=24)
    heads = "model/_box_predictor/_prediction_heads/"
    wanted = {
        f"{heads}box_encodings/2/_box_encoder_layers/0/bias": (
            "BoxPredictor/ConvolutionalBoxHead_2/BoxEncodingPredictor/bias:0"
        ),
        f"{heads}class_predictions_with_background/5/_class_predictor_layers/0/kernel": (
            "BoxPredictor/ConvolutionalClassHead_5/ClassPredictor/kernel:0"
        ),
        "model/_box_predictor/_shared_nets/0/0/kernel": (
            "BoxPredictor/SharedConvolutions_0/Conv2d_0_1x1_24/kernel:0"
        ),
    }
    for _ in range(2):
        named = {
            key: variable.name
            for key, variable in variables_by_name(network_of(model, predictor=predictor)[1]).items()
        }
        assert {key: named[key] for key in wanted} == wanted


def test_a_dropout_that_drops_nothing_counts_in_checkpoints_as_in_the_api(model):
    keys = keys_of(network_of(model, predictor=ConvolutionalPredictor(HYPERPARAMS, dropout=0.0))[1])
    root = "model/_box_predictor/_prediction_heads/class_predictions_with_background/0"
    assert f"{root}/_class_predictor_layers/1/kernel" in keys


def test_the_layers_before_a_prediction_stay_within_the_configs_limits(model):
    predictor = ConvolutionalPredictor(HYPERPARAMS, convolutions=1, min_depth=40, max_depth=100)
    network = network_of(model, predictor=predictor)[1]
    nets = network._box_predictor._shared_nets
    maps = [128, 256, 128, 64, 64, 32]
    assert [net[0].filters for net in nets] == [max(min(depth, 100), 40) for depth in maps]
    without = network_of(model, predictor=replace(predictor, min_depth=0, max_depth=0))[1]
    assert [len(net) for net in without._box_predictor._shared_nets] == [0] * 6


def test_predictions_come_anchor_by_anchor(model):
    """A head's channels are the numbers of the first anchor of a place, then those of the second."""
    predictor = ConvolutionalPredictor(HYPERPARAMS, class_bias=-4.6, encodings_range=(-1.0, 1.0))
    changed, network = network_of(model, predictor=predictor)
    heads = network._box_predictor._prediction_heads
    bias = np.arange(12.0) / 8 - 0.5  # three anchors on the finest map
    heads["box_encodings"][0]._box_encoder_layers[0].bias.assign(bias)
    _, encodings, logits = network(tf.zeros((1, 64, 96, 3)))
    assert tuple(logits.shape) == (1, len(changed.anchor_boxes()), 3)
    # Fresh batch norms give zeros for a black image's zeros: only the biases are left.
    np.testing.assert_allclose(encodings[0, :3].numpy().ravel(), np.clip(bias, -1, 1), atol=1e-6)
    np.testing.assert_allclose(logits, -4.6, atol=1e-6)


@pytest.mark.parametrize("kind", ["ssd_mobilenet_v1_keras", "ssd_mobilenet_v2"])
def test_every_weight_learns(model, kind):
    _, network = network_of(model, replace(EXTRACTOR, type=kind))
    images = tf.random.stateless_uniform((2, 64, 96, 3), (1, 2), -1.0, 1.0)
    with tf.GradientTape() as tape:
        _, encodings, logits = network(images, training=True)
        loss = tf.reduce_sum(tf.square(encodings)) + tf.reduce_sum(tf.square(logits))
    gradients = tape.gradient(loss, network.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
