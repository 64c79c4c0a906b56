"""The stage `render`: labelled pictures of made-up scenes, from Blender."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal
from zlib import crc32

from pydantic import ConfigDict, Field, field_validator, model_validator
from typing_extensions import TypedDict

from odflow.errors import ConfigError, InputError, nearest
from odflow.graph.job import Job
from odflow.graph.journal import Journal
from odflow.graph.stage import OutputFile, OutputFolder, Stage, output

if TYPE_CHECKING:
    from odflow.graph.checking import Checking
    from odflow.heads.render.recipe import Settings

_PRIMITIVES = ("cube", "sphere", "cone", "cylinder", "torus", "monkey")
_SUFFIXES = (".blend", ".obj", ".glb")
_MOST_CLASSES = 254  # 255 in a mask is "ignore"
_TAKEN = ("background", "ignore")
_NUMBER = re.compile(r"\.\d{3,}$")
_HOW_CALLED = "masks know background and ignore, and in labels.json box.001 is one more box"

Metres = Annotated[float, Field(gt=0, le=50)]
Degrees = Annotated[float, Field(ge=-360, le=360)]
Elevation = Annotated[float, Field(ge=1, le=90)]
Count = Annotated[int, Field(ge=0, le=100)]


class Render(Stage):
    """Render labelled scenes: objects dropped on the ground, seen from anywhere."""

    resumes: ClassVar[bool] = True
    packages: ClassVar[tuple[str, ...]] = ("bpy",)

    count: int = Field(ge=1, le=1_000_000, description="number of pictures")
    width: int = Field(320, ge=16, le=8192, description="of a picture, pixels")
    height: int = Field(240, ge=16, le=8192, description="of a picture, pixels")
    samples: int = Field(16, ge=1, le=4096, description="rays a pixel: more take longer and are less grainy")
    seed: int = Field(0, description="of all that is drawn: same seed, same pictures")
    objects: dict[str, str] = Field(
        {name: name for name in _PRIMITIVES[:5]},
        description=f"CLASS=MODEL: a primitive ({', '.join(_PRIMITIVES)}) or a .blend, .obj or .glb file",
    )
    objects_per_image: tuple[Count, Count] = Field((2, 6), description="fewest and most in a scene")
    min_visible: float = Field(
        0.25,
        ge=0,
        le=1,
        description="an object of which less can be seen is not labelled; share of the pixels that it "
        "would cover if nothing were before it and the picture had no edge",
    )
    figure_share: float = Field(
        0, ge=0, le=1, description="of the scenes: they have a figure with 14 joints, of the class figure"
    )
    light: Literal["any", "sun", "area"] = Field("any", description="kind of the lamp")
    ground: Literal["any", "plain", "checker", "bricks", "noise", "waves", "cells"] = Field(
        "any", description="texture of the ground"
    )
    distance: tuple[Metres, Metres] = Field((4, 7), description="camera to scene, lowest and highest, metres")
    elevation: tuple[Elevation, Elevation] = Field((12, 60), description="of the camera, degrees")
    azimuth: tuple[Degrees, Degrees] = Field((0, 360), description="of the camera, degrees")
    image_format: Literal["png", "jpeg"] = Field("png", description="of the pictures")

    images: OutputFolder = output("images", "the pictures")
    masks: OutputFolder = output("masks", "PNG of each picture: class ids, 0 background, 255 not labelled")
    labels: OutputFile = output("labels.json", "boxes as shares, y from the bottom")
    annotations: OutputFile = output("annotations.csv", "boxes of the visible pixels")
    keypoints: OutputFile = output("keypoints.csv", "the figures' joints")
    listed: OutputFile = output(
        "images.txt", "names of the pictures, one a line; those that show nothing too"
    )
    label_map: OutputFile = output("label_map.pbtxt", "ids of the classes")
    class_names: OutputFile = output("classes.json", "the class of each number that the masks hold")

    @field_validator("objects")
    @classmethod
    def _known_models(cls, objects: dict[str, str]) -> dict[str, str]:
        if not 1 <= len(objects) < _MOST_CLASSES:
            raise ValueError(f"wanted 1 to {_MOST_CLASSES - 1} classes, found {len(objects)}")
        for label, model in objects.items():
            if not label.isprintable() or label != label.strip() or not label:
                raise ValueError(f"{label!r} is no name of a class (of {model})")
            if label in _TAKEN or _NUMBER.search(label):
                raise ValueError(f'a class cannot be called "{label}": {_HOW_CALLED}')
            if model not in _PRIMITIVES and Path(model).suffix.lower() not in _SUFFIXES:
                near = nearest(model, _PRIMITIVES)
                raise ValueError(
                    f'{label}: "{model}" is no primitive and no .blend, .obj or .glb file.{near}'
                )
        return objects

    @field_validator("objects_per_image", "distance", "elevation", "azimuth")
    @classmethod
    def _lowest_first(cls, limits: tuple[float, float]) -> tuple[float, float]:
        if limits[1] < limits[0]:
            raise ValueError(f"{limits[0]:g} is above {limits[1]:g}; wanted the lowest first")
        return limits

    @model_validator(mode="after")
    def _one_figure(self) -> Render:
        if self.figure_share and "figure" in self.objects:
            raise ValueError("the class figure is the articulated figure; call the object otherwise")
        return self

    def check(self, checking: Checking) -> None:
        """See that Blender and the models are there."""
        checking.need_package("bpy", "blender")
        checking.passes(self._check_models, "objects")

    def also_reads(self) -> Iterable[Path]:
        """The models."""
        return [path for path in self._files() if path.is_file()]

    def run(self, job: Job) -> None:
        """Render what a stopped run left, then write the tables."""
        self._check_models()
        if find_spec("bpy") is None:
            raise ConfigError(f'{job.name}: Blender is not installed. Use: pip install "odflow[blender]"')
        for folder in (self.images, self.masks):
            folder.mkdir(exist_ok=True)
        with Journal(job.staging / "journal", _Picture) as journal:
            made = {picture["number"]: picture for picture in self._pictures(job, journal)}
        self._write(job, self._settings(), [made[number] for number in range(self.count)])

    def _check_models(self) -> None:
        lacking = [str(path) for path in self._files() if not path.is_file()]
        if lacking:
            raise InputError(f"there is no model {', '.join(lacking)}. Give a file that is there.")

    def _pictures(self, job: Job, journal: Journal[_Picture]) -> Iterator[dict[str, Any]]:
        """What is in each picture: first those of a stopped run whose files are as it left them."""
        from odflow.heads.render.pool import render_pictures

        done = {one["number"]: one for one in journal if one["sums"] == self._sums(one["number"])}
        if done:
            job.log.info("goes on after %d of %d pictures", len(done), self.count)
        yield from map(dict, done.values())
        numbers = [number for number in range(self.count) if number not in done]
        pictures = render_pictures(self._settings(), self.images, self.masks, numbers, place=job.name)
        for picture in job.progress(pictures, total=len(numbers), unit="image"):
            number = picture["number"]
            journal.append({**picture, "sums": self._sums(number)}, *filter(Path.is_file, self._pair(number)))
            yield picture

    def _sums(self, number: int) -> list[int | None]:
        """The checksums of picture and mask."""
        return [crc32(file.read_bytes()) if file.is_file() else None for file in self._pair(number)]

    def _pair(self, number: int) -> tuple[Path, Path]:
        """The files of picture and mask."""
        settings = self._settings()
        return self.images / settings.picture_name(number), self.masks / settings.mask_name(number)

    def _write(self, job: Job, settings: Settings, pictures: list[dict[str, Any]]) -> None:
        from odflow.formats.detection_writer import write_detections
        from odflow.formats.image_list import write_image_list
        from odflow.formats.keypoints import write_keypoints
        from odflow.formats.label_map import Label, LabelMap
        from odflow.formats.labels_json import write_labels_json
        from odflow.formats.mask_classes import write_mask_classes
        from odflow.heads.render.tables import boxes_table, joints_table

        files = (self.annotations, self.labels, self.keypoints, self.listed, self.label_map, self.class_names)
        for file in files:
            file.unlink(missing_ok=True)  # a run that was stopped late may have left them read-only
        names = [settings.picture_name(picture["number"]) for picture in pictures]
        boxes = boxes_table(settings, pictures)
        people = joints_table(settings, pictures)
        write_detections(boxes, self.annotations)
        write_labels_json(boxes, self.labels, names, folder=self.images.name)
        write_keypoints(people, self.keypoints)
        write_image_list(self.listed, names)
        ids = dict(enumerate(settings.classes, 1))
        labels = LabelMap(tuple(Label(number, name) for number, name in ids.items()))
        self.label_map.write_text(labels.to_text(), encoding="utf-8")
        write_mask_classes(self.class_names, {0: "background", **ids})
        figures = f", {len(people)} figures with joints" if self.figure_share else ""
        job.say(f"{len(names)} pictures, {len(boxes)} boxes of {boxes['class'].nunique()} classes{figures}")
        lacking = sorted(set(settings.classes) - set(boxes["class"]))
        if lacking:
            job.say(f"no box of {', '.join(lacking)}")

    def _settings(self) -> Settings:
        from dataclasses import fields

        from odflow.heads.render.recipe import Settings

        return Settings(**{field.name: getattr(self, field.name) for field in fields(Settings)})

    def _files(self) -> list[Path]:
        return [Path(model) for _, model in sorted(self.objects.items()) if model not in _PRIMITIVES]


class _Picture(TypedDict):
    """An entry of the journal: what is in a picture, and the checksums of its files."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    number: int
    sums: list[int | None]
