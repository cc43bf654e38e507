"""Light on meshes: dull surfaces, one lamp with its shadows, the sky around, and a ground with grain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.extras import optional

from .rays import Camera, Floats, Hits, Scenery

Canvas = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Lamp:
    """One level of light."""

    # Least and greatest angle of the lamp above the ground, in degrees
    height_range: tuple[float, float]
    # Their strength: the lamp lights what faces it, the sky everything, most what faces up
    lamp: float
    sky: float
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)  # Colour of the lamp


LIGHTS: Mapping[str, Lamp] = {
    "day": Lamp((40, 70), 0.75, 0.4),
    "evening": Lamp((10, 22), 0.8, 0.28, (1.0, 0.82, 0.62)),
    "overcast": Lamp((50, 80), 0.12, 0.85),
    "night": Lamp((25, 60), 0.16, 0.07, (0.75, 0.85, 1.0)),
}
# Level -> smallest and largest angle of the camera above the ground in degrees; 90 leaves no upright.
VIEWS: Mapping[str, tuple[float, float]] = {"low": (12, 25), "oblique": (30, 50), "top": (65, 88)}

_CELLS = 64  # of the ground's grain, which repeats
_GRAIN = ((6.0, 0.10), (23.0, 0.06))  # cells a unit, and how much lighter or darker they are


def paint(
    scenery: Scenery,
    camera: Camera,
    colours: Sequence[tuple[float, float, float]],
    *,
    light: str,
    shadow: float,
    samples: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """Return the image, RGB, shape (h, w, 3)."""
    cv2 = optional("cv2")
    height, width = camera.size
    y, x = (np.mgrid[: height * samples, : width * samples] + 0.5) / samples
    rays = camera.rays(x.ravel(), y.ravel())
    hits = scenery.hits(camera.eye, rays)
    made = _lit(
        scenery, camera, rays, hits, np.asarray(colours, np.float32), LIGHTS[light], shadow, rng
    )
    fine = made.reshape(height * samples, width * samples, 3)
    plain = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA) if samples > 1 else fine
    return np.asarray(cv2.convertScaleAbs(np.clip(plain, 0, 1), alpha=255))


def _lit(
    scenery: Scenery,
    camera: Camera,
    rays: Floats,
    hits: Hits,
    colours: Canvas,
    lamp: Lamp,
    shadow: float,
    rng: np.random.Generator,
) -> Canvas:
    around, above = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(*lamp.height_range))
    towards = np.array(
        [np.cos(above) * np.cos(around), np.cos(above) * np.sin(around), np.sin(above)]
    )
    grids = [rng.uniform(-1, 1, (_CELLS, _CELLS)).astype(np.float32) for _ in _GRAIN]
    met = np.flatnonzero(hits.owner >= 0)
    owner, normal = hits.owner[met], hits.normal[met]
    points = camera.eye.astype(np.float32) + rays[met] * hits.distance[met, None]
    own = colours[owner]
    on_ground = np.flatnonzero(owner == len(colours) - 1)
    own[on_ground] *= _grain(points[on_ground], grids)[:, None]
    facing = np.maximum(normal @ towards.astype(np.float32), 0)
    lit = np.flatnonzero(facing > 0)
    dark = scenery.lies_in_shadow(points[lit], normal[lit], towards)
    facing[lit[dark]] *= np.float32(1 - shadow)
    strength = lamp.sky * (0.75 + 0.25 * normal[:, 2:3])
    strength = strength + lamp.lamp * facing[:, None] * np.asarray(lamp.tint, np.float32)
    # The sky is pale at the horizon, and as bright as its light.
    made = np.empty((len(rays), 3), np.float32)
    made[:] = (0.55 + 0.5 * lamp.sky * np.array([0.8, 0.9, 1.0])) * min(1.0, lamp.lamp + lamp.sky)
    made[met] = own * strength
    return made


def _grain(points: Floats, grids: Sequence[Canvas]) -> Canvas:
    """Return by how much the ground is lighter at these places, about 1, shape (k,)."""
    cv2 = optional("cv2")
    made = np.ones(len(points), np.float32)
    if not len(points):
        return made
    for (cells, spread), grid in zip(_GRAIN, grids):
        at = (points[:, :2] * np.float32(cells)) % _CELLS
        u, v = (np.ascontiguousarray(at[None, :, k]) for k in (0, 1))
        wrapped = np.pad(grid, ((0, 1), (0, 1)), mode="wrap")
        made += np.float32(spread) * _remapped(wrapped, u, v, cv2)
    return made


def _remapped(grid: Canvas, u: Canvas, v: Canvas, cv2: Any) -> Canvas:
    """Return values between the cells of a grid, in pieces that OpenCV can hold in one row."""
    pieces = [
        cv2.remap(grid, u[:, k : k + 32_000], v[:, k : k + 32_000], cv2.INTER_LINEAR)
        for k in range(0, u.shape[1], 32_000)
    ]
    return np.asarray(np.concatenate(pieces, axis=1)[0])
