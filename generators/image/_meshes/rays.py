"""Rays against meshes: which object a pixel shows, how far away it is, and what others hide of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from twinset.core.extras import optional

from .forms import Triangles

Floats = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]

_FIELD = np.deg2rad(40.0)  # that the longer side of the image sees
_LIFT = 1e-4  # by which a ray of light begins above its surface
_BLOCKED = 2e-3  # nearer than a point by so much, and it is hidden


class Hits(NamedTuple):
    """What rays meet: object (-1 nothing), distance, and the normal of its surface, length 1."""

    owner: npt.NDArray[np.int32]
    distance: Floats
    normal: Floats


@dataclass(frozen=True)
class Camera:
    """A pinhole that looks at the middle of the ground, z = 0."""

    eye: Points  # Where it is, shape (3,)
    axes: Points  # Rows: to the right, down, and ahead, shape (3, 3)
    focal: float  # Focal length in pixels
    size: tuple[int, int]  # Height and width of the image

    @classmethod
    def about(cls, azimuth: float, elevation: float, size: tuple[int, int]) -> Self:
        """Return a camera at these angles (radians) that sees a ground two units wide."""
        ahead = -np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
             np.sin(elevation)]
        )  # fmt: skip
        right = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
        down = np.cross(ahead, right)
        distance = 1.15 / np.tan(_FIELD / 2)
        focal = max(size) / 2 / np.tan(_FIELD / 2)
        return cls(-ahead * distance, np.stack([right, down, ahead]), float(focal), size)

    def rays(self, x: Points, y: Points) -> Floats:
        """Return directions of length 1 through points of the image, shape (k, 3)."""
        height, width = self.size
        flat = np.stack(
            [(x - width / 2) / self.focal, (y - height / 2) / self.focal, np.ones_like(x)], 1
        )
        made = flat @ self.axes
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)

    def seen(self, points: Points) -> Points:
        """Return where points of the scene lie in the image, shape (k, 2)."""
        height, width = self.size
        own = (points - self.eye) @ self.axes.T
        return np.asarray(own[:, :2] / own[:, 2:] * self.focal + [width / 2, height / 2])


class Scenery:
    """Meshes that rays are cast against; the last one may be the ground."""

    def __init__(self, meshes: list[Triangles]) -> None:
        triangle_mesh = optional("embreex.mesh_construction").TriangleMesh
        self._scene: Any = optional("embreex.rtcore_scene").EmbreeScene()
        # They must live as long as the scene does.
        self._meshes = [
            triangle_mesh(self._scene, np.ascontiguousarray(mesh, np.float32)) for mesh in meshes
        ]

    def hits(self, eye: Points, rays: Floats) -> Hits:
        """Return what each ray from the eye meets first."""
        found = self._scene.run(_from(eye, rays), rays, output=1)
        normal = np.asarray(found["Ng"], np.float32)
        normal = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-20)
        # A mesh may be wound either way round: its surface is taken to face who looks at it.
        normal[(normal * rays).sum(axis=1) > 0] *= -1
        return Hits(np.asarray(found["geomID"], np.int32), np.asarray(found["tfar"]), normal)

    def owners(self, eye: Points, rays: Floats) -> npt.NDArray[np.int32]:
        """Return the object that each ray meets first, -1 for none."""
        return np.asarray(self._scene.run(_from(eye, rays), rays, output=1)["geomID"], np.int32)

    def lies_in_shadow(
        self, points: Floats, normals: Floats, light: Points
    ) -> npt.NDArray[np.bool_]:
        """Return which points of surfaces do not see a light in this direction."""
        starts = np.ascontiguousarray(points + np.float32(_LIFT) * normals, np.float32)
        rays = np.ascontiguousarray(np.broadcast_to(np.asarray(light, np.float32), starts.shape))
        return np.asarray(self._scene.run(starts, rays, query="OCCLUDED") == 0)

    def sees(self, eye: Points, points: Points) -> npt.NDArray[np.bool_]:
        """Return which points nothing hides from the eye; a surface that they lie on does not."""
        ahead = points - eye
        distances = np.linalg.norm(ahead, axis=1)
        rays = np.asarray(ahead / distances[:, None], np.float32)
        first = self._scene.run(_from(eye, rays), rays, query="DISTANCE")
        return np.asarray(first >= distances - _BLOCKED)


def ground() -> Triangles:
    """Return the ground: one wide plane at z = 0."""
    w = 60.0
    return np.array(
        [[[-w, -w, 0], [w, -w, 0], [w, w, 0]], [[-w, -w, 0], [w, w, 0], [-w, w, 0]]], float
    )


def silhouette(mesh: Triangles, camera: Camera) -> tuple[npt.NDArray[np.bool_], int, int]:
    """Return the pixels that a mesh alone would own, in the image and beyond it, and their left and top.

    They are those whose centre a ray meets it through: the rule of the id map.
    """
    at = camera.seen(mesh.reshape(-1, 3))
    height, width = camera.size
    # What lies further out than the image is large belongs to no object that can be seen.
    left, top = (int(v) for v in np.maximum(np.floor(at.min(axis=0)), [-2 * width, -2 * height]))
    right, bottom = (int(v) for v in np.minimum(np.ceil(at.max(axis=0)), [3 * width, 3 * height]))
    rows, columns = max(bottom - top, 1), max(right - left, 1)
    y, x = np.mgrid[top : top + rows, left : left + columns] + 0.5
    rays = camera.rays(x.ravel(), y.ravel())
    met = Scenery([mesh]).owners(camera.eye, rays) >= 0
    return met.reshape(rows, columns), left, top


def _from(eye: Points, rays: Floats) -> Floats:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(eye, np.float32), rays.shape))
