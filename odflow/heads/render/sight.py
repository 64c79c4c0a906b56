"""Which object each pixel shows: a ray through the middle of every pixel, as a camera without
anti-aliasing would cast it.

Rays are cast at each object by itself, and only where it can be. So the pixels that it would
cover alone are known as well, those beyond the edges of the picture included, at no price.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from odflow.heads.render.labels import Seen

if TYPE_CHECKING:
    from odflow.heads.render.models import Model

_NEAR = 0.05  # metres in front of the camera


@dataclass(frozen=True)
class Instance:
    """A model in the scene.

    Attributes:
        model: what it is an instance of.
        pose: (4, 4) float64, from its model's space to the world's, with one scale for all axes.
        class_id: 1 to 254.
    """

    model: Model
    pose: NDArray[np.float64]
    class_id: int

    def hits(self, origin: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far rays go until they hit it.

        Args:
            origin: (3,) of all rays, metres.
            directions: (R, 3).

        Returns:
            (R,) metres, infinite where a ray misses it.
        """
        back = np.linalg.inv(self.pose)
        start = (back[:3, :3] @ origin + back[:3, 3]).tolist()
        cast = self.model.tree.ray_cast
        found = [cast(start, direction)[3] for direction in (directions @ back[:3, :3].T).tolist()]
        scale = np.cbrt(np.linalg.det(self.pose[:3, :3]))
        return np.array([np.inf if away is None else away for away in found]) * scale


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        pose: (4, 4) float64, from its space (x right, y up, looking along -z) to the world's.
        width, height: of the picture, pixels.
        focal: its focal length, pixels.
    """

    pose: NDArray[np.float64]
    width: int
    height: int
    focal: float

    def directions(self, columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """The rays through the middles of pixels: (N, 3) of any length, in the world's space."""
        x = (columns + 0.5 - self.width / 2) / self.focal
        y = (self.height / 2 - rows - 0.5) / self.focal
        rays: NDArray[np.float64] = np.stack([x, y, -np.ones(len(x))], axis=1) @ self.pose[:3, :3].T
        return rays

    def project(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (N, 3) of the world as (N, 3): x and y in pixels, and metres in front of the camera."""
        local = (points - self.pose[:3, 3]) @ self.pose[:3, :3]
        ahead = -local[:, 2]
        scale = self.focal / np.where(np.abs(ahead) < _NEAR, _NEAR, ahead)
        x, y = self.width / 2 + local[:, 0] * scale, self.height / 2 - local[:, 1] * scale
        return np.stack([x, y, ahead], axis=1)


def look(camera: Camera, instances: Sequence[Instance]) -> Seen:
    """See which instance each pixel shows, above a ground at z = 0."""
    nearest = _to_ground(camera)
    shown = np.full((camera.height, camera.width), -1, np.int64)
    own = []
    for number, instance in enumerate(instances):
        columns, rows = _where_it_can_be(camera, instance)
        directions = camera.directions(columns, rows)
        distances = instance.hits(camera.pose[:3, 3], directions)
        hit = np.isfinite(distances)
        own.append(int(hit.sum()))
        hit &= (columns >= 0) & (columns < camera.width) & (rows >= 0) & (rows < camera.height)
        rows, columns, distances = rows[hit], columns[hit], distances[hit]
        first = distances < nearest[rows, columns]
        nearest[rows[first], columns[first]] = distances[first]
        shown[rows[first], columns[first]] = number
    return Seen(shown, np.array(own, np.int64))


def hidden_by(
    body: Instance, points: Mapping[str, NDArray[np.float64]], depths: Mapping[str, float], camera: Camera
) -> dict[str, bool]:
    """Tell which points inside a body lie behind another part of it.

    Args:
        body: to look at.
        points: each (3,) metres.
        depths: of each point below the surface, metres; a hit nearer than that is its own skin.
        camera: that looks.
    """
    origin = camera.pose[:3, 3]
    rays = np.stack(list(points.values())) - origin
    first = body.hits(origin, rays)
    away = np.linalg.norm(rays, axis=1)
    hidden = first < away - [depths[name] for name in points]
    return dict(zip(points, hidden.tolist(), strict=True))


def _where_it_can_be(camera: Camera, instance: Instance) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns and rows of the pixels around its corners, a picture's size beyond each edge at most."""
    corners = instance.model.corners @ instance.pose[:3, :3].T + instance.pose[:3, 3]
    x, y, ahead = camera.project(corners).T
    ranges = []
    for values, size in ((x, camera.width), (y, camera.height)):
        low, high = (np.floor(values.min()) - 1, np.ceil(values.max()) + 1)
        if ahead.min() < _NEAR:  # partly behind the camera: its corners say nothing
            low, high = -np.inf, np.inf
        ranges.append(np.arange(max(low, -size), min(high, 2 * size), dtype=np.int64))
    columns, rows = np.meshgrid(*ranges)
    return columns.ravel(), rows.ravel()


def _to_ground(camera: Camera) -> NDArray[np.float64]:
    rows, columns = np.indices((camera.height, camera.width))
    rays = camera.directions(columns.ravel(), rows.ravel())
    down = -rays[:, 2] / np.linalg.norm(rays, axis=1)
    away = np.where(down > 0, camera.pose[2, 3] / np.where(down > 0, down, 1), np.inf)
    return away.reshape(camera.height, camera.width)
