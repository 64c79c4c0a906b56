"""The stage `pose.export`: a trained pose network as graphs that anything can run."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from odflow.errors import InputError
from odflow.graph.job import Job
from odflow.graph.stage import InputFolder, InputPath, OutputFolder, Stage, output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHECKED_AT_MOST = 20


class Export(Stage):
    """Turn a trained pose network into a frozen graph and a SavedModel.

    Input `image_tensor`: uint8 (N, height, width, 3) RGB of any size, each image filled by
    its person; an image of other proportions than the network's input is set on black.
    Output `keypoints`: float32 (N, joints, 3), y x score, y and x as shares of the image's
    height and width. Both files are loaded again and must find what the checkpoint finds.
    The frozen graph of the same weights is the same to the byte; a SavedModel holds a
    fingerprint of TensorFlow's that differs each time.
    """

    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    trained: InputFolder = Field(description="what the stage pose.train made")
    check_images: InputPath | None = Field(
        None,
        description="images, a folder or a list file, in which each file must find what the checkpoint "
        f"does (the first {CHECKED_AT_MOST} are used); drawn ones if left out",
    )

    exported: OutputFolder = output(
        "exported", "frozen_inference_graph.pb, saved_model/, checkpoint/, pose.json"
    )

    def also_reads(self) -> Iterable[Path]:
        """The images that a list file names."""
        from odflow.formats.images import find_images

        if self.check_images is None or self.check_images.is_dir():
            return []
        return [image.path for image in find_images(self.check_images)]

    def run(self, job: Job) -> None:
        """Build the network around the trained weights, write it out, and check what was written."""
        from odflow.heads.pose.exported import FROZEN_GRAPH, SAVED_MODEL, SETTINGS
        from odflow.heads.pose.graph import check, trained_graph, write_frozen_graph, write_saved_model
        from odflow.heads.pose.settings import read_model

        if not (self.trained / "checkpoint").is_dir():
            raise InputError(f"{self.trained}: has no checkpoint; wanted: the folder that pose.train wrote.")
        model = read_model(self.trained / SETTINGS)
        graph = trained_graph(model, self.trained)
        self.exported.mkdir()
        forms = {FROZEN_GRAPH: write_frozen_graph, SAVED_MODEL: write_saved_model}
        for name, write in job.progress(forms.items(), total=len(forms), unit="file"):
            file = self.exported / name
            write(graph, file)
            job.say(f"{name}, {_megabytes(file):.1f} MB: {check(file, graph, self._pictures()).summary()}")
        shutil.copyfile(self.trained / SETTINGS, self.exported / SETTINGS)
        shutil.copytree(
            self.trained / "checkpoint", self.exported / "checkpoint", copy_function=shutil.copyfile
        )
        job.say(f"{len(model.skeleton.joints)} joints of {model.skeleton.name}")

    def _pictures(self) -> Iterator[NDArray[np.uint8]]:
        if self.check_images is None:
            from odflow.training.export.drawn_images import drawn_images

            yield from drawn_images()
            return
        from odflow.formats.images import find_images, read_image

        for image in find_images(self.check_images)[:CHECKED_AT_MOST]:
            yield read_image(image.path)


def _megabytes(path: Path) -> float:
    return sum(one.stat().st_size for one in (path, *path.rglob("*")) if one.is_file()) / 1e6
