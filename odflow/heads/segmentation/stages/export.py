"""The stage `segmentation.export`: a trained segmentation network as graphs that anything can run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from odflow.export_stage import ExportStage

if TYPE_CHECKING:
    from odflow.inference.head_graph import Head
    from odflow.training.export.head_graph import Sameness


class Export(ExportStage):
    """Turn a trained segmentation network into a frozen graph and a SavedModel.

    Input `image_tensor`: uint8 (N, height, width, 3) RGB of any size. Output `masks`: uint8
    (N, height, width), the number of the class of each pixel, of exactly the images' own
    height and width. Both files are loaded again and must find what the checkpoint finds.
    The frozen graph of the same weights is the same to the byte; a SavedModel holds a
    fingerprint of TensorFlow's that differs each time.
    """

    def _head(self) -> Head[Any]:
        from odflow.heads.segmentation.settings import SEGMENTATION

        return SEGMENTATION

    def _sameness(self) -> Sameness:
        from odflow.heads.segmentation.sameness import SAME_PIXELS

        return SAME_PIXELS

    def _summary(self, model: Any) -> str:
        return f"{len(model.classes)} classes: {', '.join(model.classes)}"
