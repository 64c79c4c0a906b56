"""Whether a pipeline reads what it writes itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from odflow.errors import InputError
from odflow.graph.document import read_document
from odflow.graph.overlap import Overlap, Overlaps, with_links
from odflow.graph.pipeline import Pipeline, Selection
from odflow.graph.store import declared


def check_places(pipeline: Pipeline, selection: Selection, workdir: Path, store: Path) -> None:
    """Look whether any input is, holds or lies in the place of an output, or holds the store.

    Args:
        pipeline: the stages.
        selection: which of them run.
        workdir: gets their outputs.
        store: its folder.

    Raises:
        InputError: a line for each input that does, with file and line.
    """
    found = [*_faults(pipeline, selection, workdir, store), *_files_in_the_way(pipeline, selection, workdir)]
    if found:
        raise InputError(*found)


def check_links(pipeline: Pipeline, selection: Selection, workdir: Path, store: Path) -> None:
    """Look, as `check_places` does, where links to folders inside of inputs lead.

    It walks through all inputs, so a run in which everything is cached does without.

    Raises:
        InputError: a line for each input with such a link, with file and line.
    """
    found = list(_faults(pipeline, selection, workdir, store, _folder_links))
    if found:
        raise InputError(*found)


def _folder_links(path: Path) -> Iterator[Path]:
    """The links to folders, or to nothing yet: a link to a file holds nothing."""
    return (one for one in with_links(path) if one != path and not one.is_file())


def _itself(path: Path) -> Iterator[Path]:
    yield path


def _faults(
    pipeline: Pipeline,
    selection: Selection,
    workdir: Path,
    store: Path,
    parts: Callable[[Path], Iterator[Path]] = _itself,
) -> Iterator[str]:
    look = Overlaps()
    places = [
        (workdir / name / output, name, field)
        for name, node in pipeline.nodes.items()
        for field, output in declared(node.stage).items()
    ]
    for name in selection.names(pipeline):
        for field, sources in pipeline.nodes[name].sources().items():
            for path in (source for source in sources if isinstance(source, Path)):
                told = next(filter(None, (_fault(look, one, places, store) for one in parts(path))), "")
                if told:
                    place = read_document(pipeline.path).place("stages", name, field)
                    yield f"{place}: {name}.{field}: {told}"


def _fault(look: Overlaps, path: Path, places: list[tuple[Path, str, str]], store: Path) -> str:
    for place, stage, output in places:
        meets = look.find(place, path)
        if meets:
            return _told(meets, stage, output)
    if look.find(store, path):
        return (
            f"{path} holds the store ({store}), which every run changes. Name another folder in ODFLOW_STORE."
        )
    return ""


def _told(meets: Overlap, stage: str, output: str) -> str:
    if meets.how == "lies in":
        what = f"{meets.read} holds an output of {stage} ({meets.written}), so each run would change it"
        return f"{what}. Give another --workdir."
    how = "is" if meets.how == "is" else "lies in"
    return (
        f"{meets.read} {how} an output of {stage} ({meets.written}), which a run replaces. "
        f"Write ${{{stage}.{output}}} where that is meant, copy it elsewhere, or give another --workdir."
    )


def _files_in_the_way(pipeline: Pipeline, selection: Selection, workdir: Path) -> Iterator[str]:
    for name in selection.names(pipeline):
        place = workdir / name
        if place.exists() and not place.is_dir():
            yield (
                f"{place}: is a file; the outputs of {name} go into a folder of this name. "
                "Move it, or give another --workdir."
            )
