"""Which layers of the API's Keras backbones TF-Slim's scopes are.

Keras's checkpoints number the layers that have weights: ``layer_with_weights-0``, ...
"""

from __future__ import annotations

import re

Numbers = tuple[int, int]
"""The numbers of a convolution and of the batch norm after it."""

RESNET_UNITS = {"50": (3, 4, 6, 3), "101": (3, 4, 23, 3), "152": (3, 8, 36, 3)}
"""Units of each block of a ResNet, by its depth."""

BLOCKS_OF_FIRST_STAGE = 3
"""Faster R-CNN cuts a ResNet in two behind this block, and numbers the layers of both anew."""

V2_BLOCKS = 17
"""Blocks of MobileNet v2, three convolutions each (the first has two) after the very first one."""


def layer_numbers(scope: str, *, second_stage: bool = False) -> Numbers | None:
    """Find a scope's layers in a MobileNet v1 or v2 or a ResNet v1.

    Args:
        scope: of one convolution, beginning with the network's own (``resnet_v1_50/conv1``).
        second_stage: the network is the second half of Faster R-CNN's.

    Returns:
        None for any other scope.

    >>> layer_numbers("MobilenetV1/Conv2d_1_pointwise")
    (4, 5)
    """
    numbers = _mobilenet_v1(scope) or _mobilenet_v2(scope)
    return numbers or _resnet_v1(scope, BLOCKS_OF_FIRST_STAGE if second_stage else 0)


def _pair(convolutions_before: int) -> Numbers:
    return 2 * convolutions_before, 2 * convolutions_before + 1


def _mobilenet_v1(scope: str) -> Numbers | None:
    match = re.fullmatch(r"MobilenetV1/Conv2d_(\d+)(?:_(depthwise|pointwise))?", scope)
    if match is None:
        return None
    return _pair(2 * int(match[1]) - (match[2] == "depthwise"))


def _mobilenet_v2(scope: str) -> Numbers | None:
    if scope == "MobilenetV2/Conv":
        return _pair(0)
    if scope == "MobilenetV2/Conv_1":
        return _pair(3 * V2_BLOCKS)
    match = re.fullmatch(r"MobilenetV2/expanded_conv(?:_(\d+))?/(expand|depthwise|project)", scope)
    if match is None:
        return None
    return _pair(3 * int(match[1] or 0) + ("expand", "depthwise", "project").index(match[2]))


def _resnet_v1(scope: str, left_out: int) -> Numbers | None:
    """Keras numbers layers by their depth, so a shortcut stands beside the third convolution."""
    unit_layer = r"block([1-4])/unit_(\d+)/bottleneck_v1/(conv[123]|shortcut)"
    match = re.fullmatch(rf"resnet_v1_(50|101|152)/(?:conv1|{unit_layer})", scope)
    if match is None:
        return None
    if match[2] is None:
        return _pair(0)
    units, block, unit, layer = RESNET_UNITS[match[1]], int(match[2]), int(match[3]), match[4]
    before = 3 * (sum(units[left_out : block - 1]) + unit - 1) + (block - left_out - (unit == 1))
    first = 2 * (before + (left_out == 0))
    if layer == "shortcut":
        return first + 4, first + 6
    if unit == 1 and layer == "conv3":
        return first + 5, first + 7
    place = ("conv1", "conv2", "conv3").index(layer)
    return first + 2 * place, first + 2 * place + 1
