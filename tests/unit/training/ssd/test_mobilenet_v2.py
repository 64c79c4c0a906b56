"""MobileNet v2 against Keras's own, and where the API's differs from it."""

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.training.layers.convolutions import Convolutions  # noqa: E402
from odflow.training.settings import BatchNorm, Hyperparams, Initializer  # noqa: E402
from odflow.training.ssd.mobilenet_v2 import HYPERPARAMS, _top, mobilenet_v2  # noqa: E402
from odflow.training.ssd.settings import Extractor, FpnShape  # noqa: E402

OTHER = Hyperparams("relu", BatchNorm(0.5, 0.1), Initializer("random_normal", stddev=0.01))
KERAS = Extractor("ssd_mobilenet_v2_fpn_keras", OTHER, FpnShape(3, 7, 64), min_depth=0)


def backbone(**changes):
    return mobilenet_v2(dataclasses.replace(KERAS, **changes), Convolutions(OTHER))


def widths(network):
    return {layer.name: layer.output_shape[-1] for layer in network.layers}


@pytest.mark.parametrize("multiplier", [1.0, 0.5])
def test_the_network_is_kerass_own(multiplier):
    """Same layers in the same order, same maps from the same weights: but for the top below 1."""
    network = backbone(depth_multiplier=multiplier)
    keras = tf_keras.applications.MobileNetV2((None, None, 3), multiplier, include_top=False, weights=None)
    named = [
        (layer.name, [tuple(w.shape) for w in layer.weights]) for layer in network.layers if layer.weights
    ]
    wanted = [
        (layer.name, [tuple(w.shape) for w in layer.weights]) for layer in keras.layers if layer.weights
    ]
    below = len(wanted) if multiplier == 1.0 else -2
    assert named[:below] == wanted[:below]
    assert named[-1][1][0] == (1280 * multiplier,)
    rng = np.random.default_rng(2)
    for layer in keras.layers[:-3]:
        if layer.weights:
            values = [
                rng.uniform(0.5, 1.5, w.shape) * (0.1 if w.ndim == 4 else 1) for w in layer.get_weights()
            ]
            layer.set_weights(values)
            network.get_layer(layer.name).set_weights(values)
    image = tf.constant(rng.uniform(-1, 1, (1, 64, 96, 3)), tf.float32)
    for name in ("block_2_add", "block_16_project_BN"):
        one, other = (tf_keras.Model(of.input, of.get_layer(name).output)(image) for of in (network, keras))
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


@pytest.mark.parametrize(
    ("changes", "channels"),
    [
        ({"depth_multiplier": 0.35}, 448),
        ({"depth_multiplier": 1.4}, 1280),
        ({"depth_multiplier": 1.4, "separable": True}, 1280),
        ({"depth_multiplier": 1.4, "type": "ssd_mobilenet_v2_fpn"}, 1792),
        ({"depth_multiplier": 0.5, "type": "ssd_mobilenet_v2_fpn", "separable": True}, 128),
        ({"depth_multiplier": 0.5, "type": "ssd_mobilenet_v2", "separable": True, "pyramid": None}, 640),
    ],
    ids=str,
)
def test_the_top(changes, channels):
    """Keras's never grows, the API's shrinks; TF-Slim's follows the multiplier, and is thin in FPN-lite."""
    assert _top(dataclasses.replace(KERAS, **changes)) == channels


def test_no_layer_but_those_that_widen_falls_below_the_least_depth():
    found = widths(backbone(depth_multiplier=0.25, min_depth=24))
    assert found["Conv1"] == found["expanded_conv_project"] == found["block_3_project"] == 24
    assert found["block_1_expand"] == 6 * 24
    assert found["block_16_project"] == 80


def test_a_raised_block_loses_its_shortcut_in_keras_and_not_in_slim():
    """Keras compares with the channels before the least depth raises them; TF-Slim with those it has."""
    assert "block_2_add" not in widths(backbone(depth_multiplier=0.35, min_depth=16))
    assert "block_2_add" in widths(backbone(type="ssd_mobilenet_v2_fpn", depth_multiplier=0.35, min_depth=16))
    assert "block_2_add" in widths(backbone(depth_multiplier=0.35, min_depth=8))


@pytest.mark.parametrize(("override", "wanted"), [(False, HYPERPARAMS), (True, OTHER)])
def test_the_backbone_has_its_own_hyperparams_unless_the_config_overrides_them(override, wanted):
    network = backbone(override_hyperparams=override, depth_multiplier=0.25)
    norm = network.get_layer("block_1_expand_BN")
    assert (norm.momentum, norm.epsilon) == (wanted.batch_norm.momentum, wanted.batch_norm.epsilon)
    assert len(network.losses) == (52 if wanted.l2_weight else 0)  # every kernel, depthwise too, no norm
    assert all(not layer.use_bias for layer in network.layers if hasattr(layer, "use_bias"))


def test_explicit_padding_gives_maps_of_the_same_size():
    same, explicit = (backbone(explicit_padding=flag, depth_multiplier=0.25) for flag in (False, True))
    image = tf.zeros([1, 75, 96, 3])
    assert same(image).shape == explicit(image).shape == (1, 3, 3, 320)
    assert [w.shape for w in same.weights] == [w.shape for w in explicit.weights]


@pytest.mark.parametrize(
    ("kind", "override", "wanted"),
    [
        ("ssd_mobilenet_v2_fpn_keras", True, (4.0, 0.1, False)),
        ("ssd_mobilenet_v2_fpn", True, (1.0, 0.1, True)),
        ("ssd_mobilenet_v2", True, (1.0, 0.1, True)),
        ("ssd_mobilenet_v2_fpn_keras", False, (1.0, 0.001, True)),
        ("ssd_mobilenet_v2_fpn", False, (1.0, 0.001, True)),
    ],
)
def test_tf_slim_keeps_its_activation_and_scale_where_the_config_overrides(kind, override, wanted):
    """The definition of TF-Slim's network has them inside the scopes of the API's hyperparameters."""
    own = dataclasses.replace(OTHER, batch_norm=dataclasses.replace(OTHER.batch_norm, scale=False))
    settings = dataclasses.replace(KERAS, type=kind, hyperparams=own, override_hyperparams=override)
    network = mobilenet_v2(settings, Convolutions(own))
    norm = network.get_layer("bn_Conv1")
    highest = network.get_layer("Conv1_relu")(tf.constant([24.0])).numpy()[0] / 6.0
    assert (highest, norm.epsilon, norm.scale) == wanted
