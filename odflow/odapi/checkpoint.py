"""Read the weights of a checkpoint, whoever wrote it, under one set of names.

The canonical name of a variable is the key under which the Object Detection API's
TF2 models keep it, for example
``model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel``.
A checkpoint that holds a classifier alone has ``feature_extractor/`` in front
instead, as the API expects of `fine_tune_checkpoint_type: "classification"`.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odflow.errors import InputError
from odflow.odapi import model_garden_names
from odflow.odapi.checkpoint_index import check_index
from odflow.reading import reads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
CLASSIFIER = "feature_extractor/"
"""Where the API looks for the backbone in a checkpoint that holds nothing else."""

BACKBONE = "model/_feature_extractor/classification_backbone/"
"""Where a single-shot detector of the API has it."""

NOT_WEIGHTS = frozenset({"save_counter", "step", "global_step", "optimizer"})
"""What the training loops of the API and of Model Garden keep beside the weights."""

AVERAGE = "/ExponentialMovingAverage"
"""What follows the name of a variable in the name of its moving average."""

TF1_NOT_WEIGHTS = re.compile(
    r"(^|/)(global_step|learning_rate|beta[12]_power(_\d+)?|(Momentum|RMSProp|Adam|Adagrad)(_\d+)?"
    rf"|{AVERAGE.removeprefix('/')})$"
)


@dataclass(frozen=True, eq=False)
class Weights(Mapping[str, "NDArray[Any]"]):
    """Arrays by their canonical names, each read when it is asked for.

    Attributes:
        source: where they come from, for messages.
        kind: who wrote them: `TF2 Object Detection API`, `odflow`, `Model Garden`,
            `TF1`, `Keras` or `frozen graph`.
        shapes: canonical name to shape, of every variable that is a weight.
        read: canonical name to array; raises InputError when the file is damaged.
        alias: another path to a variable in the model that was saved, to its
            canonical name: layers may be shared, and each variable is stored once.
        averages: canonical names of the variables of which there is a moving average too.
        averaged: `read` gives the moving average where there is one.
    """

    source: str
    kind: str
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], NDArray[Any]]
    alias: Callable[[str], str | None] = lambda path: None
    averages: frozenset[str] = frozenset()
    averaged: bool = False

    def locate(self, name: str) -> str | None:
        """The canonical name of a variable, given it or another path; None if there is none.

        A detector's checkpoint answers for the classifier inside it too.
        """
        paths = [name]
        if name.startswith(CLASSIFIER):
            paths.append(name.replace(CLASSIFIER, BACKBONE, 1))
        found = (path if path in self.shapes else self.alias(path) for path in paths)
        return next(filter(None, found), None)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """The array.

        Raises:
            KeyError: there is none of this name.
            InputError: the file is damaged.
        """
        located = self.locate(name)
        if located is None:
            raise KeyError(name)
        return self.read(located)

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def weights_of(arrays: Mapping[str, NDArray[Any]], source: str, kind: str) -> Weights:
    """Weights that are in memory already.

    Args:
        arrays: canonical name to array.
        source: where they come from, for messages.
        kind: see `Weights`.
    """
    return Weights(source, kind, {name: array.shape for name, array in arrays.items()}, arrays.__getitem__)


@reads("a checkpoint")
def read_checkpoint(path: Path, *, averaged: bool = False) -> Weights:
    """Open a checkpoint of the Object Detection API (TF1 or TF2), odflow, Model Garden or Keras.

    Args:
        path: see `find_checkpoint`.
        averaged: of the variables of a TF1 checkpoint that have a moving average take that, as
            the API's exporter does where the config says `eval_config.use_moving_averages`.

    Returns:
        Its weights, without an optimizer's state and counters.

    Raises:
        InputError: there is no checkpoint, or its files are damaged.
    """
    prefix = find_checkpoint(path)
    stored = _Stored(prefix)
    if OBJECT_GRAPH not in stored.shapes:
        return _tf1(stored, averaged)
    names = {
        name.removesuffix(VALUE): name
        for name in stored.shapes
        if name.endswith(VALUE) and "/.OPTIMIZER_SLOT/" not in name and name.split("/")[0] not in NOT_WEIGHTS
    }
    walk = _object_graph(stored.object_graph(), names)
    kind, classifier = _classifier(names)
    return stored.weights(kind or _writer(path), names, lambda path: classifier.get(path) or walk(path))


@reads("a checkpoint")
def find_checkpoint(path: Path) -> str:
    """Find the newest checkpoint at a place.

    Args:
        path: a checkpoint's prefix (``ckpt-300``, ``model.ckpt``), one of its files, a
            folder of checkpoints, or a folder with such a folder ``checkpoint/`` in it.

    Returns:
        The checkpoint's prefix.

    Raises:
        InputError: there is none.
    """
    for folder in (path / "checkpoint", path):
        newest = _newest(folder) if folder.is_dir() else None
        if newest:
            return str(newest)
    prefix = _prefix(path)
    if Path(f"{prefix}.index").is_file():
        return prefix
    raise InputError(
        f"{path}: holds no checkpoint; wanted: a prefix such as ckpt-300, or a folder with ckpt-300.index."
    )


def damage(prefix: Path) -> str | None:
    """What is wrong with the files of a checkpoint, every sum in them verified; None when they are whole.

    Args:
        prefix: such as ``ckpt-300``.
    """
    found = {path.suffix.partition("-")[0] for path in checkpoint_files(prefix)}
    if not {".index", ".data"} <= found:
        return f"{prefix.name} is {'not whole' if found else 'gone'}"
    try:
        stored = _Stored(str(prefix))
        for name in stored.shapes:
            stored.read(name)
    except InputError:
        return f"{prefix.name} is damaged"
    return None


def checkpoint_files(path: Path) -> list[Path]:
    """The files of a checkpoint, or of all checkpoints in a folder.

    Args:
        path: see `find_checkpoint`.

    Returns:
        Those that are there, sorted.
    """
    if path.is_dir():
        return sorted(one for one in path.rglob("*") if one.is_file())
    prefix = Path(_prefix(path))
    return sorted(prefix.parent.glob(f"{glob.escape(prefix.name)}.*"))


def existing_path(path: Path) -> Path:
    """What is there of a checkpoint: its `.index` file where a prefix (``ckpt-300``) was given."""
    index = Path(f"{path}.index")
    return index if not path.exists() and index.is_file() else path


def _prefix(path: Path) -> str:
    return re.sub(r"\.(index|data-\d+-of-\d+)$", "", str(path))


def _newest(folder: Path) -> Path | None:
    """By the folder's `checkpoint` file, or by the number at the end of the name."""
    state = folder / "checkpoint"
    if state.is_file():
        named = re.search(r'^model_checkpoint_path: "(.*)"', state.read_text("utf-8", "replace"), re.M)
        # The path is that of the machine that trained: its last part is in this folder.
        prefix = folder / named[1].replace("\\", "/").rpartition("/")[2] if named else folder
        if Path(f"{prefix}.index").is_file():
            return prefix
    found = sorted(folder.glob("*.index"), key=lambda index: (_number(index.stem), index.stem))
    return found[-1].with_suffix("") if found else None


