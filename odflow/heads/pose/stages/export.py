"""The stage `pose.export`: a trained pose network as graphs that anything can run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from odflow.export_stage import ExportStage

if TYPE_CHECKING:
    from odflow.inference.head_graph import Head
    from odflow.training.export.head_graph import Sameness


class Export(ExportStage):
    """Turn a trained pose network into a frozen graph and a SavedModel.

    Input `image_tensor`: uint8 (N, height, width, 3) RGB of any size, each image filled by
    its person; an image of other proportions than the network's input is set on black.
    Output `keypoints`: float32 (N, joints, 3), y x score, y and x as shares of the image's
    height and width. Both files are loaded again and must find what the checkpoint finds.
    The frozen graph of the same weights is the same to the byte; a SavedModel holds a
    fingerprint of TensorFlow's that differs each time.
    """

    def _head(self) -> Head[Any]:
        from odflow.heads.pose.settings import POSE

        return POSE

    def _sameness(self) -> Sameness:
        from odflow.heads.pose.sameness import SAME_JOINTS

        return SAME_JOINTS

    def _summary(self, model: Any) -> str:
        return f"{len(model.skeleton.joints)} joints of {model.skeleton.name}"
