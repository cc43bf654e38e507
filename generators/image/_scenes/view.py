"""From where the camera looks: one perspective for the ground and all objects of a scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.extras import optional

Points = npt.NDArray[np.float64]
Canvas = npt.NDArray[np.float32]
# From our coordinates, in which pixel centres lie at +0.5, to those of OpenCV, in which they are whole.
HALF_PIXEL = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])


@dataclass(frozen=True)
class View:
    """How a flat image looks to a camera that stands aside."""

    # The 3 x 3 map from the flat image to the seen one, in pixels; None: the camera looks straight
    matrix: npt.NDArray[np.float64] | None = None

    @classmethod
    def draw(cls, perspective: float, size: tuple[int, int], rng: np.random.Generator) -> View:
        """Return a camera turned in any direction, up to `perspective`, 0 (straight) to 0.5.

        It is a pinhole at a distance of twice the image's longer side, so what lies on the far side
        is smaller, and everything is shorter along the turn. Nothing is drawn for 0.
        """
        if perspective <= 0:
            return cls()
        angle, tilt = rng.uniform(0, 2 * np.pi), rng.uniform(perspective / 2, perspective)
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1.0]])
        seen = np.array([[np.sqrt(1 - tilt**2), 0, 0], [0, 1, 0], [tilt / 2, 0, 1.0]])
        height, width = size
        unit = float(max(size))
        to_unit = np.array([[1 / unit, 0, -width / 2 / unit], [0, 1 / unit, -height / 2 / unit],
                            [0, 0, 1]])  # fmt: skip
        return cls(np.linalg.inv(to_unit) @ turn.T @ seen @ turn @ to_unit)

    def bend(self, points: Points, centre: tuple[float, float], *, keeps_size: bool) -> Points:
        """Return the points of one object, shape (k, 2), as they are seen where it stands.

        The object stays at its place. With `keeps_size` its longer side stays as long; else it is larger
        where the image is nearer.
        """
        if self.matrix is None or not len(points):
            return points
        moved = project(self.matrix, points) - project(self.matrix, np.array([centre]))
        if keeps_size:
            moved *= np.ptp(points, axis=0).max() / np.ptp(moved, axis=0).max()
        return np.asarray(moved + centre)

    def ground(self, canvas: Canvas) -> Canvas:
        """Return a ground as it is seen, drawn so much larger that it fills the image."""
        if self.matrix is None:
            return canvas
        cv2 = optional("cv2")
        height, width = canvas.shape[:2]
        middle = np.array([width / 2, height / 2])
        corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
        back = np.asarray(np.linalg.inv(self.matrix), np.float64)
        reach = np.abs((project(back, corners) - middle) / middle).max()
        larger = np.diag([reach, reach, 1.0])
        larger[:2, 2] = middle * (1 - reach)
        matrix: Any = HALF_PIXEL @ self.matrix @ larger @ np.linalg.inv(HALF_PIXEL)
        border = cv2.BORDER_REPLICATE
        return np.asarray(cv2.warpPerspective(canvas, matrix, (width, height), borderMode=border))


def project(matrix: npt.NDArray[np.float64], points: Points) -> Points:
    """Return points after a perspective map, shape (k, 2)."""
    wide = np.hstack([points, np.ones((len(points), 1))]) @ matrix.T
    return np.asarray(wide[:, :2] / wide[:, 2:])
