"""Weights of a detector: filled in from a checkpoint with an account of each, and saved."""

from __future__ import annotations

import collections
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras

from odflow.errors import InputError
from odflow.flushing import flush_below, make_flushed_folder
from odflow.odapi import model_garden_names, tf1_names
from odflow.odapi.checkpoint import CLASSIFIER, Weights, read_checkpoint
from odflow.odapi.signature import looks_like
from odflow.training.disk import told_by_disk

LEAST = 0.9
"""Share of the backbone's variables that must be loaded."""

LAYER = re.compile(r"^layer_with_weights-(\d+)/")

SHOWN = 3
"""Misfits that an error names."""


@dataclass(frozen=True)
class Parts:
    """What a network's variables belong to: prefixes of their canonical names.

    Attributes:
        backbone: what `fine_tune_checkpoint_type: "classification"` fills. Where the
            API cut a classifier into several models, in their order: the numbers of a
            classifier's layers count on from one to the next where they start again.
        features: what `"detection"` fills.
        class_layers: the last layers of what depends on the number of classes.
    """

    backbone: tuple[str, ...]
    features: tuple[str, ...]
    class_layers: tuple[str, ...]

    def of(self, kind: str) -> tuple[str, ...]:
        """The prefixes that a fine_tune_checkpoint_type fills."""
        return {"classification": self.backbone, "detection": self.features, "full": ("model/",)}[kind]


