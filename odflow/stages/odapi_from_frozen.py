"""Make a frozen graph of the Object Detection API trainable again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from odflow.graph import InputFile, Job, OutputFolder, Stage, output


class FromFrozen(Stage):
    """Read the weights back out of a frozen graph, for whoever kept only the .pb.

    The result is what train writes: export, train and evaluate go on from it.
    """

    version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    graph: InputFile = Field(description="frozen_inference_graph.pb, as the API's TF1 exporter writes it")
    pipeline_config: InputFile | None = Field(
        None, description="the pipeline.config of its detector; the one beside the graph if left out"
    )
    label_map: InputFile | None = Field(
        None, description="its classes (.pbtxt); the label_map.pbtxt beside the graph if left out"
    )

    trained: OutputFolder = output("trained", "checkpoint/, pipeline.config, label_map.pbtxt, import.json")

    def also_reads(self) -> Iterable[Path]:
        """The config and the label map beside the graph."""
        return filter(Path.is_file, [self._config(), self._label_map()])

    def run(self, job: Job) -> None:
        """Build the config's network, give it the graph's weights, compare the two, save it."""
        from odflow.training.architecture import architecture
        from odflow.training.frozen_import import compare_with_graph, import_frozen_graph
        from odflow.training.trained_folder import Imported

        imported = Imported(self._config(), self._label_map())
        kind = architecture(imported.settings())
        network, report = import_frozen_graph(kind, self.graph)
        agreement = compare_with_graph(kind, network, self.graph, imported.pipeline_config)
        imported.write(network, report.to_json(), self.trained)
        job.say(report.summary())
        job.say(agreement.summary().replace("the checkpoint", "the graph"))

    def _config(self) -> Path:
        return self.pipeline_config or self.graph.parent / "pipeline.config"

    def _label_map(self) -> Path:
        return self.label_map or self.graph.parent / "label_map.pbtxt"
