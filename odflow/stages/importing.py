"""The stage `import`: annotations of other tools as odflow's table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from odflow.errors import InputError
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, InputPath, OutputFile, Stage, output
from odflow.left_out import Faults, LeftOut, first_names

if TYPE_CHECKING:
    from odflow.formats.annotations import Annotations
    from odflow.formats.drawn_boxes import PlacedBoxes
    from odflow.formats.image_search import ImageFile, ImageSearch
    from odflow.graph.checking import Checking


class Import(Stage):
    """Turn annotations of another form into odflow's table of boxes."""

    version: ClassVar[int] = 4

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
    names: InputFile | None = Field(
        None,
        description="yolo: the file that names the classes: YAML with names:, or one name a line "
        "(classes.txt, obj.names)",
    )
    exif: Literal["upright", "stored"] | None = Field(
        None,
        description="where EXIF turns an image, the picture that boxes were drawn on: upright, as viewers "
        "show it, or as stored (boxes are turned along). Left out: the size in the XML file tells; where "
        "nothing tells, upright is taken and the images are counted",
    )
    skip_bad: bool = Field(
        False,
        description="leave out the images of which an annotation is wrong, whole and counted, instead of "
        "stopping (an image that lacks some of its boxes would teach that nothing is there)",
    )

    table: OutputFile = output("annotations.csv", "the boxes, score 1 where the annotation has none")
    listed: OutputFile = output(
        "images.txt", "names of the annotated images, one a line; those that show nothing too"
    )

    @model_validator(mode="after")
    def _yolo_needs_names(self) -> Import:
        if self.format == "yolo" and self.names is None:
            raise ValueError("yolo needs names: the file that names the classes, YAML or one a line")
        return self

    def check(self, checking: Checking) -> None:
        """The kind of the annotations, the images, and the names of the classes."""
        from odflow.checks import check_image_folder
        from odflow.formats.class_names import read_class_names
        from odflow.formats.expected import ExpectedTable

        annotations, names = checking.given("annotations"), checking.given("names")
        if annotations is not None and annotations.is_dir() == (self.format == "labels_json"):
            wanted = "file" if self.format == "labels_json" else "folder"
            checking.problem(f"{annotations} is no {wanted}, as {self.format} needs it.", "annotations")
        if self.format == "yolo" and names is not None:
            found = checking.attempt(lambda: read_class_names(names), "names")
            checking.expect("table", found and ExpectedTable(frozenset(found.values())))
        check_image_folder(checking, "images")

    def run(self, job: Job) -> None:
        """Write the table and the list of the images that it is about."""
        from odflow.formats.annotations import place_boxes
        from odflow.formats.detection_writer import write_detections
        from odflow.formats.image_list import write_image_list
        from odflow.formats.image_search import search_images

        found = search_images(self.images)
        job.leave_out(*found.left_out)
        annotations = self._annotations(found)
        images = self._annotated(job, annotations, found.images)
        placed = place_boxes(annotations, job.progress(images, unit="image"), self.exif)
        bad = self._bad(job, annotations, placed, len(images))
        if placed.empty and not placed.rows:
            raise InputError(
                f"{job.name}: none of the {len(placed.empty)} boxes has an area inside its image "
                f"({first_names(dict.fromkeys(placed.empty))}). Give the images that were annotated."
            )
        job.leave_out(*placed.told())
        boxes = placed.table() if self.format == "voc" else placed.table().drop(columns="difficult")
        write_detections(boxes, self.table)
        write_image_list(self.listed, (image.name for image in images if image.name not in bad))
        job.say(f"{len(images) - len(bad)} images, {len(boxes)} boxes of {boxes['class'].nunique()} classes")

    def _annotations(self, found: ImageSearch) -> Annotations:
        from odflow.formats import annotations
        from odflow.formats.images import ImageFile

        if self.format == "labels_json":
            return annotations.labels_json_annotations(self.annotations, found.images)
        names = (name for kind in found.left_out if kind.name.startswith("images_") for name in kind.names)
        unread = [ImageFile(name, self.images / name) for name in names]
        if self.format == "yolo" and self.names is not None:
            return annotations.yolo_annotations(self.annotations, found.images, self.names, unread)
        return annotations.voc_annotations(self.annotations, found.images, unread)

    def _annotated(self, job: Job, annotations: Annotations, images: list[ImageFile]) -> list[ImageFile]:
        """The images to import; what lacks its other half is told."""
        from odflow.formats.annotation_match import check_match

        what, known = annotations.what, annotations.known
        check_match(annotations, images, self.annotations, all_meant=self.image_list is None)
        strange = f"{_plural(what)} left out, since they have no image"
        strangers, advice = annotations.strangers, "Add the images, or remove these."
        job.leave_out(LeftOut("annotations_without_image", len(strangers), strange, strangers, advice))
        chosen = images if self.image_list is None else self._chosen(job, self.image_list, images)
        bare = [image.name for image in chosen if image.name not in known]
        if bare and self.image_list and not annotations.blank and not self.skip_bad:
            raise InputError(
                f"{job.name}: {self.annotations} has no {what} for {first_names(bare)} ({len(bare)} of "
                f"{len(chosen)} images of {self.image_list} lack theirs). Add them, or set skip_bad: true."
            )
        left_out = f"images left out, since they have no {what}"
        told = f"images have no {what}: taken to show nothing" if annotations.blank else left_out
        job.leave_out(LeftOut("images_without_annotation", len(bare), told, bare))
        return chosen if annotations.blank else [image for image in chosen if image.name in known]

    def _chosen(self, job: Job, image_list: Path, images: list[ImageFile]) -> list[ImageFile]:
        from odflow.formats.annotation_match import choose_images

        chosen, faults = choose_images(image_list, images, self.images)
        if not self.skip_bad or not chosen:
            faults.raise_all()
        told = "lines of the image list left out, since they name no image"
        job.leave_out(LeftOut("lines_without_image", len(faults.lines), told, faults.lines))
        return chosen

    def _bad(self, job: Job, annotations: Annotations, placed: PlacedBoxes, total: int) -> set[str]:
        """Names of the images that are left out, since something is wrong with their annotations."""
        faults, bad = Faults(), {*placed.faults, *placed.unreadable}
        wrong = [line for lines in placed.faults.values() for line in lines]
        for line in dict.fromkeys([*annotations.loose, *placed.unreadable.values(), *wrong]):
            faults.add(line)
        if not self.skip_bad or len(bad) == total:
            faults.raise_all(advice=f"Mend them, or set skip_bad: true to leave {len(bad)} images out.")
        first = f"The first: {faults.lines[0]}" if faults.lines else ""
        unfit = "images left out, since their annotations are wrong"
        loose = f"{_plural(annotations.what)} left out, since they are wrong"
        unread = list(placed.unreadable)
        job.leave_out(
            LeftOut("images_with_bad_annotations", len(placed.faults), unfit, list(placed.faults), first),
            LeftOut("images_unreadable", len(unread), "images left out, since they cannot be read", unread),
            LeftOut("bad_entries", len(annotations.loose), loose, (), first),
        )
        return bad


def _plural(what: str) -> str:
    return f"{what}s" if not what.endswith("y") else f"{what[:-1]}ies"
