"""What the variables of TensorFlow 1 checkpoints are called in the API's TensorFlow 2 checkpoints.

TF-Slim names a variable by its scope (``FeatureExtractor/MobilenetV1/Conv2d_0/weights``), Keras by
the place of its layer (``model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from odflow.odapi.tf1_backbones import layer_numbers

VARIABLE = re.compile(
    r"(?P<scope>.+?)/(?:"
    r"(?P<kernel>weights|depthwise_weights|pointwise_weights|biases)"
    r"|BatchNorm/(?:feature_(?P<level>\d+)/)?(?P<norm>gamma|beta|moving_mean|moving_variance))"
)
ATTRIBUTES = {
    "weights": "kernel",
    "depthwise_weights": "depthwise_kernel",
    "pointwise_weights": "pointwise_kernel",
    "biases": "bias",
}
"""A variable of TF-Slim to the attribute of a Keras layer."""

EXTRACTOR = "model/_feature_extractor"
PREDICTOR = "model/_box_predictor"
BOXES, CLASSES = "_prediction_heads/box_encodings", "_prediction_heads/class_predictions_with_background"

BACKBONES = {
    "FeatureExtractor/": f"{EXTRACTOR}/classification_backbone",
    "FirstStageFeatureExtractor/": "model/_feature_extractor_for_proposal_features",
    "SecondStageFeatureExtractor/": "model/_feature_extractor_for_box_classifier_features",
    "": "feature_extractor",
}
"""The scope around a backbone to the place of its layers; a classifier has none around it."""

PROPOSER, SECOND = "model/_first_stage_box_predictor", "model/_mask_rcnn_box_predictor"

TWO_STAGES = {
    "Conv": f"{PROPOSER}_first_conv/layer_with_weights-0",
    "FirstStageBoxPredictor/BoxEncodingPredictor": f"{PROPOSER}/{BOXES}/0/_box_encoder_layers/0",
    "FirstStageBoxPredictor/ClassPredictor": f"{PROPOSER}/{CLASSES}/0/_class_predictor_layers/0",
    "SecondStageBoxPredictor/BoxEncodingPredictor": f"{SECOND}/_box_prediction_head/_box_encoder_layers/1",
    "SecondStageBoxPredictor/ClassPredictor": f"{SECOND}/_class_prediction_head/_class_predictor_layers/1",
}
"""The predictors of Faster R-CNN."""

MASKS = f"{SECOND}/_third_stage_heads/mask_predictions/_mask_predictor_layers"
"""The convolutions of Mask R-CNN's third stage; each is followed by a batch norm and an activation."""

SPARSE_LIST = re.compile(
    r"(?P<list>.*/(?:_class_predictor_layers|_box_encoder_layers|_mask_predictor_layers"
    r"|(?:convolutions|_coarse_feature_layers|conv_layers)/\d+))"
    r"/(?P<place>\d+)/(?P<attribute>.+)"
)
"""Lists of layers of which some hold no variable: activation, dropout, padding."""


class Layer(NamedTuple):
    """Where a convolution and the batch norm after it are kept."""

    convolution: str
    norm: str = ""


def canonical_names(names: Collection[str]) -> dict[str, str]:
    """Translate the names of a detector's or a classifier's TensorFlow 1 variables.

    Known are MobileNet v1 and v2 and ResNet v1, in a detector or by themselves, the feature maps of
    an SSD, the feature pyramid, both convolutional box predictors, and Faster R-CNN's with its masks.

    Args:
        names: all variables of the checkpoint: some places depend on what else there is.

    Returns:
        The names that belong to such a network, each with its key in a TensorFlow 2 checkpoint
        of a network without dropout and explicit padding; `aligned` takes it to others.
    """
    parsed = {name: match for name in names if (match := VARIABLE.fullmatch(name))}
    scopes = {match["scope"] for match in parsed.values()}
    keys = {}
    for name, match in parsed.items():
        layer = next(filter(None, (find(match["scope"], match["level"], scopes) for find in FINDERS)), None)
        if layer is not None:
            keys[name] = f"{layer.norm}/{match['norm']}" if match["norm"] else _kernel(layer, match["kernel"])
    return keys


