"""A network that computes what a frozen graph computes, to train it on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.errors import InputError
from odflow.odapi.checkpoint import Weights, weights_of
from odflow.odapi.frozen_weights import read_frozen_graph
from odflow.odapi.signature import looks_like
from odflow.training.checkpoints import Report, fill, variables_by_name
from odflow.training.detector import DetectorArchitecture
from odflow.training.export.check import EXACT, Agreement, compare, expect
from odflow.training.export.drawn_images import drawn_images
from odflow.training.export.graphs import Detector


def import_frozen_graph(kind: DetectorArchitecture, graph: Path) -> tuple[tf_keras.Model, Report]:
    """Build the config's network with a frozen graph's weights.

    Args:
        kind: what the config describes.
        graph: a `frozen_inference_graph.pb` of the API's TensorFlow 1 exporter.

    Returns:
        The network, and what became of each variable and constant.

    Raises:
        InputError: the graph is damaged or quantised, of another architecture, or lacks a weight.
    """
    network = kind.build()
    variables = variables_by_name(network)
    arrays = read_frozen_graph(graph).for_network(variables, _epsilons(network, variables))
    weights = weights_of(arrays, str(graph), "frozen graph")
    report = fill(network, weights, kind.parts, "full", allow_partial=True)
    if report.left:
        raise _misfit(report, weights, variables)
    return network, report


def compare_with_graph(
    kind: DetectorArchitecture, network: tf_keras.Model, graph: Path, config: Path
) -> Agreement:
    """Run both on drawn pictures: weights may fit a config that says other things than the graph.

    Raises:
        InputError: they detect different things.
    """
    closeness = replace(EXACT, share=kind.reproducible)
    agreement = compare(graph, expect(Detector(network, kind), list(drawn_images())), closeness)
    if agreement.suffices(closeness):
        return agreement
    raise InputError(
        f"{graph}: the network of {config} has its weights, and does not detect what it detects: "
        f"{agreement.shortfall(closeness)} Either the config is not the one it was exported with (compare "
        "image_resizer, anchor_generator, box_coder, post_processing), or odflow computes this detector in "
        "another way. The stage detect runs the graph as it is."
    )


def _epsilons(network: tf_keras.Model, variables: Mapping[str, tf.Variable]) -> dict[str, float]:
    """Canonical name of each batch norm to its epsilon."""
    names = {id(variable): name for name, variable in variables.items()}
    norms = (part for part in network.submodules if isinstance(part, tf_keras.layers.BatchNormalization))
    return {names[id(norm.moving_variance)].rpartition("/")[0]: float(norm.epsilon) for norm in norms}


def _misfit(report: Report, weights: Weights, variables: Mapping[str, Any]) -> InputError:
    wanted = looks_like({name: tuple(variable.shape) for name, variable in variables.items()})
    found, (name, reason) = _looks(weights), next(iter(report.left.items()))
    advice = "Give the graph as the API's exporter wrote it"
    if found != wanted:
        advice = (
            f"It looks like {found}; the config asks for {wanted}. Give the config that the graph was "
            "exported with, and the graph as the API's exporter wrote it"
        )
    return InputError(
        f"{weights.source}: {len(report.left)} of the {len(variables)} weights of the config's network are "
        f"not in it, first {name}: {reason.replace('checkpoint', 'graph')}. {advice}; the stage detect runs "
        "the graph as it is."
    )


def _looks(weights: Weights) -> str:
    """What the graph looks like; where only its kind is known, with the scope of its backbone."""
    found = looks_like(weights.shapes)
    scopes = (re.match(r"(?:FirstStage)?FeatureExtractor/(\w+)/", name) for name in weights)
    scope = next((match[1] for match in scopes if match), "")
    return found if " with " in found or not scope else f"{found} with {scope}"
