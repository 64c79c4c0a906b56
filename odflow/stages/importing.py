"""The stage `import`: annotations of other tools as odflow's table."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from odflow.errors import InputError, nearest
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, InputPath, OutputFile, Stage, output

if TYPE_CHECKING:
    import pandas as pd

    from odflow.formats.images import ImageFile


class Import(Stage):
    """Turn annotations of another form into odflow's table of boxes."""

    format: Literal["voc", "yolo", "labels_json"] = Field(
        description="form of the annotations: voc (one XML file an image), yolo (one text file an image) "
        "or labels_json (one file, as scripts in Blender write it: y from the bottom)"
    )
    annotations: InputPath = Field(
        description="folder of the annotation files, named like the images; labels_json: the file"
    )
    images: InputFolder = Field(description="folder of the images, with the folders in it")
    image_list: InputFile | None = Field(
        None, description="names of images, one a line, with or without extension: only these are imported"
    )
    names: InputFile | None = Field(None, description="yolo: YAML file with the class names under names:")

    table: OutputFile = output("annotations.csv", "the boxes, each with score 1")
    listed: OutputFile = output(
        "images.txt", "names of the annotated images, one a line; those that show nothing too"
    )

    @model_validator(mode="after")
    def _yolo_needs_names(self) -> Import:
        if self.format == "yolo" and self.names is None:
            raise ValueError("yolo needs names: the YAML file that names the classes")
        return self

    def run(self, job: Job) -> None:
        """Write the table and the list of the images that it is about."""
        from odflow.formats.detections import write_detections
        from odflow.formats.image_list import write_image_list
        from odflow.formats.images import find_images

        if self.annotations.is_dir() == (self.format == "labels_json"):
            wanted = "file" if self.format == "labels_json" else "folder"
            raise InputError(f"{job.name}: {self.annotations} is no {wanted}, as {self.format} needs it.")
        found = find_images(self.images)
        chosen = found if self.image_list is None else self._chosen(self.image_list, found)
        if self.format == "labels_json":
            boxes, images = self._read_labels_json(job, found, chosen)
        else:
            images = self._annotated(job, chosen)
            boxes = self._read(images)
        write_detections(boxes, self.table)
        write_image_list(self.listed, (image.name for image in images))
        job.say(f"{len(images)} images, {len(boxes)} boxes of {boxes['class'].nunique()} classes")

    def _chosen(self, image_list: Path, images: list[ImageFile]) -> list[ImageFile]:
        """The images of the list, which may leave out extensions."""
        from odflow.formats.image_list import list_lines

        known = {str(PurePosixPath(image.name).with_suffix("")): image for image in images}
        known |= {image.name: image for image in images}
        chosen: dict[str, ImageFile] = {}
        for place, line in list_lines(image_list):
            if line not in known:
                raise InputError(f'{place}: {self.images} has no image "{line}".{nearest(line, known)}')
            chosen[known[line].name] = known[line]
        if not chosen:
            raise InputError(f"{image_list}: names no image. Wanted: one a line.")
        return [chosen[name] for name in sorted(chosen)]

    def _annotated(self, job: Job, images: list[ImageFile]) -> list[ImageFile]:
        """VOC gives an image that shows nothing a file too: one without a file is not annotated."""
        from odflow.formats.voc import voc_file

        if self.format == "yolo":
            return images
        bare = {image.name for image in images if voc_file(self.annotations, image.name) is None}
        return self._without(job, bare, images, "XML file")

    def _without(self, job: Job, bare: set[str], images: list[ImageFile], what: str) -> list[ImageFile]:
        """The images but those that are not annotated, which a list may not name."""
        if bare and (self.image_list or len(bare) == len(images)):
            raise InputError(
                f"{job.name}: {self.annotations} has no {what} for {min(bare)} ({len(bare)} of "
                f"{len(images)} images lack theirs). Wanted: one named like the image."
            )
        if bare:
            job.say(f"{len(bare)} images without an {what} left out")
        return [image for image in images if image.name not in bare]

    def _read_labels_json(
        self, job: Job, found: list[ImageFile], chosen: list[ImageFile]
    ) -> tuple[pd.DataFrame, list[ImageFile]]:
        """An image that shows nothing has an entry too: one without is not annotated."""
        from odflow.formats.labels_json import read_labels_json

        labelled = read_labels_json(self.annotations, found)
        bare = {image.name for image in chosen} - {image.name for image in labelled.images}
        images = self._without(job, bare, chosen, "entry")
        return labelled.boxes[labelled.boxes["filename"].isin(image.name for image in images)], images

    def _read(self, images: list[ImageFile]) -> pd.DataFrame:
        from odflow.formats.voc import read_voc
        from odflow.formats.yolo import read_yolo, read_yolo_names

        if self.format == "yolo" and self.names is not None:
            return read_yolo(self.annotations, images, read_yolo_names(self.names))
        return read_voc(self.annotations, images)