def aligned(keys: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """Find variables in a network whose lists of layers hold others without variables.

    With dropout or explicit padding the same convolution stands one place further on.

    Args:
        keys: canonical keys of the variables that there are.
        wanted: canonical keys of the network.

    Returns:
        Each key with the network's key of the same rank in its list; keys of other
        places, and those that the network lacks, stay as they are.

    >>> aligned(["a/_class_predictor_layers/0/bias"], ["a/_class_predictor_layers/1/bias"])
    {'a/_class_predictor_layers/0/bias': 'a/_class_predictor_layers/1/bias'}
    """
    keys = list(keys)
    by_rank = {ranked: key for key, ranked in _ranked(wanted).items()}
    return {key: by_rank.get(ranked, key) for key, ranked in _ranked(keys).items()}


def _ranked(keys: Iterable[str]) -> dict[str, str]:
    """Each key with the place in its list replaced by the rank among the places with variables."""
    matches = {key: SPARSE_LIST.fullmatch(key) for key in keys}
    places: dict[str, set[int]] = {}
    for match in filter(None, matches.values()):
        places.setdefault(match["list"], set()).add(int(match["place"]))

    def rank(match: re.Match[str]) -> int:
        return sorted(places[match["list"]]).index(int(match["place"]))

    return {
        key: f"{match['list']}/{rank(match)}/{match['attribute']}" if match else key
        for key, match in matches.items()
    }


def _kernel(layer: Layer, variable: str) -> str:
    return f"{layer.convolution}/{ATTRIBUTES[variable]}"


def _in_list(place: str, convolution: int = 0) -> Layer:
    return Layer(f"{place}/{convolution}", f"{place}/{convolution + 1}")


def _backbone(scope: str, level: str | None, scopes: Collection[str]) -> Layer | None:
    around = next(owner for owner in BACKBONES if scope.startswith(owner))
    numbers = layer_numbers(scope.removeprefix(around), second_stage=around.startswith("Second"))
    if numbers is None:
        return None
    convolution, norm = (f"{BACKBONES[around]}/layer_with_weights-{number}" for number in numbers)
    return Layer(convolution, norm)


def _two_stages(scope: str, level: str | None, scopes: Collection[str]) -> Layer | None:
    if match := re.fullmatch(r"SecondStageBoxPredictor/Conv(?:_(?P<number>\d+))?", scope):
        return _in_list(MASKS, 3 * int(match["number"] or 0))
    return Layer(TWO_STAGES[scope]) if scope in TWO_STAGES else None


def _ssd_maps(scope: str, level: str | None, scopes: Collection[str]) -> Layer | None:
    """The 1x1 and the 3x3 convolution of each feature map beyond the backbone."""
    pattern = (
        r"FeatureExtractor/Mobilenet(?:V1/Conv2d_13_pointwise|V2/layer_19)_(?P<step>[12])_Conv2d_(?P<map>\d+)"
        r"_\dx\d(?:_s2)?_\d+(?P<depthwise>_depthwise)?"
    )
    match = re.fullmatch(pattern, scope)
    if match is None:
        return None
    generator = "_feature_map_generator" if "MobilenetV1/" in scope else "feature_map_generator"
    place = f"{EXTRACTOR}/{generator}/convolutions/{match['map']}"
    if match["step"] == "1":
        return _in_list(place)
    return _in_list(place, 6 if f"{scope}_depthwise" in scopes else 3)


def _pyramid(scope: str, level: str | None, scopes: Collection[str]) -> Layer | None:
    match = re.fullmatch(
        r"(?P<fpn>.+/fpn)/(?P<kind>projection|smoothing|bottom_up\w*?)_?(?P<number>\d+)", scope
    )
    if match is None:
        return None
    number = int(match["number"])
    if match["kind"].startswith("bottom_up"):
        first = min(_numbers(f"{match['fpn']}/{match['kind']}", scopes))
        return _in_list(f"{EXTRACTOR}/_coarse_feature_layers/{number - first}")
    top = max(_numbers(f"{match['fpn']}/projection", scopes), default=number)
    generator = f"{EXTRACTOR}/_fpn_features_generator"
    if match["kind"] == "smoothing":
        return _in_list(f"{generator}/conv_layers/{top - 1 - number}")
    if number == top:
        return Layer(f"{generator}/top_layers/0")
    return Layer(f"{generator}/residual_blocks/{top - 1 - number}/0")


def _numbers(prefix: str, scopes: Collection[str]) -> list[int]:
    found = (re.fullmatch(re.escape(prefix) + r"_?(\d+)", scope) for scope in scopes)
    return [int(match[1]) for match in found if match]


def _predictor(scope: str, level: str | None, scopes: Collection[str]) -> Layer | None:
    """The predictor that has convolutions of its own for each feature map."""
    pattern = (
        r"(?:BoxPredictor_(?P<map>\d+)/)?(?:(?P<head>BoxEncodingPredictor|ClassPredictor)(?P<depthwise>_depthwise)?"
        r"|Conv2d_(?P<number>\d+)_1x1_\d+)"
    )
    match = re.fullmatch(pattern, scope)
    if match is None:
        return None
    place = match["map"] or "0"
    if match["number"]:
        return _in_list(f"{PREDICTOR}/_shared_nets/{place}", 3 * int(match["number"]))
    layers = (
        f"{PREDICTOR}/{BOXES}/{place}/_box_encoder_layers"
        if match["head"].startswith("Box")
        else f"{PREDICTOR}/{CLASSES}/{place}/_class_predictor_layers"
    )
    return _in_list(layers, 3 if f"{scope}_depthwise" in scopes else 0)


def _shared_predictor(scope: str, level: str | None, scopes: Collection[str]) -> Layer | None:
    """The predictor whose convolutions all feature maps share; each has its own batch norms."""
    inside = scope.removeprefix("WeightSharedConvolutionalBoxPredictor/")
    if inside == scope:
        return None
    if inside == "BoxPredictor":
        return _in_list(f"{PREDICTOR}/_box_prediction_head/_box_encoder_layers")
    if inside == "ClassPredictor":
        return _in_list(f"{PREDICTOR}/{CLASSES}/_class_predictor_layers")
    match = re.fullmatch(r"(?P<tower>(?:Box|Class)?PredictionTower)/conv2d_(?P<number>\d+)", inside)
    if match is None:
        return None
    head = "class_predictions_with_background" if match["tower"].startswith("Class") else "box_encodings"
    number = int(match["number"])
    return Layer(
        f"{PREDICTOR}/_head_scope_conv_layers/{match['tower']}/{number}",
        f"{PREDICTOR}/_base_tower_layers_for_heads/{head}/{level}/{3 * number + 1}",
    )


Finder = Callable[[str, str | None, Collection[str]], Layer | None]

FINDERS: tuple[Finder, ...] = (
    _backbone,
    _ssd_maps,
    _pyramid,
    _predictor,
    _shared_predictor,
    _two_stages,
)
"""Each takes a scope, the number of the feature map and all scopes; None where it does not know the scope."""
