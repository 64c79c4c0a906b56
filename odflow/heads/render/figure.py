"""The articulated figure: capsules between joints, in a pose drawn from joint angles.

It stands on z = 0 in metres, z up; before it is turned it looks along +y, and its right is +x.
Face, hair and feet show where its front is: left and right could not be told apart without.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

JOINTS = (
    "right_ankle",
    "right_knee",
    "right_hip",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_wrist",
    "right_elbow",
    "right_shoulder",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "neck",
    "head_top",
)
"""The joints of Leeds Sports Pose, in its order."""

PARTS = ("skin", "shirt", "trousers", "shoes", "hair")
"""What has a colour of its own."""

_DEPTH = {"ankle": 0.08, "knee": 0.1, "hip": 0.17, "wrist": 0.07, "elbow": 0.08, "shoulder": 0.16}
_SIDES = {"right": 1.0, "left": -1.0}


@dataclass(frozen=True)
class Capsule:
    """A tube with round ends, from `start` to `end`, metres.

    Attributes:
        part: index into `PARTS`.
    """

    start: Vector
    end: Vector
    radius: float
    part: int


@dataclass(frozen=True)
class Figure:
    """A figure in its pose.

    Attributes:
        joints: of `JOINTS`, each (3,) metres.
        capsules: what it is made of.
        colors: of `PARTS`, RGB 0 to 1.
        x, y: where it stands.
        reach: how far from there it extends over the ground, metres.
    """

    joints: Mapping[str, Vector]
    capsules: tuple[Capsule, ...]
    colors: tuple[tuple[float, float, float], ...]
    x: float
    y: float
    reach: float


def joint_depth(joint: str) -> float:
    """How deep in the body a joint lies at most, metres: less in front of it does not hide it.

    >>> joint_depth("left_wrist")
    0.07
    """
    return _DEPTH.get(joint.rpartition("_")[2], 0.15)


def draw_figure(random: Random) -> Figure:
    """Draw body, pose and place of a figure."""
    joints = _pose(random)
    thickness = random.uniform(0.85, 1.2)
    capsules = _body(joints, thickness)
    yaw, scale = random.uniform(0, math.tau), random.uniform(0.9, 1.1)
    x, y = random.uniform(-0.5, 0.5), random.uniform(-0.5, 0.5)
    turn = scale * _about_z(yaw)
    lowest = min(min(c.start[2], c.end[2]) - c.radius for c in capsules)

    def placed(point: Vector) -> Vector:
        moved: Vector = turn @ (point - (0, 0, lowest)) + (x, y, 0)
        return moved

    placed_capsules = tuple(
        Capsule(placed(c.start), placed(c.end), c.radius * scale, c.part) for c in capsules
    )
    ends = [(point, c.radius) for c in placed_capsules for point in (c.start, c.end)]
    return Figure(
        joints={name: placed(joints[name]) for name in JOINTS},
        capsules=placed_capsules,
        colors=tuple(tuple(random.uniform(0.03, 0.9) for _ in range(3)) for _ in PARTS),  # type: ignore[misc]
        x=x,
        y=y,
        reach=max(math.hypot(point[0] - x, point[1] - y) + radius for point, radius in ends),
    )


def _pose(random: Random) -> dict[str, Vector]:
    """Joints, hips around the origin; `*_toe`, `head` and `front` as well."""

    def degrees(low: float, high: float) -> float:
        return math.radians(random.uniform(low, high))

    upper = _about_x(-degrees(-10, 35)) @ _about_y(degrees(-15, 15))
    front, up = upper @ (0.0, 1.0, 0.0), upper @ (0.0, 0.0, 1.0)
    joints: dict[str, Vector] = {"neck": up * 0.56, "front": front}
    joints["head"] = (
        joints["neck"] + upper @ _direction(math.pi + degrees(-25, 15), degrees(-15, 15), 1) * 0.16
    )
    joints["head_top"] = joints["head"] + (joints["head"] - joints["neck"]) / 0.16 * 0.11
    for name, side in _SIDES.items():
        swing, spread = degrees(-30, 60), degrees(0, 25)
        bend = degrees(0, 80) * random.random()
        hip = np.array([side * 0.1, 0.0, 0.0])
        knee = hip + 0.43 * _direction(swing, spread, side)
        ankle = knee + 0.41 * _direction(swing - bend, spread * 0.5, side)
        toe = ankle + 0.16 * _direction(swing - bend + math.pi / 2, 0.1, side)
        joints |= {f"{name}_hip": hip, f"{name}_knee": knee, f"{name}_ankle": ankle, f"{name}_toe": toe}
        swing, spread = degrees(-50, 170), degrees(5, 80)
        bend = degrees(0, 130)
        shoulder = np.array([side * 0.18, 0.0, 0.5])
        elbow = shoulder + 0.28 * _direction(swing, spread, side)
        wrist = elbow + 0.25 * _direction(swing + bend, spread * random.random(), side)
        arm = {"shoulder": shoulder, "elbow": elbow, "wrist": wrist}
        joints |= {f"{name}_{joint}": upper @ point for joint, point in arm.items()}
    return joints


def _body(joints: Mapping[str, Vector], thickness: float) -> list[Capsule]:
    skin, shirt, trousers, shoes, hair = range(len(PARTS))
    body: list[Capsule] = []

    def add(start: Vector, end: Vector, radius: float, part: int) -> None:
        body.append(Capsule(start, end, radius * thickness, part))

    add(joints["right_shoulder"], joints["left_shoulder"], 0.08, shirt)
    add(joints["right_hip"], joints["left_hip"], 0.11, trousers)
    for name, side in _SIDES.items():
        inward = np.array([-side * 0.05, 0.0, 0.0])
        add(joints[f"{name}_shoulder"] + inward * 1.6, joints[f"{name}_hip"] + inward * 0.5, 0.11, shirt)
        add(joints[f"{name}_shoulder"], joints[f"{name}_elbow"], 0.052, shirt)
        add(joints[f"{name}_elbow"], joints[f"{name}_wrist"], 0.042, skin)
        add(joints[f"{name}_hip"], joints[f"{name}_knee"], 0.078, trousers)
        add(joints[f"{name}_knee"], joints[f"{name}_ankle"], 0.056, trousers)
        add(joints[f"{name}_ankle"], joints[f"{name}_toe"], 0.05, shoes)
    head, front = joints["head"], joints["front"]
    add(joints["neck"], head, 0.05, skin)
    body.append(Capsule(head, head + (joints["head_top"] - head) * 0.1, 0.1, skin))
    body.append(
        Capsule(head - front * 0.03, head - front * 0.03 + (joints["head_top"] - head) * 0.2, 0.1, hair)
    )
    body.append(Capsule(head + front * 0.09, head + front * 0.12, 0.025, skin))  # the nose
    return body


def _direction(swing: float, spread: float, side: float) -> Vector:
    """A limb that hangs down, swung to the front and spread to its side, radians; length 1."""
    return np.array(
        [
            side * math.sin(spread),
            math.sin(swing) * math.cos(spread),
            -math.cos(swing) * math.cos(spread),
        ]
    )


def _about_x(angle: float) -> Vector:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])


def _about_y(angle: float) -> Vector:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])


def _about_z(angle: float) -> Vector:
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
