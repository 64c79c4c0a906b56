"""DeepLabV3 and DeepLabV3+ of Model Garden: a backbone, spatial pyramid pooling, a head.

The variables have Model Garden's names in a checkpoint (`backbone/...`, `decoder/...`, `head/...`),
so that its segmentation checkpoints fit. Source: official/vision/configs/semantic_segmentation.py.
"""

from __future__ import annotations

import math
from typing import Literal

import tensorflow as tf
import tf_keras

from odflow.training.model_garden.deeplab_config import DeepLabConfig

Part = Literal["last_layer", "head", "all"]
"""What is trained: the class layer, everything after the backbone, or all."""

_MULTIGRID = (1, 2, 4)  # dilation of the last three residual units, as DeepLab has it


class DeepLab(tf_keras.Model):
    """Images to logits.

    Attributes:
        backbone: features at several strides.
        decoder: the spatial pyramid pooling.
        head: what follows, up to the class layer.
    """

    def __init__(self, parts: tf_keras.Model) -> None:
        """Take backbone, decoder and head of a segmentation model of Model Garden."""
        super().__init__(name="deeplab")
        self.backbone, self.decoder, self.head = parts.backbone, parts.decoder, parts.head

    def call(self, images: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Run the network.

        Args:
            images: (N, height, width, 3) float, normalised as the backbone's weights want it: Model
                Garden's with ImageNet's mean and deviation. Any size.
            training: whether batch norms use the batch, and features are dropped.

        Returns:
            Logits (N, h, w, num_classes) in the stride of the config, for V3+ in stride 4.
        """
        # Not every part takes `training`; Keras hands it on to the layers that do.
        features = self.backbone(images)
        return self.head((features, self.decoder(features)))

    @property
    def class_layer(self) -> tf_keras.layers.Layer:
        """The last convolution, whose channels are the classes."""
        return self.head._classifier

    def train_only(self, part: Part) -> None:
        """Freeze everything else: its weights stand still, and its batch norms use and keep their moments.

        A layer that is not trainable leaves its moments alone even in training; the variables alone
        would not.
        """
        self.backbone.trainable = part == "all"
        self.decoder.trainable = part != "last_layer"
        layers = (one for one in self.head.submodules if isinstance(one, tf_keras.layers.Layer))
        for layer in layers:
            layer.trainable = part != "last_layer" or layer is self.class_layer


def build_deeplab(config: DeepLabConfig) -> DeepLab:
    """Build a DeepLab with fresh weights.

    Raises:
        ValueError: an output stride that is none of 8, 16 and 32, or fewer than two classes.
    """
    from official.vision.modeling import factory

    if config.output_stride not in (8, 16, 32):
        raise ValueError(f"output_stride is {config.output_stride}; wanted 8, 16 or 32")
    if config.num_classes < 2:
        raise ValueError(f"num_classes is {config.num_classes}; wanted 2 or more")
    parts = factory.build_segmentation_model(
        tf_keras.layers.InputSpec(shape=[None, None, None, 3]),
        _model_config(config),
        # Keras' L2 is w**2, Model Garden's decay is of tf.nn.l2_loss, which is half of that.
        tf_keras.regularizers.L2(config.weight_decay / 2) if config.weight_decay else None,
    )
    network = DeepLab(parts)
    side = 2 * config.output_stride
    network(tf.zeros([1, side, side, 3]))  # the head makes its variables when it first sees features
    return network


def _model_config(config: DeepLabConfig) -> object:
    from official.vision.configs import common, decoders
    from official.vision.configs import semantic_segmentation as segmentation

    level = int(math.log2(config.output_stride))
    return segmentation.SemanticSegmentationModel(
        num_classes=config.num_classes,
        input_size=[None, None, 3],
        backbone=_backbone_config(config),
        decoder=decoders.Decoder(
            type="aspp",
            aspp=decoders.ASPP(
                level=level,
                dilation_rates=list(config.dilation_rates),
                num_filters=config.filters,
                dropout_rate=config.dropout,
            ),
        ),
        head=_head_config(config, level),
        norm_activation=common.NormActivation(
            activation="relu",
            use_sync_bn=False,
            norm_momentum=config.batch_norm_momentum,
            norm_epsilon=1e-3,
        ),
    )


def _backbone_config(config: DeepLabConfig) -> object:
    from official.vision.configs import backbones

    kind, _, model_id = config.backbone.partition("/")
    if kind == "mobilenet":
        mobilenet = backbones.MobileNet(
            model_id=model_id,
            filter_size_scale=config.width,
            output_stride=config.output_stride,
            output_intermediate_endpoints=config.plus,  # else it keeps the features of stride 4 to itself
        )
        return backbones.Backbone(type=kind, mobilenet=mobilenet)
    resnet = backbones.DilatedResNet(
        model_id=int(model_id),
        output_stride=config.output_stride,
        multigrid=list(_MULTIGRID),
        stem_type="v1",
    )
    return backbones.Backbone(type=kind, dilated_resnet=resnet)


def _head_config(config: DeepLabConfig, level: int) -> object:
    from official.vision.configs import semantic_segmentation as segmentation

    if not config.plus:
        return segmentation.SegmentationHead(level=level, num_convs=0)
    return segmentation.SegmentationHead(
        level=level,
        num_convs=2,
        num_filters=config.filters,
        feature_fusion="deeplabv3plus",
        use_depthwise_convolution=config.backbone.startswith("mobilenet/"),
        low_level="2/depthwise" if config.backbone == "mobilenet/MobileNetV2" else 2,
        low_level_num_filters=48,
    )
