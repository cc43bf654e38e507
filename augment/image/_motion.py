"""Where the points of an image went: read from a map of coordinates that took the same way as the image."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
"""Shape (k, 2), x and y in pixels from the upper left corner; pixel centres lie at +0.5."""
Planes = npt.NDArray[np.uint16]

_N_FITTED = 1600  # points of the fit: 40 by 40 average out the rounding of each
# Nearest sampling rounds coordinates: an error of 1 / sqrt(12) = 0.29 pixels, root mean square. A
# larger one shows that the map is no affine one.
_ROUNDING = 0.32
_WINDOW = 5  # pixels each way that refine the place of a point: 121 average out the rounding


@lru_cache(maxsize=8)
def coordinates(height: int, width: int) -> Planes:
    """Return the map to send along, shape (h, w, 4): column and row of each pixel, from 1; 0 is outside.

    The last two planes hold nothing: OpenCV moves pixels of four numbers in half the time of two.
    """
    planes = np.zeros((height, width, 4), np.uint16)
    planes[..., 0] = np.arange(1, width + 1)
    planes[..., 1] = np.arange(1, height + 1)[:, None]
    planes.flags.writeable = False  # one map serves all images of a size
    return planes


@dataclass(frozen=True, kw_only=True)
class Moves:
    """What labels ask of a motion: where points go, and what happens to sides and uprights."""

    is_mirrored: bool = False  # Whether left and right changed places
    is_upright: bool = False  # Whether upright rectangles stayed upright rectangles
    is_plane: bool = False  # Whether straight lines stayed straight

    def __call__(self, points: Points) -> Points:
        """Return where points went, shape (k, 2); NaN for those that nobody can tell."""
        raise NotImplementedError


@dataclass(frozen=True)
class Shift(Moves):
    """A scaling along x and y, followed by a shift."""

    scale: tuple[float, float]
    shift: tuple[float, float]
    is_upright: bool = field(default=True, kw_only=True)
    is_plane: bool = field(default=True, kw_only=True)

    def __call__(self, points: Points) -> Points:
        """Return where points went, shape (k, 2)."""
        return points * self.scale + self.shift


@dataclass(frozen=True)
class Motion(Moves):
    """How a pipeline moved one image."""

    planes: Planes  # What became of the first two planes of `coordinates`, shape (h, w, 2)
    # The map from the old to the new image, where straight lines stayed straight, shape (3, 3)
    plane: npt.NDArray[np.float64] | None

    @classmethod
    def from_planes(cls, planes: Planes, *, is_plane: bool) -> Motion:
        """Return the motion that `planes` shows; `is_plane` says that straight lines stayed straight."""
        planes = planes[..., :2]
        plane = _fit_plane(planes)
        is_mirrored = plane is not None and bool(np.linalg.det(plane[:2, :2]) < 0)
        plane = plane if is_plane else None
        return cls(
            planes, plane, is_mirrored=is_mirrored, is_upright=_is_upright(plane),
            is_plane=plane is not None,
        )  # fmt: skip

    def __call__(self, points: Points) -> Points:
        """Return where points went, shape (k, 2); NaN for those that nobody can tell."""
        if self.plane is not None:
            return _project(self.plane, points)
        return np.array([_find(self.planes, point) for point in points]).reshape(-1, 2)


def _is_upright(plane: npt.NDArray[np.float64] | None) -> bool:
    if plane is None:
        return False
    (a, b), (c, d) = np.abs(plane[:2, :2])
    slack = 1e-3 * max(a, b, c, d)
    stays = max(b, c) < slack or max(a, d) < slack
    return bool(stays and np.abs(plane[2, :2]).max() < 1e-9)


def _fit_plane(planes: Planes) -> npt.NDArray[np.float64] | None:
    """Return the 3 x 3 map from the old to the new image; None when nothing is left of the old one."""
    step = max(1, int((planes.shape[0] * planes.shape[1] / _N_FITTED) ** 0.5))
    coarse = planes[::step, ::step]
    rows, columns = np.nonzero(coarse[..., 0] != 0)
    if len(rows) < 8:
        step, coarse = 1, planes
        rows, columns = np.nonzero(planes[..., 0])
    if len(rows) < 8:
        return None
    new: Points = np.stack([columns, rows], axis=1).astype(np.float64) * step + 0.5
    old = coarse[rows, columns].astype(np.float64) - 0.5
    middle = new.mean(axis=0)
    about = np.ones((len(new), 3))
    about[:, :2] = new - middle
    square, right = about.T @ about, about.T @ old
    if np.linalg.det(square) > 1e-9 * np.prod(np.diag(square)):
        solved = np.linalg.solve(square, right)
    else:  # all points on one line
        solved = np.linalg.lstsq(square, right, rcond=None)[0]
    errors = about @ solved - old
    back = np.vstack([solved.T, [0, 0, 1]])
    back[:2, 2] -= back[:2, :2] @ middle
    if np.sqrt((errors**2).mean()) > _ROUNDING:
        back = _fit_perspective(new, old)
    if abs(np.linalg.det(back)) < 1e-9:
        return None
    forward = np.linalg.inv(back)
    forward = forward / forward[2, 2]
    # Flips, quarter turns and crops are whole numbers but for the last digits.
    near = np.round(forward)
    return np.asarray(near if np.abs(forward - near).max() < 1e-6 else forward)


def _fit_perspective(new: Points, old: Points) -> npt.NDArray[np.float64]:
    """Return the 3 x 3 map from `new` to `old` by least squares, in coordinates about 1 in size."""
    scale = float(max(np.abs(new).max(), np.abs(old).max()))
    (x, y), (u, v) = (new / scale).T, (old / scale).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    left = np.vstack(
        [
            np.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=1),
            np.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=1),
        ]
    )
    solved, *_ = np.linalg.lstsq(left, np.concatenate([u, v]), rcond=None)
    small = np.append(solved, 1.0).reshape(3, 3)
    to_small = np.diag([1 / scale, 1 / scale, 1.0])
    return np.asarray(np.linalg.inv(to_small) @ small @ to_small)


def _project(plane: npt.NDArray[np.float64], points: Points) -> Points:
    wide = np.hstack([points, np.ones((len(points), 1))]) @ plane.T
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = wide[:, :2] / wide[:, 2:]
    moved[wide[:, 2] <= 0] = np.nan
    return moved


def _find(planes: Planes, point: Points) -> Points:
    """Return where a bent image shows the old `point`: its nearest pixel, refined by those about it."""
    known = planes[..., 0] > 0
    old = planes.astype(np.float64) - 0.5
    distances = np.where(known, ((old - point) ** 2).sum(axis=2), np.inf)
    row, column = divmod(int(distances.argmin()), distances.shape[1])
    if not distances[row, column] <= 4.0:
        return np.full(2, np.nan)
    top, left = max(row - _WINDOW, 0), max(column - _WINDOW, 0)
    window = slice(top, row + _WINDOW + 1), slice(left, column + _WINDOW + 1)
    inside = known[window]
    y, x = np.nonzero(inside)
    new = np.stack([x + left + 0.5, y + top + 0.5], axis=1)
    around = old[window][inside]
    design = np.hstack([new, np.ones((len(new), 1))])
    solved, *_ = np.linalg.lstsq(design, around, rcond=None)
    if len(new) < 6 or abs(np.linalg.det(solved[:2])) < 1e-6:
        return np.array([column + 0.5, row + 0.5])
    moved: Points = np.linalg.solve(solved[:2].T, point - solved[2])
    return moved
