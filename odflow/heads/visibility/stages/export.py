"""The stage `visibility.export`: a trained visibility network as graphs that anything can run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from odflow.export_stage import ExportStage

if TYPE_CHECKING:
    from odflow.inference.head_graph import Head
    from odflow.training.export.head_graph import Sameness


class Export(ExportStage):
    """Turn a trained visibility network into a frozen graph and a SavedModel.

    Input `image_tensor`: uint8 (N, height, width, 3) RGB of any size, which is stretched to the
    network's input. Output `scores`: float32 (N, classes), 0 to 1, in the order of the classes in
    visibility.json. Both files are loaded again and must find what the checkpoint finds.
    The frozen graph of the same weights is the same to the byte; a SavedModel holds a
    fingerprint of TensorFlow's that differs each time.
    """

    def _head(self) -> Head[Any]:
        from odflow.heads.visibility.settings import VISIBILITY

        return VISIBILITY

    def _sameness(self) -> Sameness:
        from odflow.heads.visibility.sameness import SAME_SCORES

        return SAME_SCORES

    def _summary(self, model: Any) -> str:
        return f"classes: {', '.join(model.names)}"
