"""Build the detector out of Model Garden's parts."""

from __future__ import annotations

import tensorflow as tf
import tf_keras
from official.vision.configs import backbones, common, decoders, retinanet
from official.vision.modeling import factory

# Imported for what they register with the factories that `build_retinanet` uses.
from official.vision.modeling.backbones import mobilenet, resnet  # noqa: F401
from official.vision.modeling.backbones.factory import build_backbone
from official.vision.modeling.decoders import fpn  # noqa: F401

from odflow.training.ssd.settings import Extractor, SsdModel

MOBILENETS = {"mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2"}
RESNETS = {"resnet50": 50, "resnet101": 101, "resnet152": 152}


def build_network(model: SsdModel) -> tf_keras.Model:
    """Build a RetinaNet with fresh weights.

    Args:
        model: what to build.

    Returns:
        Model Garden's RetinaNetModel; class channel 0 is the background slot.
    """
    config = retinanet_config(model)
    regularizer = _regularizer(model.hyperparams.l2_weight)
    specs = tf_keras.layers.InputSpec(shape=[None, *_input_size(model)])
    network = factory.build_retinanet(
        input_specs=specs,
        model_config=config,
        l2_regularizer=regularizer,
        backbone=_backbone(config, specs, regularizer),
        num_anchors_per_location=model.anchors.per_location,
    )
    _set_class_bias(network, model.predictor.class_bias)
    return network


def predict(network: tf_keras.Model, inputs: tf.Tensor, model: SsdModel) -> tuple[tf.Tensor, tf.Tensor]:
    """Run the network without training it.

    Args:
        network: from `build_network`.
        inputs: (N, H, W, 3) float32, preprocessed.
        model: what the network was built from.

    Returns:
        encodings: (N, anchors, 4) float32: encoded y x height width.
        logits: (N, anchors, num_classes + 1) float32; slot 0 is the background.
    """
    features = network.decoder(network.backbone(inputs, training=False), training=False)
    classes, boxes, _ = network.head(features)
    return flatten(boxes, 4), flatten(classes, model.num_classes + 1)


def flatten(levels: dict[str, tf.Tensor], channels: int) -> tf.Tensor:
    """Join the maps of all levels, finest first.

    Args:
        levels: level name to (N, h, w, anchors * channels).
        channels: numbers for each anchor.

    Returns:
        (N, all anchors, channels), in the order of `MultiscaleAnchors.boxes`.
    """
    maps = [levels[level] for level in sorted(levels, key=int)]
    batch = tf.shape(maps[0])[0]
    return tf.concat([tf.reshape(part, [batch, -1, channels]) for part in maps], axis=1)


def retinanet_config(model: SsdModel) -> retinanet.RetinaNet:
    """Say the detector in Model Garden's own words."""
    extractor, predictor, hyperparams = model.extractor, model.predictor, model.hyperparams
    return retinanet.RetinaNet(
        num_classes=model.num_classes + 1,
        input_size=_input_size(model),
        min_level=extractor.min_level,
        max_level=extractor.max_level,
        anchor=retinanet.Anchor(
            num_scales=model.anchors.scales_per_octave,
            aspect_ratios=list(model.anchors.aspect_ratios),
            anchor_size=model.anchors.anchor_scale,
        ),
        backbone=_backbone_config(extractor),
        decoder=decoders.Decoder(
            type="fpn",
            fpn=decoders.FPN(num_filters=extractor.pyramid_filters, use_separable_conv=extractor.separable),
        ),
        head=retinanet.RetinaNetHead(
            num_convs=predictor.convolutions,
            num_filters=predictor.filters,
            use_separable_conv=predictor.separable,
        ),
        norm_activation=common.NormActivation(
            activation=hyperparams.activation,
            use_sync_bn=False,
            norm_momentum=hyperparams.batch_norm.momentum if hyperparams.batch_norm else 0.997,
            norm_epsilon=hyperparams.batch_norm.epsilon if hyperparams.batch_norm else 0.001,
        ),
    )


def _backbone(
    config: retinanet.RetinaNet,
    specs: tf_keras.layers.InputSpec,
    regularizer: tf_keras.regularizers.Regularizer | None,
) -> tf_keras.Model:
    """The backbone without what only its classifier needs, which no loss would reach.

    The layers that go are the last ones: checkpoints of the whole backbone still fit.
    """
    whole = build_backbone(specs, config.backbone, config.norm_activation, regularizer)
    levels = {level: whole.output[level] for level in whole.output_specs}
    trimmed = tf_keras.Model(whole.inputs, levels, name=whole.name)
    trimmed.output_specs = whole.output_specs
    return trimmed


def _backbone_config(extractor: Extractor) -> backbones.Backbone:
    if extractor.backbone in MOBILENETS:
        config = backbones.MobileNet(
            model_id=MOBILENETS[extractor.backbone], filter_size_scale=extractor.depth_multiplier
        )
        return backbones.Backbone(type="mobilenet", mobilenet=config)
    return backbones.Backbone(type="resnet", resnet=backbones.ResNet(model_id=RESNETS[extractor.backbone]))


def _input_size(model: SsdModel) -> list[int]:
    return [model.resizer.height, model.resizer.width, 3]


def _regularizer(weight: float) -> tf_keras.regularizers.Regularizer | None:
    """Keras's L2 is twice TensorFlow's `l2_loss`, which the API uses."""
    return tf_keras.regularizers.l2(weight / 2.0) if weight else None


def _set_class_bias(network: tf_keras.Model, bias: float) -> None:
    """Model Garden always starts the class bias at -4.595; the config has its own value."""
    classifier = network.head._classifier
    for layer in classifier if isinstance(classifier, list) else [classifier]:
        layer.bias.assign(tf.fill(layer.bias.shape, bias))
