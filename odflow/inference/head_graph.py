"""Exported models of heads: a graph from images to one output, and the settings beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from odflow.errors import ConfigError, InputError
from odflow.inference.image_graph import load_image_graph
from odflow.inference.model_tensors import Wanted
from odflow.inference.session import ImageGraph
from odflow.inference.sharing import load_shared
from odflow.regular import read_regular

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Model = TypeVar("Model")


class HeadGraph:
    """An exported model of a head, loaded and ready; safe to call from several threads at once."""

    def __init__(self, graph: ImageGraph) -> None:
        """Take a graph of one output."""
        self._graph = graph

    def run(self, images: NDArray[np.uint8]) -> NDArray[Any]:
        """Compute the head's output.

        Args:
            images: (N, height, width, 3) uint8 RGB.

        Raises:
            StageError: the model failed.
        """
        return self._graph.run(images)[0]


@dataclass(frozen=True)
class Head(Generic[Model]):
    """What the files of a head's models are like.

    Attributes:
        name: of the head: its models' settings are in NAME.json, its stages are NAME.export and so on.
        model: a dataclass, the settings of a model.
        output: what its graphs give for `image_tensor`.
    """

    name: str
    model: type[Model]
    output: str

    @property
    def settings(self) -> str:
        """The name of the file of the settings, in trained and exported folders."""
        return f"{self.name}.json"

    def write_model(self, model: Model, folder: Path) -> None:
        """Write the settings of a model into a folder, as JSON."""
        (folder / self.settings).write_bytes(TypeAdapter(self.model).dump_json(model, indent=2) + b"\n")

    def read_model(self, folder: Path) -> Model:
        """Read the settings of the model in a trained folder.

        Raises:
            InputError: they are not there.
            ConfigError: they are something else.
        """
        file = folder / self.settings
        try:
            return TypeAdapter(self.model).validate_json(read_regular(file))
        except OSError:
            raise InputError(
                f"{file}: does not exist; give the folder that {self.name}.train wrote."
            ) from None
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise ConfigError(f"{file}: not the settings of a {self.name} model ({reason}).") from error

    def exported_model(self, path: Path) -> Model:
        """Read the settings of an exported model.

        Args:
            path: as `load` takes it.

        Raises:
            InputError: they are not there.
            ConfigError: they are something else.
        """
        path = Path(path)
        for folder in (path, path.parent, path.parent.parent):
            if (folder / self.settings).is_file():
                return self.read_model(folder)
        raise InputError(
            f"{path}: has no {self.settings}, the settings of a {self.name} model. {self._wanted}"
        )

    def load(self, path: Path) -> HeadGraph:
        """Load an exported model.

        Args:
            path: the exported folder (its frozen graph comes first), a frozen graph (`.pb`)
                or a SavedModel folder.

        Raises:
            InputError: no such path, damaged, or of another head; the message says what was found.
        """
        return HeadGraph(load_image_graph(path, Wanted([self.output], self._wanted)))

    def shared(self, path: Path, run: str) -> HeadGraph:
        """Load an exported model once for all threads of this process that work for a run.

        Args:
            path: as `load` takes it.
            run: names the run: a process may live on, and another run find another model there.

        Raises:
            InputError: as `load`.
        """
        return load_shared(self.load, run, path)

    @property
    def _wanted(self) -> str:
        return f"Give the folder that {self.name}.export wrote."
