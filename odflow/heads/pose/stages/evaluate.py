"""The stage `pose.evaluate`: how near a model finds people's joints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from odflow.errors import InputError
from odflow.formats.images import MOST_PIXELS, PIXELS_OPENED
from odflow.graph.job import Job
from odflow.graph.stage import InputFile, InputFolder, InputPath, OutputFile, Stage, output

if TYPE_CHECKING:
    import pandas as pd

    from odflow.graph.checking import Checking
    from odflow.heads.pose.measures import Metrics, Truth
    from odflow.heads.pose.settings import PoseModel
    from odflow.heads.pose.skeleton import Skeleton
    from odflow.ops.keypoint_metrics import CorrectKeypoints


class Evaluate(Stage):
    """Measure a pose model, or what it found, against true keypoints."""

    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "matplotlib")

    keypoints: InputFile = Field(description="true keypoints, CSV or Parquet")
    split: str | None = Field(None, description="only people of this split of that table, train or test")
    image_list: InputFile | None = Field(
        None, description="only people in these images, one name a line; all if left out"
    )
    model: InputPath | None = Field(
        None, description="exported folder of pose.export; people are cut out by their true joints"
    )
    images: InputFolder | None = Field(None, description="folder of the images, for the model")
    predictions: InputFile | None = Field(
        None, description="instead of model: table that pose.detect wrote for these people"
    )
    skeleton: str | None = Field(
        None, description="mpii, flic, lsp, coco, or a JSON file; for predictions, a model has its own"
    )
    train_keypoints: InputFile | None = Field(
        None, description="keypoints that the mean pose is learned from, the baseline to beat"
    )
    train_split: str | None = Field(None, description="only people of this split of train_keypoints")
    max_pixels: int = Field(
        MOST_PIXELS,
        ge=1,
        le=PIXELS_OPENED,
        description="images with more pixels are unreadable",
    )

    metrics: OutputFile = output(
        "metrics.json", "PCK, PCKh, and AP for skeletons with COCO's sigmas, 0 to 1; also per joint"
    )
    curves: OutputFile = output("pck.png", "PCK against its threshold, per joint")

    @model_validator(mode="after")
    def _one_source(self) -> Evaluate:
        if (self.model is None) == (self.predictions is None) or (self.model is None) != (
            self.images is None
        ):
            raise ValueError("give either model together with images, or predictions")
        if (self.model is None) == (self.skeleton is None):
            raise ValueError("give skeleton with predictions, and only then: a model has its own")
        return self

    def check(self, checking: Checking) -> None:
        """See that there are a model of poses and images, or that the skeleton is known."""
        from odflow.checks import check_image_folder
        from odflow.heads.pose.settings import POSE
        from odflow.heads.pose.skeleton import read_skeleton

        model, skeleton = checking.given("model"), self.skeleton
        if model:
            checking.passes(lambda: POSE.exported_model(model), "model")
        if skeleton is not None:
            checking.passes(lambda: read_skeleton(skeleton), "skeleton")
        check_image_folder(checking, "images")

    def run(self, job: Job) -> None:
        """Find where asked to, compare, write figures and curves."""
        from odflow.heads.pose.curves import plot_curves
        from odflow.heads.pose.measures import metrics_of
        from odflow.heads.pose.settings import POSE
        from odflow.heads.pose.skeleton import read_skeleton

        model = POSE.exported_model(self.model) if self.model is not None else None
        skeleton = model.skeleton if model else read_skeleton(str(self.skeleton))
        truth = self._truth(skeleton, self.keypoints, self.split, self.image_list)
        found = self._found(job, truth, model)
        joints, missed = truth.matched(found)
        if missed:
            job.say(
                f"{missed} of {len(truth.table)} people were not looked for: none of their joints is found"
            )
        correct = truth.correct(joints)
        if not correct[0].persons:
            raise InputError(f"{self.keypoints}: nobody's torso is labelled; nothing to measure.")
        baseline = self._baseline(truth)
        metrics = metrics_of(correct) | {
            f"baseline/{key}": value for key, value in metrics_of(baseline).items()
        }
        metrics |= truth.similarity(found) if skeleton.sigmas else {}
        text = json.dumps(metrics, indent=2, sort_keys=True) + "\n"
        self.metrics.write_text(text, "utf-8")
        plot_curves(correct, baseline, self.curves)
        _tell(job, correct, metrics)

    def _truth(
        self, skeleton: Skeleton, path: Path, split: str | None, image_list: Path | None = None
    ) -> Truth:
        from odflow.formats.keypoints import read_keypoints
        from odflow.heads.pose.measures import Truth
        from odflow.heads.pose.people import chosen

        table = read_keypoints(path, skeleton.joints)
        return Truth(chosen(table, path, split, image_list), skeleton)

    def _found(self, job: Job, truth: Truth, model: PoseModel | None) -> pd.DataFrame:
        from odflow.formats.keypoints import read_keypoints
        from odflow.heads.pose.detection import find_joints, table_of
        from odflow.heads.pose.people import annotated_people

        if model is None:
            assert self.predictions is not None  # the validator saw to it
            return read_keypoints(self.predictions, truth.skeleton.joints)
        assert self.model is not None
        assert self.images is not None
        joints = model.skeleton.joints
        people, _ = annotated_people(truth.table, self.images, joints, model.crop.margin)
        looks = find_joints(self.model, model.crop, people, job.map, self.max_pixels)
        table, unreadable = table_of(job.progress(looks, total=len(people), unit="image"), joints)
        if unreadable:
            raise InputError(f"{unreadable[0]} Metrics need every image: mend it, or take it out.")
        return table

    def _baseline(self, truth: Truth) -> list[CorrectKeypoints]:
        if self.train_keypoints is None:
            return []
        others = self._truth(truth.skeleton, self.train_keypoints, self.train_split)
        return truth.correct(truth.baseline(others))


def _tell(job: Job, correct: list[CorrectKeypoints], metrics: Metrics) -> None:
    from odflow.ops.keypoint_metrics import OKS_AP, PCK, PCKH

    for one, name in zip(correct, (PCK, PCKH), strict=False):
        beside = metrics.get(f"baseline/{name}")
        mean_pose = "" if beside is None else f" (mean pose {beside:.4f})"
        left_out = f", {one.left_out} without a length to measure by left out" if one.left_out else ""
        job.say(f"{name} {metrics[name]:.4f}{mean_pose} of {one.persons} people{left_out}")
        joints = {joint: metrics[f"{name}/{joint}"] for joint in one.curves()}
        job.say(f"{name} per joint: " + ", ".join(f"{joint} {value:.3f}" for joint, value in joints.items()))
    if metrics.get(OKS_AP) is not None:
        job.say(f"keypoint AP {metrics[OKS_AP]:.4f} by COCO's similarity")
