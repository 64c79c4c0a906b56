"""What a scene holds, drawn from the seed and the picture's number alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Literal

from odflow.heads.render.figure import Figure, draw_figure

Color = tuple[float, float, float]
Point = tuple[float, float, float]
Range = tuple[float, float]

LIGHTS = ("sun", "area")
GROUNDS = ("plain", "checker", "bricks", "noise", "waves", "cells")

FIGURE = "figure"
"""The class of the articulated figure."""

_SPREAD = 1.1  # metres from the middle within which things fall
_HALF_DIAGONAL = math.sqrt(3) / 2  # of a cube of side 1: things are scaled to fit into one
_GAP = 0.05  # metres between things before they fall


@dataclass(frozen=True)
class Settings:
    """What all pictures of a run share; plain values, so that JSON holds it.

    Attributes:
        width, height: of a picture, pixels.
        samples: rays a pixel.
        seed: of everything that is drawn.
        objects: class to model: a primitive of `models`, or a path.
        objects_per_image: fewest and most.
        min_visible: share of its own pixels below which an object is not labelled.
        figure_share: of the scenes that have the articulated figure, 0 to 1.
        light, ground: one of `LIGHTS`, `GROUNDS`, or any.
        distance: metres from the camera to the middle of the scene.
        elevation, azimuth: of the camera, degrees.
        image_format: of the pictures.
    """

    width: int
    height: int
    samples: int
    seed: int
    objects: Mapping[str, str]
    objects_per_image: tuple[int, int]
    min_visible: float
    figure_share: float
    light: str
    ground: str
    distance: Range
    elevation: Range
    azimuth: Range
    image_format: Literal["png", "jpeg"]

    def picture_name(self, number: int) -> str:
        """The file name of a picture."""
        return f"{number:06}.{'png' if self.image_format == 'png' else 'jpg'}"

    def mask_name(self, number: int) -> str:
        """The file name of its mask."""
        return f"{number:06}.png"

    @property
    def classes(self) -> list[str]:
        """The classes in the order of their ids, which count from 1."""
        return sorted([*self.objects, *([FIGURE] if self.figure_share else [])])


@dataclass(frozen=True)
class Thing:
    """An object before it falls: class, size (longest side) and place in metres, radians."""

    label: str
    size: float
    place: Point
    rotation: Point
    color: Color
    roughness: float
    metallic: float


@dataclass(frozen=True)
class View:
    """A camera that looks at `target` (metres) from a distance in metres, angles in radians."""

    target: Point
    distance: float
    elevation: float
    azimuth: float


@dataclass(frozen=True)
class Light:
    """A lamp of a kind of `LIGHTS`, its direction in radians, its strength 0 to 1, and the sky's."""

    kind: str
    elevation: float
    azimuth: float
    strength: float
    softness: float
    sky: Color


@dataclass(frozen=True)
class Ground:
    """A texture of a kind of `GROUNDS`, features a metre, and its two colours."""

    kind: str
    scale: float
    colors: tuple[Color, Color]


@dataclass(frozen=True)
class Recipe:
    """One scene."""

    things: tuple[Thing, ...]
    figure: Figure | None
    view: View
    light: Light
    ground: Ground
    noise_seed: int


def draw_recipe(settings: Settings, number: int) -> Recipe:
    """Draw the scene of a picture.

    Args:
        settings: of the run; how many pictures it has is not among them: a longer one begins alike.
        number: of the picture, from 0.
    """
    random = Random(f"{settings.seed}/{number}")
    figure = draw_figure(random) if random.random() < settings.figure_share else None
    return Recipe(
        things=_things(random, settings, figure),
        figure=figure,
        view=_view(random, settings),
        light=_light(random, settings.light),
        ground=_ground(random, settings.ground),
        noise_seed=random.randrange(2**31),
    )


def _things(random: Random, settings: Settings, figure: Figure | None) -> tuple[Thing, ...]:
    things: list[Thing] = []
    for _ in range(random.randint(*settings.objects_per_image)):
        size = random.uniform(0.4, 0.85)
        things.append(
            Thing(
                label=random.choice(sorted(settings.objects)),
                size=size,
                place=_place(random, size, things, figure),
                rotation=tuple(random.uniform(0, math.tau) for _ in range(3)),  # type: ignore[arg-type]
                color=_color(random),
                roughness=random.uniform(0.15, 0.95),
                metallic=random.choice((0.0, 0.0, 0.0, random.uniform(0.3, 1.0))),
            )
        )
    return tuple(things)


def _place(random: Random, size: float, things: list[Thing], figure: Figure | None) -> Point:
    """Somewhere above the ground, above the things that are below it, and beside the figure."""
    radius = size * _HALF_DIAGONAL
    angle, out = random.uniform(0, math.tau), _SPREAD * math.sqrt(random.random())
    x, y = out * math.cos(angle), out * math.sin(angle)
    if figure is not None:
        away = radius + figure.reach + _GAP
        from_figure = math.hypot(x - figure.x, y - figure.y)
        if from_figure < away:
            x, y = figure.x + away * math.cos(angle), figure.y + away * math.sin(angle)
    bottom = _GAP
    for other in things:
        other_radius = other.size * _HALF_DIAGONAL
        if math.hypot(x - other.place[0], y - other.place[1]) < radius + other_radius:
            bottom = max(bottom, other.place[2] + other_radius + _GAP)
    return x, y, bottom + radius


def _view(random: Random, settings: Settings) -> View:
    height = 0.8 if settings.figure_share else 0.3  # one for all: it does not give a figure away
    return View(
        target=(random.uniform(-0.3, 0.3), random.uniform(-0.3, 0.3), height),
        distance=random.uniform(*settings.distance),
        elevation=math.radians(random.uniform(*settings.elevation)),
        azimuth=math.radians(random.uniform(*settings.azimuth)),
    )


def _light(random: Random, kind: str) -> Light:
    sky = random.uniform(0.1, 0.45)
    return Light(
        kind=random.choice(LIGHTS) if kind == "any" else kind,
        elevation=math.radians(random.uniform(25, 80)),
        azimuth=random.uniform(0, math.tau),
        strength=random.random(),
        softness=random.random(),
        sky=(sky * random.uniform(0.7, 1), sky * random.uniform(0.8, 1), sky),
    )


def _ground(random: Random, kind: str) -> Ground:
    return Ground(
        kind=random.choice(GROUNDS) if kind == "any" else kind,
        scale=random.uniform(0.5, 4),
        colors=(_color(random), _color(random)),
    )


def _color(random: Random) -> Color:
    return random.uniform(0.03, 0.8), random.uniform(0.03, 0.8), random.uniform(0.03, 0.8)
