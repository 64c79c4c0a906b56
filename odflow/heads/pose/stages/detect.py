"""The stage `pose.detect`: find the joints of people with an exported model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from odflow.errors import ConfigError, InputError, TableError, nearest
from odflow.formats.images import MOST_PIXELS, PIXELS_OPENED
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, InputPath, OutputFile, OutputFolder, Stage, output

if TYPE_CHECKING:
    import pandas as pd

    from odflow.graph.checking import Checking
    from odflow.heads.pose.people import People
    from odflow.heads.pose.settings import PoseModel
    from odflow.heads.pose.skeleton import Skeleton

_NAMED_AT_MOST = 20


class Detect(Stage):
    """Find the joints of people, and draw their skeletons."""

    version: ClassVar[int] = 3
    packages: ClassVar[tuple[str, ...]] = ("tensorflow",)

    model: InputPath = Field(
        description="exported folder of pose.export, or in it the frozen graph (.pb) or SavedModel folder"
    )
    images: InputFolder = Field(description="folder of images; without a table each is of one person")
    detections: InputFile | None = Field(
        None, description="table of boxes, CSV or Parquet, as detect writes it: look for a person in each"
    )
    person_class: str = Field("person", description="class of the detections that are people")
    min_score: float = Field(0.5, ge=0, le=1, description="lowest score of these detections, 0 to 1")
    persons: InputFile | None = Field(
        None, description="table of keypoints: look for each person of it, cut out as training does"
    )
    split: str | None = Field(None, description="only people of this split of that table, train or test")
    image_list: InputFile | None = Field(
        None, description="only people of that table in these images, one name a line; all if left out"
    )
    margin: float | None = Field(
        None,
        ge=0,
        description="room around a person's box as a share of the body height; the model's own if left out",
    )
    count: int = Field(12, ge=0, description="pictures to draw, chosen evenly over the sorted file names")
    min_joint_score: float = Field(0.1, ge=0, le=1, description="lowest score of a joint to draw, 0 to 1")
    max_pixels: int = Field(
        MOST_PIXELS,
        ge=1,
        le=PIXELS_OPENED,
        description="images with more pixels are unreadable: they are counted, named and left out",
    )

    keypoints: OutputFile = output(
        "keypoints.csv", "one row a person; coordinates and a score for each joint"
    )
    pictures: OutputFolder = output("pictures", "images with the skeletons drawn on (JPEG)")

    @model_validator(mode="after")
    def _one_table(self) -> Detect:
        if self.detections is not None and self.persons is not None:
            raise ValueError("give either detections or persons, a table that says where people are")
        return self

    def check(self, checking: Checking) -> None:
        """See that there are a model of poses, images, and boxes of people."""
        from odflow.checks import check_image_folder, table_of
        from odflow.heads.pose.settings import POSE

        if checking.given("model"):
            checking.passes(lambda: POSE.exported_model(self.model), "model")
        check_image_folder(checking, "images")
        boxes = table_of(checking, "detections", "images")
        if boxes and self.person_class not in boxes.classes:
            near = nearest(self.person_class, boxes.classes)
            checking.problem(f'the table has no class "{self.person_class}".{near}', "person_class")

    def run(self, job: Job) -> None:
        """Find, write the table, draw; unreadable images are counted and named."""
        from odflow.formats.keypoints import write_keypoints
        from odflow.heads.pose.detection import find_joints, table_of
        from odflow.heads.pose.settings import POSE

        model = POSE.exported_model(self.model)
        people = self._people(job, model)
        looks = find_joints(self.model, model.crop, people, job.map, self.max_pixels)
        looked = job.progress(looks, total=len(people), unit="image")
        table, unreadable = table_of(looked, model.skeleton.joints)
        self._report(job, table, len(people), unreadable)
        write_keypoints(table, self.keypoints)
        self._draw(table, model.skeleton)

    def _people(self, job: Job, model: PoseModel) -> Sequence[People]:
        from odflow.formats.image_search import search_images
        from odflow.formats.keypoints import read_keypoints
        from odflow.heads.pose.people import People, annotated_people, chosen, detected_people

        margin = model.crop.margin if self.margin is None else self.margin
        if self.detections is not None:
            if model.crop.whole:
                raise ConfigError(f"{self.model}: was trained on whole images; leave out detections.")
            return detected_people(self._boxes(job, self.detections), self.images, margin)
        if self.persons is None:
            found = search_images(self.images)
            job.leave_out(*found.left_out)
            return [People(image) for image in found.images]
        joints = model.skeleton.joints
        table = chosen(read_keypoints(self.persons, joints), self.persons, self.split, self.image_list)
        people, nowhere = annotated_people(table, self.images, joints, margin)
        _warn(job, "left out", nowhere)
        if nowhere:
            job.say(f"{len(nowhere)} of {len(table)} people left out, who have no place in their image")
        return people

    def _boxes(self, job: Job, path: Path) -> pd.DataFrame:
        """The people among the detections."""
        from odflow.formats.class_ids import tell_unknown
        from odflow.formats.detections import read_detections

        table = read_detections(path, self.images)
        tell_unknown(job, table["class"], path)
        classes = sorted(set(table["class"]))
        if classes and self.person_class not in classes:
            raise TableError(
                f'{path}: has no class "{self.person_class}".{nearest(self.person_class, classes)}'
            )
        return table[(table["class"] == self.person_class) & (table["score"] >= self.min_score)]

    def _report(self, job: Job, table: pd.DataFrame, images: int, unreadable: Sequence[str]) -> None:
        _warn(job, "unreadable", unreadable)
        if unreadable and len(unreadable) == images:
            raise InputError(
                f"{self.images}: none of its {images} images can be read. First: {unreadable[0]}"
            )
        if unreadable:
            job.count("images_unreadable", len(unreadable))
        broken = f", {len(unreadable)} unreadable" if unreadable else ""
        job.say(f"{len(table)} people in {images - len(unreadable)} images{broken}")

    def _draw(self, table: pd.DataFrame, skeleton: Skeleton) -> None:
        import numpy as np

        from odflow.formats.contact_sheet import evenly
        from odflow.formats.images import read_image
        from odflow.heads.pose.drawing import draw_skeletons

        self.pictures.mkdir()
        columns = [f"{joint}_{part}" for joint in skeleton.joints for part in ("x", "y", "score")]
        shape = (-1, len(skeleton.joints), 3)
        for number, name in enumerate(evenly(table["filename"], self.count)):
            rows = table.loc[table["filename"] == name, columns].to_numpy(np.float64)
            picture = read_image(self.images / name, self.max_pixels)
            drawn = draw_skeletons(picture, rows.reshape(shape), skeleton, least=self.min_joint_score)
            drawn.save(self.pictures / f"{number:03}_{Path(name).stem}.jpg", "JPEG", quality=90)


def _warn(job: Job, of_what: str, lines: Sequence[str]) -> None:
    for line in lines[:_NAMED_AT_MOST]:
        job.log.warning("%s: %s", of_what, line)
    if len(lines) > _NAMED_AT_MOST:
        job.log.warning("%s: and %d more", of_what, len(lines) - _NAMED_AT_MOST)
