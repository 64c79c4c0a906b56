"""Tell from names and shapes alone which detector a set of weights belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

Shapes = Mapping[str, tuple[int, ...]]

RESNETS = {50: range(49, 56), 101: range(100, 107), 152: range(151, 158)}
"""Convolutions of a ResNet by its depth: with or without the 4 shortcuts' and the top."""

EFFICIENTNETS = {
    (16, 32): "B0",
    (23, 32): "B1 or B2",
    (26, 40): "B3",
    (32, 48): "B4",
    (39, 48): "B5",
    (45, 56): "B6",
    (55, 64): "B7",
}
"""Depthwise convolutions, and channels of the first convolution."""

MOBILENET_V1 = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024)
"""Channels that each depthwise convolution sees: a frozen graph may end before the last ones."""

META = (
    ("_feature_extractor_for_proposal_features/", "Faster R-CNN"),
    ("_mask_rcnn_box_predictor/", "Faster R-CNN"),
    ("FirstStageFeatureExtractor/", "Faster R-CNN"),
    ("_prediction_head_dict/", "CenterNet"),
    ("_box_predictor/", "SSD"),
    ("BoxPredictor", "SSD"),
)
"""What a part of a name tells of the kind of detector; the first that is found counts."""


def looks_like(shapes: Shapes) -> str:
    """Say which detector variables belong to.

    Args:
        shapes: canonical names (others do, as far as they tell anything) to shapes.

    Returns:
        ``SSD with MobileNet v1, depth multiplier 0.75``, for example; where nothing is
        known, what the names begin with.
    """
    meta = next((kind for part, kind in META if any(part in name for name in shapes)), "")
    backbone = _backbone(shapes)
    if not backbone:
        return meta or f"none that odflow knows (its names begin with {_roots(shapes)})"
    return f"{meta} with {backbone}" if meta else f"a classifier, {backbone}"


def _backbone(shapes: Shapes) -> str:
    if any("hourglass" in name.lower() for name in shapes):
        return "Hourglass"
    kernels = dict(_backbone_kernels(shapes))
    stem = next((shape for shape in kernels.values() if len(shape) == 4 and shape[2] == 3), None)
    depthwise = [shape for shape in kernels.values() if len(shape) == 4 and shape[2] > 1 and shape[3] == 1]
    if stem is None:
        return ""
    if depthwise:
        return _mobile(kernels, stem, depthwise)
    depth = next((depth for depth, counts in RESNETS.items() if len(kernels) in counts), None)
    return f"ResNet {depth}" if stem[:2] == (7, 7) and depth else ""


def _backbone_kernels(shapes: Shapes) -> Iterable[tuple[str, tuple[int, ...]]]:
    """The convolutions in the order of their layers; those of pyramids and predictors left out."""
    numbered = []
    for name, shape in shapes.items():
        layer = re.search(r"(.*?)layer_with_weights-(\d+)/(?:(.*)/)?(\w*kernel)$", name)
        if layer and len(shape) == 4 and not re.search("_box_predictor/|decoder/|head/|_fpn", name):
            numbered.append((_stage(layer[1]), int(layer[2]), layer[3] or "", name, shape))
    return [(name, shape) for *_, name, shape in sorted(numbered)]


def _stage(prefix: str) -> int:
    """The second half of a backbone that Faster R-CNN cut in two comes after the first."""
    return int("box_classifier" in prefix)


def _mobile(kernels: Shapes, stem: tuple[int, ...], depthwise: Sequence[tuple[int, ...]]) -> str:
    if any(shape[0] == 5 for shape in depthwise):
        return f"EfficientNet {EFFICIENTNETS.get((len(depthwise), stem[3]), '')}".rstrip()
    # v1 widens after its first depthwise convolution, v2 goes through a narrow bottleneck.
    order = list(kernels.values())
    after = next((shape for shape in order[order.index(depthwise[0]) + 1 :] if shape[:2] == (1, 1)), None)
    if after is None:
        return ""
    kind = "v1" if after[3] > after[2] else "v2"
    # The channels of the last block carry the multiplier unrounded (the first ones are rounded to 8).
    whole = MOBILENET_V1[min(len(depthwise), len(MOBILENET_V1)) - 1] if kind == "v1" else 960
    return f"MobileNet {kind}, depth multiplier {depthwise[-1][2] / whole:.2g}"


def _roots(names: Iterable[str]) -> str:
    roots = sorted({"/".join(name.split("/")[:2]) for name in names})
    return ", ".join(roots[:5]) + (f" and {len(roots) - 5} more" if len(roots) > 5 else "")
