"""EfficientDet's bidirectional feature pyramid, as the Object Detection API builds it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf
import tf_keras

from odflow.training.layers.convolutions import Convolutions, apply, initializer, regularizer
from odflow.training.ssd.settings import BifpnShape


@dataclass(frozen=True)
class Node:
    """One feature map of the pyramid.

    Attributes:
        name: as in the API, ``{iteration}_{dn|up}_lvl_{level}``.
        level: its cells are 2^level pixels wide.
        inputs: indices of the maps it is made of; the backbone's maps come first.
    """

    name: str
    level: int
    inputs: tuple[int, ...]


def bifpn_nodes(shape: BifpnShape, backbone_level: int) -> list[Node]:
    """List the maps of a pyramid in the order in which they are computed.

    Args:
        shape: of the pyramid.
        backbone_level: the coarsest level that the backbone gives.

    Returns:
        The backbone's maps (without inputs), then the nodes; the last ones, one for
        each level from the finest on, are the pyramid's outputs.
    """
    min_level, max_level = shape.min_level, shape.max_level
    nodes = [Node(f"0_up_lvl_{level}", level, ()) for level in range(min_level, backbone_level + 1)]
    index = {node.name: i for i, node in enumerate(nodes)}

    def add(name: str, level: int, *inputs: str) -> None:
        index[name] = len(nodes)
        nodes.append(Node(name, level, tuple(index[one] for one in inputs)))

    for level in range(backbone_level + 1, max_level + 1):
        add(f"0_up_lvl_{level}", level, f"0_up_lvl_{level - 1}")
    for now in range(1, shape.iterations + 1):
        before = now - 1
        for level in reversed(range(min_level, max_level)):
            # The finest level is computed on the way down only, so its last map is a "dn".
            way = "dn" if level == min_level and before else "up"
            add(f"{now}_dn_lvl_{level}", level, f"{before}_{way}_lvl_{level}", nodes[-1].name)
        for level in range(min_level + 1, max_level + 1):
            own = [f"{now}_dn_lvl_{level}"] if level < max_level else []
            add(f"{now}_up_lvl_{level}", level, f"{before}_up_lvl_{level}", *own, nodes[-1].name)
    return nodes


class Combine(tf_keras.layers.Layer):
    """Adds maps of one shape, each with a weight of its own that is trained."""

    def __init__(self, method: str, name: str) -> None:
        super().__init__(name=name)
        self.method = method

    def build(self, input_shape: Sequence[tf.TensorShape]) -> None:
        """Make the weights, all 1 at first; `sum` has none."""
        if self.method != "sum":
            self.per_input_weights = self.add_weight(
                name="bifpn_combine_weights", shape=(len(input_shape), 1), initializer="ones"
            )
        super().build(input_shape)

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        """The weighted sum, of the shape of each input."""
        if self.method == "sum":
            return tf.add_n(inputs)
        weights = tf.unstack(self._normalised(), axis=0)
        return tf.add_n([one * weight for one, weight in zip(inputs, weights, strict=True)])

    def _normalised(self) -> tf.Tensor:
        if self.method == "fast_attention":
            positive = tf.nn.relu(self.per_input_weights)
            return positive / (tf.reduce_sum(positive) + 0.0001)
        if self.method == "attention":
            # The API takes the softmax over the axis of length 1: every weight is 1.
            return tf.nn.softmax(self.per_input_weights)
        return self.per_input_weights


class Bifpn(tf_keras.Model):
    """The pyramid; attributes and their order are those of the API's checkpoints."""

    def __init__(self, shape: BifpnShape, backbone_level: int, layers: Convolutions) -> None:
        """Make the layers.

        Args:
            shape: of the pyramid.
            backbone_level: the coarsest level that the backbone gives.
            layers: makes the convolutions.
        """
        super().__init__(name="bifpn")
        nodes, filters, method = bifpn_nodes(shape, backbone_level), shape.filters, shape.combine_method
        self._levels = shape.max_level - shape.min_level + 1
        self.node_input_blocks = []
        self.node_combine_op = []
        self.node_post_combine_block = []
        for node in nodes:
            if not node.inputs:
                continue
            combines = len(node.inputs) > 1
            sources = [(i, _resample(node, nodes[i], filters, layers)) for i in node.inputs]
            self.node_input_blocks.append(sources)
            self.node_combine_op.append(Combine(method, f"{node.name}/combine") if combines else None)
            self.node_post_combine_block.append(_smooth(node, filters, layers) if combines else [])

    def call(self, features: Sequence[tf.Tensor], training: bool | None = None) -> list[tf.Tensor]:
        """Compute the pyramid.

        Args:
            features: the backbone's maps, finest first, (N, h, w, channels); each
                half as high and wide as the one before.
            training: whether batch norms see the batch.

        Returns:
            One map a level, finest first, (N, h, w, filters).
        """
        maps = list(features)
        blocks = zip(self.node_input_blocks, self.node_combine_op, self.node_post_combine_block, strict=True)
        for node, (sources, combine, smooth) in enumerate(blocks):
            with tf.name_scope(f"node_{node:02d}"):
                inputs = [apply(block, maps[i], training) for i, block in sources]
                maps.append(apply(smooth, combine(inputs) if combine else inputs[0], training))
        return maps[-self._levels :]


def _resample(node: Node, source: Node, filters: int, layers: Convolutions) -> list[tf_keras.layers.Layer]:
    """What brings a source to the channels and the level of a node."""
    name = f"{node.name}/input_{source.name}/"
    block = []
    if not source.inputs:  # the backbone's maps have other channels
        before = f"{name}1x1_pre_sample/"
        block = [layers.conv2d(filters, 1, f"{before}conv"), layers.batch_norm(f"{before}batchnorm")]
    if source.level < node.level:
        block.append(tf_keras.layers.MaxPooling2D(3, 2, "same", name=f"{name}downsample_max_x2"))
    elif source.level > node.level:
        block.append(tf_keras.layers.UpSampling2D(2, name=f"{name}nearest_neighbor_upsampling_x2"))
    return block


def _smooth(node: Node, filters: int, layers: Convolutions) -> list[tf_keras.layers.Layer]:
    """What follows a sum: activation, separable convolution, batch norm."""
    name = f"{node.name}/post_combine/"
    # Unlike elsewhere in the API, the hyperparameters hold for the 1x1 kernel, too.
    pointwise = {"pointwise_regularizer": regularizer(layers.hyperparams)}
    if layers.hyperparams.initializer is not None:
        pointwise["pointwise_initializer"] = initializer(layers.hyperparams.initializer)
    return [
        layers.activation(f"{name}activation"),
        layers.separable(filters, 3, f"{name}separable_conv", **pointwise),
        layers.batch_norm(f"{name}batchnorm"),
    ]