@dataclass(frozen=True)
class Report:
    """What became of each variable of a network and of a checkpoint.

    Attributes:
        source: the checkpoint.
        source_kind: who wrote it, see `Weights.kind`.
        kind: the fine_tune_checkpoint_type.
        loaded: names of the network's variables that have the checkpoint's values.
        left: names of those that keep their first values, to the reason.
        unused: names of the checkpoint that nothing took.
        dropped: those of them whose layers were filled otherwise, such as a bias that the
            config's layer has not: what was trained computed something else.
        averages: of those loaded, how many have a moving average in the checkpoint.
        averaged: the moving averages were taken, not the values that training had arrived at.
    """

    source: str
    source_kind: str
    kind: str
    loaded: tuple[str, ...]
    left: Mapping[str, str]
    unused: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    averages: int = 0
    averaged: bool = False

    def summary(self) -> str:
        """One line: how many variables were loaded, left (and why) and unused."""
        total = len(self.loaded) + len(self.left)
        said = f"{len(self.loaded)} of {total} variables loaded from {self.source} ({self.source_kind})"
        if self.left:
            reasons = collections.Counter(reason.partition(":")[0] for reason in self.left.values())
            said += f", {len(self.left)} left at their first values (" + ", ".join(
                f"{count} {reason}" for reason, count in reasons.most_common()
            )
            said += ")"
        if self.unused:
            said += f", {len(self.unused)} of the checkpoint unused"
        if self.dropped:
            said += f" ({len(self.dropped)} of them in layers that were filled, first {self.dropped[0]})"
        return said + self._averages()

    def _averages(self) -> str:
        if not self.averages:
            return ""
        if self.averaged:
            others = len(self.loaded) - self.averages
            return f"; {self.averages} of those loaded are moving averages, {others} have none"
        return (
            f"; the values themselves were taken, not the moving averages that {self.averages} of them have"
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, for a file; the source by its name alone, which is the same on every machine."""
        return {**asdict(self), "source": Path(self.source).name}


def variables_by_name(network: tf_keras.Model) -> dict[str, tf.Variable]:
    """A network's variables by their canonical names.

    Args:
        network: built.

    Returns:
        The key under which `tf.train.Checkpoint(model=network)` stores each variable,
        without its `/.ATTRIBUTES/VARIABLE_VALUE`, to the variable; in order of names.
    """
    root = tf.train.Checkpoint(model=network)
    seen, queue = {id(root): root}, collections.deque([("", root)])  # held: the id of what is gone is free
    found = {}
    while queue:  # breadth first: the key is the shortest path
        parent_path, parent = queue.popleft()
        for name, child in tf.train.TrackableView.children(parent).items():
            if id(child) in seen:
                continue
            seen[id(child)] = child
            path = f"{parent_path}/{name.replace('.', '..').replace('/', '.S')}".lstrip("/")
            queue.append((path, child))
            if isinstance(child, tf.Variable):
                found[path] = child
    return {name: found[name] for name in sorted(found) if name.startswith("model/")}


def fill(
    network: tf_keras.Model, weights: Weights, parts: Parts, kind: str, *, allow_partial: bool = False
) -> Report:
    """Give a network the values of a checkpoint, and account for each variable.

    Another number of classes leaves the last class layers as they are; anything else
    that does not fit is left too, and said.

    Args:
        network: its variables are written to.
        weights: see `read_checkpoint`.
        parts: of the network, see `Architecture.parts`.
        kind: a fine_tune_checkpoint_type: `classification`, `detection` or `full`.
        allow_partial: go on when less than 90 percent of the backbone's variables fit.

    Returns:
        What was loaded, left and unused.

    Raises:
        InputError: the checkpoint is damaged, or of another architecture: names the
            first layers that do not fit and what the checkpoint looks like.
    """
    variables = variables_by_name(network)
    wanted, left = {}, {}
    for name, variable in variables.items():
        if name.startswith(parts.of(kind)):
            wanted[name] = variable
        else:
            left[name] = f"not part of {kind}"
    sources = _sources(wanted, weights, parts.backbone)
    left |= _misfits(wanted, sources, weights, parts)
    report = _report(weights, kind, wanted, sources, left)
    if not allow_partial:
        _check_backbone(report, variables, weights, parts)
    for name in report.loaded:
        variables[name].assign(weights[sources[name]])
    return report


def _sources(wanted: Mapping[str, Any], weights: Weights, backbone: tuple[str, ...]) -> dict[str, str]:
    """The checkpoint's name for each variable that it has."""
    classifier = _classifier_names(wanted, backbone)
    shifted = {ours: theirs for theirs, ours in tf1_names.aligned(weights, wanted).items()}
    # Model Garden saves the parts of a model beside it too, and a pretrained backbone by itself.
    names = {name: (name, name.removeprefix("model/"), classifier.get(name, "")) for name in wanted}
    found = {name: next(filter(None, map(weights.locate, known)), None) for name, known in names.items()}
    return {name: source for name in wanted if (source := found[name] or shifted.get(name))}


def _classifier_names(wanted: Mapping[str, Any], prefixes: tuple[str, ...]) -> dict[str, str]:
    """What each variable of the backbone is called in a checkpoint of a classifier alone."""
    names: dict[str, str] = {}
    taken: set[int] = set()
    for prefix in prefixes:
        inside = {name: name.removeprefix(prefix) for name in wanted if name.startswith(prefix)}
        numbers = {int(layer[1]) for layer in map(LAYER.match, inside.values()) if layer}
        first = max(taken) + 1 if taken & numbers else 0
        taken |= {first + number for number in numbers}
        for name, rest in inside.items():
            names[name] = CLASSIFIER + LAYER.sub(partial(_counted_from, first), rest)
    # A network of Model Garden has its layers in blocks, where the API and Keras have them in a row.
    return names | {ours: theirs for theirs, ours in model_garden_names.backbone(wanted).items()}


def _counted_from(first: int, layer: re.Match[str]) -> str:
    return f"layer_with_weights-{first + int(layer[1])}/"


def _misfits(
    wanted: Mapping[str, tf.Variable], sources: Mapping[str, str], weights: Weights, parts: Parts
) -> dict[str, str]:
    """Why each variable that cannot be loaded cannot."""
    left = {}
    for name, variable in wanted.items():
        if name not in sources:
            left[name] = "not in the checkpoint"
            continue
        found, shape = weights.shapes[sources[name]], tuple(variable.shape)
        if found != shape:
            left[name] = f"of another shape: {_by(found)} in the checkpoint, {_by(shape)} wanted"
    # A last class layer is one whole: half of one for other classes is worth nothing.
    for prefix in parts.class_layers:
        misfit = next((left[name] for name in left if name.startswith(prefix) and name in sources), "")
        for name in (name for name in wanted if misfit and name.startswith(prefix)):
            left[name] = f"of a class layer for another number of classes{misfit.partition('shape')[2]}"
    return left


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _report(
    weights: Weights,
    kind: str,
    wanted: Mapping[str, Any],
    sources: Mapping[str, str],
    left: Mapping[str, str],
) -> Report:
    loaded = tuple(name for name in wanted if name not in left)
    used = set(sources.values())
    unused = tuple(name for name in weights if name not in used)
    layers = {sources[name].rpartition("/")[0] for name in loaded}
    dropped = tuple(name for name in unused if name.rpartition("/")[0] in layers)
    averages = len(weights.averages.intersection(sources[name] for name in loaded))
    return Report(
        weights.source,
        weights.kind,
        kind,
        loaded,
        dict(sorted(left.items())),
        unused,
        dropped,
        averages,
        weights.averaged,
    )


def _check_backbone(
    report: Report, variables: Mapping[str, tf.Variable], weights: Weights, parts: Parts
) -> None:
    backbone = [name for name in variables if name.startswith(parts.backbone)]
    assert backbone, f"no variable of the network is in {parts.backbone}"
    loaded = len(set(report.loaded).intersection(backbone))
    if loaded >= LEAST * len(backbone):
        return
    misfits = [name for name in backbone if name in report.left]
    shown = "; ".join(f"{name}: {report.left[name]}" for name in misfits[:SHOWN])
    wanted = looks_like({name: tuple(variable.shape) for name, variable in variables.items()})
    raise InputError(
        f"{weights.source}: fits {loaded} of the backbone's {len(backbone)} variables, wanted: 90 percent. "
        f"It looks like {looks_like(weights.shapes)}; the config asks for {wanted}. "
        f"Misfits: {shown}{_more(misfits)}. "
        "Give a checkpoint of this architecture, or set allow_partial: true."
    )


def check_whole(report: Report) -> None:
    """Refuse weights that would leave a part of the network at random.

    Raises:
        InputError: a variable of the network was not loaded: names the first ones and why.
    """
    if not report.left:
        return
    names = list(report.left)
    shown = "; ".join(f"{name}: {report.left[name]}" for name in names[:SHOWN])
    raise InputError(
        f"{report.source}: {len(names)} of the network's {len(names) + len(report.loaded)} variables would "
        f"stay at their random first values: {shown}{_more(names)}. Give the checkpoint of the detector that "
        "the config describes, or set allow_partial: true to leave them random; to train on from a part of "
        "a checkpoint, give it to train as fine_tune_checkpoint."
    )


def _more(misfits: Sequence[str]) -> str:
    return f" and {len(misfits) - SHOWN} more" if len(misfits) > SHOWN else ""


def load_weights(network: tf_keras.Model, path: Path) -> None:
    """Fill a network whole from a checkpoint of the same detector.

    Args:
        network: its variables are written to.
        path: see `find_checkpoint`.

    Raises:
        InputError: a variable is missing, or has another shape.
    """
    weights = read_checkpoint(path)
    report = fill(network, weights, Parts(("model/",), ("model/",), ()), "full")
    if report.left:
        name, reason = next(iter(report.left.items()))
        raise InputError(
            f"{weights.source}: does not fit the model of the config: {len(report.left)} of its variables "
            f"would stay untrained, first {name}: {reason}. Give the folder that train wrote, unchanged."
        )


def save_weights(network: tf_keras.Model, folder: Path, step: int) -> None:
    """Write a network's weights as the Object Detection API does, without what only training needs.

    Args:
        network: its variables are read.
        folder: becomes a folder of checkpoints with one `ckpt-STEP`; what is there is removed.
        step: the training step.

    Raises:
        OSError: the disk is full or refuses.
    """
    shutil.rmtree(folder, ignore_errors=True)  # what a save that failed left would stay
    make_flushed_folder(folder)
    with told_by_disk():
        manager = tf.train.CheckpointManager(tf.train.Checkpoint(model=network), str(folder), max_to_keep=1)
        manager.save(checkpoint_number=step)
    flush_below(folder)
