"""Export a trained detector the way the Object Detection API does."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from odflow.errors import InputError
from odflow.graph import InputFolder, InputPath, Job, OutputFolder, Stage, output

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from odflow.graph.checking import Checking

PARTS = ("pipeline.config", "label_map.pbtxt", "checkpoint")

FILES = {
    "frozen": "frozen_inference_graph.pb",
    "saved_model": "saved_model",
    "tflite": "detector.tflite",
    "tflite_int8": "detector_int8.tflite",
}


class Export(Stage):
    """Turn a trained detector into a frozen graph, a SavedModel, TFLite files.

    Each is loaded again and must detect what the checkpoint detects: scores within 1e-4
    and boxes within half a pixel; for int8, 70 percent of the clear detections with an IoU
    of 0.5. The frozen graph of the same weights is the same to the byte; a SavedModel
    holds a fingerprint of TensorFlow's that differs each time.
    """

    version: ClassVar[int] = 3
    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "tf-models-official")

    trained: InputFolder = Field(description="what the stage train made, or odapi.import-checkpoint")
    formats: list[Literal["frozen", "saved_model", "tflite", "tflite_int8"]] = Field(
        ["frozen", "saved_model"],
        min_length=1,
        description="what to write: " + ", ".join(f"{form} ({name})" for form, name in FILES.items()),
    )
    images: InputPath | None = Field(
        None, description="for tflite_int8: images like those that the detector will see; folder or list"
    )
    count: int = Field(100, ge=1, description="how many of these images set the ranges of int8")
    tflite_nms: Literal["per_class", "fast"] = Field(
        "per_class",
        description="how boxes are suppressed in TFLite files: per_class, as in the other files (let "
        "such a file run in one thread), or fast: each box stands for its best class",
    )
    check_images: InputPath | None = Field(
        None,
        description="images in which each file must detect what the checkpoint does (the first 20 are "
        "used); drawn ones if left out",
    )

    exported: OutputFolder = output(
        "exported", "the files of formats, checkpoint/, pipeline.config, label_map.pbtxt"
    )

    @model_validator(mode="after")
    def _ranges_of_int8(self) -> Export:
        if "tflite_int8" in self.formats and self.images is None:
            raise ValueError(
                "tflite_int8 needs images, some like those that the detector will see; the ranges of int8 "
                "are set by them"
            )
        return self

    def check(self, checking: Checking) -> None:
        """See that the detector was trained and can be written in these forms."""
        from odflow.checks import check_image_folder, trained_of
        from odflow.training.export.convertible import check_convertible

        for field in ("images", "check_images"):
            check_image_folder(checking, field)
        if checking.given("trained") and not checking.passes(self._check_parts, "trained"):
            return
        trained = trained_of(checking, "trained")
        checking.expect("exported", trained, names=[*PARTS, *(FILES[form] for form in self.formats)])
        if trained and trained.settings and {"tflite", "tflite_int8"} & set(self.formats):
            settings: Any = trained.settings
            checking.passes(lambda: check_convertible(settings), "formats")

    def also_reads(self) -> Iterable[Path]:
        """The images that list files name."""
        from odflow.formats.images import find_images

        lists = [path for path in (self.images, self.check_images) if path and not path.is_dir()]
        return [image.path for path in lists for image in find_images(path)]

    def run(self, job: Job) -> None:
        """Build the network of the trained config around the trained weights, and write it out."""
        self._check_parts()
        from odflow.odapi.names_alone import with_names_alone
        from odflow.odapi.pipeline_config import pipeline_config_text, read_pipeline_config
        from odflow.training.translation import translate

        config = read_pipeline_config(self.trained / "pipeline.config")
        source = str(self.trained / "pipeline.config")
        settings, _ = translate(config, source, to_train=False, inputs=False)
        detectors = self._detectors(settings)
        self.exported.mkdir()
        for form in job.progress(self.formats, unit="file"):
            self._write(form, detectors[form])
            job.say(self._checked(form, detectors[form]))
        (self.exported / "pipeline.config").write_text(
            pipeline_config_text(with_names_alone(config)), encoding="utf-8"
        )
        shutil.copyfile(self.trained / "label_map.pbtxt", self.exported / "label_map.pbtxt")
        shutil.copytree(
            self.trained / "checkpoint", self.exported / "checkpoint", copy_function=shutil.copyfile
        )
        job.say(f"{settings.model.num_classes} classes")

    def _detectors(self, settings: Any) -> dict[str, Any]:
        """What each form shall detect, by the one network of the checkpoint."""
        from odflow.training.detector import detector_architecture
        from odflow.training.export.graphs import Detector, trained_detector

        kind = detector_architecture(settings)
        lite = kind
        if {"tflite", "tflite_int8"} & set(self.formats):
            from odflow.training.export.convertible import check_convertible
            from odflow.training.export.tflite import class_agnostic

            check_convertible(settings)
            lite = detector_architecture(class_agnostic(settings)) if self.tflite_nms == "fast" else kind
        detector = trained_detector(kind, self.trained)
        light = Detector(detector.network, lite) if lite is not kind else detector
        return {form: light if form.startswith("tflite") else detector for form in self.formats}

    def _check_parts(self) -> None:
        for part in PARTS:
            if not (self.trained / part).exists():
                raise InputError(
                    f"{self.trained}: has no {part}; wanted: the folder that the stage train wrote."
                )

    def _write(self, form: str, detector: Any) -> None:
        from odflow.training.export.graphs import write_frozen_graph, write_saved_model

        file = self.exported / FILES[form]
        if form == "frozen":
            write_frozen_graph(detector, file)
        elif form == "saved_model":
            write_saved_model(detector, file)
        else:
            from odflow.training.export.tflite import convert

            assert form == "tflite" or self.images is not None
            images = _images(self.images, self.count) if form == "tflite_int8" else None
            file.write_bytes(convert(detector.kind, detector.network, images))

    def _checked(self, form: str, detector: Any) -> str:
        """Load what was written again, and say how it compares."""
        from odflow.training.export.check import EXACT, QUANTIZED, check, expect
        from odflow.training.export.drawn_images import images_to_check

        file = self.exported / FILES[form]
        expected = expect(detector, images_to_check(self.check_images))
        agreement = check(file, expected, QUANTIZED if form == "tflite_int8" else EXACT)
        size = sum(one.stat().st_size for one in (file, *file.rglob("*")) if one.is_file()) / 1e6
        return f"{FILES[form]}, {size:.1f} MB: {agreement.summary()}"


def _images(path: Path | None, at_most: int) -> Iterator[NDArray[np.uint8]]:
    from odflow.formats.images import find_images, read_image

    assert path is not None
    for image in find_images(path)[:at_most]:
        yield read_image(image.path)
