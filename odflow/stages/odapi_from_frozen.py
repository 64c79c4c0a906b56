"""Make a frozen graph of the Object Detection API trainable again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from odflow.graph import InputFile, InputFolder, Job, OutputFolder, Stage, output

if TYPE_CHECKING:
    from odflow.graph.checking import Checking


class FromFrozen(Stage):
    """Read the weights back out of a frozen graph, for whoever kept only the .pb.

    The result is what train writes: export, train and evaluate go on from it.
    """

    version: ClassVar[int] = 3
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    graph: InputFile = Field(description="frozen_inference_graph.pb, as the API's TF1 exporter writes it")
    pipeline_config: InputFile | None = Field(
        None, description="the pipeline.config of its detector; the one beside the graph if left out"
    )
    label_map: InputFile | None = Field(
        None, description="its classes (.pbtxt); the label_map.pbtxt beside the graph if left out"
    )
    images: InputFolder | None = Field(
        None,
        description="photographs like those that its detector was trained on; a graph without batch norm "
        "statistics gets them from there, without which it does not train well",
    )
    count: int = Field(64, ge=1, description="how many of these photographs are looked at")

    trained: OutputFolder = output("trained", "checkpoint/, pipeline.config, label_map.pbtxt, import.json")

    def check(self, checking: Checking) -> None:
        """See that there is a frozen graph, and that its config and classes fit each other."""
        from odflow.checks import check_image_folder
        from odflow.odapi.model_files import FROZEN_WANTED, check_frozen_graph
        from odflow.training.trained_folder import Imported

        graph = checking.given("graph")
        if graph is not None:
            checking.passes(lambda: check_frozen_graph(graph, FROZEN_WANTED), "graph")
        check_image_folder(checking, "images")
        if checking.given("graph"):
            checking.passes(Imported(self._config(), self._label_map()).settings, "pipeline_config")

    def also_reads(self) -> Iterable[Path]:
        """The config and the label map beside the graph."""
        return filter(Path.is_file, [self._config(), self._label_map()])

    def run(self, job: Job) -> None:
        """Build the config's network, give it the graph's weights, compare the two, save it."""
        from odflow.training.detector import detector_architecture
        from odflow.training.frozen_import import compare_with_graph, import_frozen_graph
        from odflow.training.trained_folder import Imported

        imported = Imported(self._config(), self._label_map())
        kind = detector_architecture(imported.settings())
        network, report = import_frozen_graph(kind, self.graph)
        self._measure(job, kind, network)
        agreement = compare_with_graph(kind, network, self.graph, imported.pipeline_config)
        imported.write(network, report.to_json(), self.trained)
        job.say(report.summary())
        job.say(agreement.summary().replace("the checkpoint", "the graph"))

    def _measure(self, job: Job, kind: Any, network: Any) -> None:
        """Give the batch norms statistics, where the graph has none."""
        from odflow.formats.image_search import search_images
        from odflow.formats.images import read_image
        from odflow.training.layers.statistics import lacks_statistics, measure_statistics

        if not lacks_statistics(network):
            return
        if self.images is None:
            job.log.warning(
                "the graph holds no batch norm statistics; give images to measure them on, or train with "
                "freeze_batchnorm: true"
            )
            return
        found = search_images(self.images)
        job.leave_out(*found.left_out)
        chosen = found.images
        chosen = chosen[:: max(1, len(chosen) // self.count)][: self.count]

        def run() -> None:
            for image in job.progress(chosen, unit="image"):
                kind.detect(network, read_image(image.path)[None])

        measured = measure_statistics(network, run)
        job.say(f"statistics of {measured} batch norms measured on {len(chosen)} images")

    def _config(self) -> Path:
        return self.pipeline_config or self.graph.parent / "pipeline.config"

    def _label_map(self) -> Path:
        return self.label_map or self.graph.parent / "label_map.pbtxt"