def _number(stem: str) -> int:
    digits = stem.rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1


def _classifier(names: Collection[str]) -> tuple[str, dict[str, str]]:
    """Who else may have written names, and what the API calls those of the classifier among them."""
    for root in ("", "model/"):
        if any(re.match(f"{root}layer(_with_weights)?-", name) for name in names):
            return "Keras", {CLASSIFIER + name.removeprefix(root): name for name in names}
    garden = model_garden_names.backbone(names)
    return ("Model Garden", garden) if garden else ("", {})


def _writer(path: Path) -> str:
    """odflow leaves its report beside the weights; keys and shapes are the API's."""
    reports = ("translation.json", "import.json")
    odflow = path.is_dir() and any((path / report).is_file() for report in reports)
    return "odflow" if odflow else "TF2 Object Detection API"


class _Stored:
    """A checkpoint's variables under the names that the file has for them."""

    def __init__(self, prefix: str) -> None:
        import tensorflow as tf

        self.prefix = prefix
        self._damage = (tf.errors.OpError, IndexError, ValueError, RuntimeError)
        try:
            check_index(Path(f"{prefix}.index"))
            self._reader = tf.train.load_checkpoint(prefix)
            shapes = self._reader.get_variable_to_shape_map()
        except self._damage as error:
            raise self._damaged(error) from error
        self.shapes = {name: tuple(shape) for name, shape in sorted(shapes.items())}

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]:
        import numpy as np

        return np.asarray(self.read(name))

    def object_graph(self) -> Any:
        """Its TrackableObjectGraph; read as bytes, since an array of bytes drops the NULs at their end.

        Raises:
            InputError: it is damaged.
        """
        from google.protobuf.message import DecodeError
        from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

        serialized = self.read(OBJECT_GRAPH)
        try:
            graph = TrackableObjectGraph.FromString(serialized)
        except (DecodeError, TypeError) as error:
            raise self._damaged(error) from error
        places = range(len(graph.nodes))
        if not places or any(child.node_id not in places for node in graph.nodes for child in node.children):
            raise self._damaged(IndexError("its object graph leads nowhere"))
        return graph

    def read(self, name: str) -> Any:
        """A variable as the file holds it.

        Raises:
            InputError: it is damaged.
        """
        try:
            return self._reader.get_tensor(name)
        except self._damage as error:
            raise self._damaged(error) from error

    def weights(self, kind: str, names: Mapping[str, str], alias: Callable[[str], str | None]) -> Weights:
        """Those of its variables that are weights, `names`: canonical to stored."""
        shapes = {name: self.shapes[stored] for name, stored in names.items()}
        return Weights(self.prefix, kind, shapes, lambda name: self[names[name]], alias)

    def _damaged(self, error: Exception) -> InputError:
        reason = " ".join(str(error).split())[:160].rstrip(".")
        return InputError(
            f"{self.prefix}: is damaged or not whole ({reason}). Copy its .index and .data files again."
        )


def _tf1(stored: _Stored, averaged: bool) -> Weights:
    """The two halves of a Faster R-CNN's extractor count as the classifier that they were cut from."""
    from odflow.odapi import tf1_names

    weights = [name for name in stored.shapes if not TF1_NOT_WEIGHTS.search(name)]
    scoped = {re.sub("^(First|Second)Stage(?=FeatureExtractor/)", "", name): name for name in weights}
    canonical = tf1_names.canonical_names(scoped)
    names = {canonical.get(name, name): stored_name for name, stored_name in scoped.items()}
    averages = {name: f"{one}{AVERAGE}" for name, one in names.items() if f"{one}{AVERAGE}" in stored.shapes}
    found = stored.weights("TF1", names | averages if averaged else names, lambda path: None)
    return replace(found, averages=frozenset(averages), averaged=averaged)


def _object_graph(graph: Any, names: Mapping[str, str]) -> Callable[[str], str | None]:
    """What finds the stored name of a variable from any path to it in the saved model."""
    nodes = graph.nodes
    children = [{child.local_name: child.node_id for child in node.children} for node in nodes]

    def walk(path: str) -> str | None:
        node = 0
        for part in path.split("/"):
            if part not in children[node]:
                return None
            node = children[node][part]
        keys = (value.checkpoint_key.removesuffix(VALUE) for value in nodes[node].attributes)
        return next((key for key in keys if key in names), None)

    return walk
