"""What the checks of several stages have in common: what a file that is given holds, or will hold.

A room of its own above both columns: `Checking` knows the DAG, files are the vision column's.
Nothing here reads more than the head of a large file, and nothing imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odflow.errors import InputError, nearest
from odflow.formats.expected import ExpectedClasses, ExpectedTable

if TYPE_CHECKING:
    from odflow.formats.label_map import LabelMap
    from odflow.graph.checking import Checking
    from odflow.odapi.section import Coverage
    from odflow.training.settings import DetectorSettings

LABEL_MAP = "label_map.pbtxt"

_LARGE = 2 * 2**20
"""Bytes above which a table is not read before it is needed."""

_FEW = 0.1
"""Share of a folder's images that must find room where it is not known yet which of them are wanted."""


def label_map_of(checking: Checking, *fields: str) -> LabelMap | None:
    """The label map that a stage will read, from the first of some inputs that is set.

    Args:
        checking: is told when a label map cannot be read.
        fields: inputs: a label map, or the folder of a model that holds one.

    Returns:
        It; None when it is not known yet or cannot be read.
    """
    from odflow.formats.label_map import Label, LabelMap, read_label_map

    for field in fields:
        given, expected = checking.given(field), checking.expected(field)
        if isinstance(expected, ExpectedClasses):
            return LabelMap(tuple(Label(number, name) for name, number in expected.ids.items()))
        path = given / LABEL_MAP if given and given.is_dir() else given
        if path and path.suffix == ".pbtxt" and path.is_file():
            return checking.attempt(partial(read_label_map, path), field)
    return None


def table_of(checking: Checking, field: str, images: str | None = None) -> ExpectedTable | None:
    """The classes of a table that a stage will read; None when they are not known.

    Args:
        checking: is told when a table that is there is wrong; a large one is not read, nor one that
            the stage is about to read itself.
        field: the input.
        images: the input with the folder of its images; then its boxes must be in pixels, too.
    """
    given, expected = checking.given(field), checking.expected(field)
    if given is None:
        return expected if isinstance(expected, ExpectedTable) else None
    if checking.alone or given.stat().st_size > _LARGE:
        return None
    from odflow.formats.detections import check_pixels, read_detections

    folder = checking.given(images) if images else None
    if folder and not folder.is_dir():
        folder = folder.parent  # of a list of images
    table = checking.attempt(lambda: read_detections(given, folder), field)
    if images and table is not None:
        checking.attempt(lambda: check_pixels(given, table), field)
    if table is None:
        return None
    return ExpectedTable(frozenset(table["class"]), chosen=True, images=frozenset(table["filename"]))


def check_classes(
    checking: Checking, field: str, table: ExpectedTable | None, label_map: LabelMap | None, advice: str
) -> None:
    """See that a label map has the classes that a table has, or that somebody chose for it.

    Args:
        checking: is told of the others.
        field: the input that holds the table.
        table: what is known of it; None for nothing.
        label_map: None when it is not known.
        advice: what to do about a class that is lacking.
    """
    if table is None or not table.chosen or label_map is None:
        return
    for name in sorted(table.classes - set(label_map.ids)):
        near = nearest(name, label_map.ids)
        checking.problem(f'has the class "{name}", which the label map lacks.{near} {advice}', field)


def check_image_folder(checking: Checking, field: str, root: str | None = None) -> None:
    """See that a folder holds an image, or that a list names images that are there."""
    from odflow.formats.image_search import check_images

    given, base = checking.given(field), checking.given(root) if root else None
    if given:
        checking.passes(lambda: check_images(given, base), field)


def check_room(checking: Checking, images: str, names: Iterable[str] | None = None) -> None:
    """See that the disk has room for copies of images.

    Args:
        checking: knows how much is free.
        images: the input with their folder.
        names: of the images; None when it is not known yet which of the folder are wanted.
    """
    folder = checking.given(images)
    if folder is None:
        return
    from odflow.formats.image_search import image_bytes

    size = image_bytes(folder, names)
    wanted = size if names is not None else _FEW * size
    if checking.free < wanted:
        checking.problem(
            f"the disk has {checking.free / 2**20:.0f} MiB left, and the images of {folder} take "
            f"{size / 2**20:.0f} MiB. Free some space, or set ODFLOW_STORE to a folder on another disk.",
            images,
        )


def trained_of(checking: Checking, field: str) -> ExpectedClasses | None:
    """What is known of the folder of a trained detector.

    Args:
        checking: is told when a folder that is there holds a config that cannot be built.
        field: the input: what the stage train writes.
    """
    given, expected = checking.given(field), checking.expected(field)
    if given is None:
        return expected if isinstance(expected, ExpectedClasses) else None
    label_map = label_map_of(checking, field)
    config = given / "pipeline.config"
    if label_map is None or not config.is_file():
        return None
    translated = translation_of(checking, field, config, to_train=False, inputs=False)
    return None if translated is None else ExpectedClasses(label_map.ids, translated.settings)


@dataclass(frozen=True)
class Translated:
    """A pipeline.config, and what training makes of it."""

    config: Any
    settings: DetectorSettings
    coverage: Coverage


def translation_of(
    checking: Checking,
    field: str,
    path: Path,
    change: Callable[[Any], bool] = lambda _: True,
    **purpose: bool,
) -> Translated | None:
    """Translate a pipeline.config; None when it cannot be read or built.

    Args:
        checking: is told then.
        field: the input that it comes from.
        path: the config.
        change: changes it before it is translated; it tells `checking` itself what is wrong
            with its changes, and is false then.
        purpose: `to_train` and `inputs` of `translate`: what is asked of the config.
    """
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training.translation import translate

    config = checking.attempt(lambda: read_pipeline_config(path), field)
    if config is None or not change(config):
        return None
    found = checking.attempt(lambda: translate(config, str(path), **purpose), field)
    return found and Translated(config, *found)


def set_fields(checking: Checking, config: Any, changes: Mapping[str, object]) -> bool:
    """Set fields of a config by their paths; whether all can be, or else `checking` is told."""
    from odflow.odapi.assignment import set_field

    done = [
        checking.passes(partial(set_field, config, path, value), "set", path)
        for path, value in changes.items()
    ]
    return all(done)


def check_checkpoint(checking: Checking, field: str, path: Path | None = None) -> None:
    """See that there is a checkpoint at a path: that of a field, or another that a file names."""
    start = path or checking.given(field)
    if start is None:
        return
    from odflow.odapi.checkpoint import find_checkpoint

    checking.passes(lambda: find_checkpoint(start), field)


def check_records(checking: Checking, field: str) -> None:
    """See that paths hold TFRecord files, by their first bytes, and all shards of a set."""
    given = checking.given_paths(field)
    if not given:
        return
    from odflow.formats.tfrecord import record_files, record_spans

    def look() -> None:
        for file in record_files(given):
            if next(iter(record_spans(file)), None) is None:
                raise InputError(f"{file}: holds no record.")

    checking.passes(look, field)


def check_replicas(
    checking: Checking, strategy: str, workers: int, batch_size: int | None, accumulate: int
) -> None:
    """See that a batch can be shared out to those that train together, as far as they are known."""
    from odflow.training.loop.replicas import replica_batch, tf_config_workers

    replicas: int | None = 1
    if strategy == "ray":
        checking.need_package("ray", "ray", "strategy")
        replicas = workers
    elif strategy == "multi_worker_mirrored":
        replicas = checking.attempt(tf_config_workers, "strategy")
    if replicas and batch_size:
        checking.passes(lambda: replica_batch(replicas, batch_size, accumulate), "batch_size")
