"""Model Garden's names for the layers of a backbone, as the Object Detection API counts them.

Model Garden groups the layers of a MobileNet into blocks; the API has them in one
row. Both compute the same from the same arrays, layer by layer. A ResNet of Model
Garden has its stride in another convolution than the API's: same shapes, another
function. So it is not translated.
"""

from __future__ import annotations

import re
from collections.abc import Collection

CLASSIFIER = "feature_extractor/"

_BLOCK = re.compile(r"((?:model/)?_?backbone)/layer_with_weights-(\d+)/(.+)/(\w+)")
_ORDER = ("_conv0", "_dwconv0", "_norm0", "_conv1", "_norm1", "_conv2", "_norm2")
"""The layers inside a block of a MobileNet v1 or v2, in the order in which they run."""


def backbone(names: Collection[str]) -> dict[str, str]:
    """Translate the names of a MobileNet backbone.

    Args:
        names: all that a checkpoint holds.

    Returns:
        The API's name, such as ``feature_extractor/layer_with_weights-3/gamma``, to
        Model Garden's; empty when this is no MobileNet v1 or v2 of Model Garden.

    >>> names = ["backbone/layer_with_weights-0/_conv0/kernel", "backbone/layer_with_weights-0/_norm0/gamma"]
    >>> list(backbone(names))
    ['feature_extractor/layer_with_weights-0/kernel', 'feature_extractor/layer_with_weights-1/gamma']
    """
    ours = [name for name in names if re.match(r"(model/)?_?backbone/", name)]
    found = [_BLOCK.fullmatch(name) for name in ours]
    if not all(match and match[3] in _ORDER for match in found):
        return {}
    layers = sorted({(int(match[2]), _ORDER.index(match[3])) for match in found if match})
    number = {layer: i for i, layer in enumerate(layers)}
    return {
        f"{CLASSIFIER}layer_with_weights-{number[int(match[2]), _ORDER.index(match[3])]}/{match[4]}": match[0]
        for match in found
        if match
    }
