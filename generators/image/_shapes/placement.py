"""Where the shapes of one image lie: placed one over the other, with the id map that says who is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError
from twinset.core.image.instance_maps import ObjectLabel, objects_from_ids

from .contours import outline

FULL = 192
"""Coverage of a pixel that lies wholly inside a shape: 64 sub-pixels of 3."""

_SUB = 8  # sub-pixels along each side of a pixel
_MIN_VISIBLE = 0.4  # no object is hidden or cut by more than 60 %
_MAIN_LEAD = 0.92  # sides of the others over the side of the main object, at most
_N_SCENES, _N_PLACES = 60, 12


@dataclass(frozen=True)
class Shape:
    """One drawn shape.

    Parameters
    ----------
    category : str
        Which shape it is.
    coverage : numpy.ndarray of uint8, shape (h, w)
        Share of each pixel that lies inside it, 0 to `FULL`. A pixel belongs to the shape, and to its
        mask, where the share is a half or more.
    left, top : int
        Where the array's first pixel lies in the image; it may lie outside.
    """

    category: str
    coverage: npt.NDArray[np.uint8]
    left: int
    top: int

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """Pixels that belong to the shape, shape (h, w)."""
        return self.coverage >= FULL // 2

    def overlap(self, size: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
        """Return the (rows, columns) shared with an image, in the image's and in own pixels."""
        spans = []
        for start, length in zip((self.top, self.left), self.coverage.shape):
            first, last = max(start, 0), max(min(start + length, size), max(start, 0))
            spans.append((slice(first, last), slice(first - start, last - start)))
        (rows, own_rows), (columns, own_columns) = spans
        return (rows, columns), (own_rows, own_columns)


@dataclass(frozen=True)
class ShapeScene:
    """Shapes in painting order, and the id map they leave: shape k has the id k + 1."""

    shapes: tuple[Shape, ...]
    ids: npt.NDArray[np.uint16]

    def objects(self) -> list[ObjectLabel]:
        """Return the labels that the id map shows."""
        full, cut = {}, set()
        for i, shape in enumerate(self.shapes, start=1):
            mask = shape.mask
            full[i] = int(mask.sum())
            if int(mask[shape.overlap(len(self.ids))[1]].sum()) < full[i]:
                cut.add(i)
        names = {i: shape.category for i, shape in enumerate(self.shapes, start=1)}
        return objects_from_ids(self.ids, names, full_areas=full, truncated=cut)


def place(
    main: str,
    others: Sequence[str],
    *,
    size: int,
    scale_range: tuple[float, float],
    rng: np.random.Generator,
) -> ShapeScene:
    """Return a scene in which a `main` is the largest object that can be seen.

    Parameters
    ----------
    main : str
        Category of the largest object.
    others : sequence of str
        Categories of the other objects.
    size : int
        Side of the image in pixels.
    scale_range : tuple of float
        Square root of a shape's area over the side of the image, least and greatest.

    Raises
    ------
    ParameterError
        The objects do not find room.
    """
    low, high = scale_range
    for attempt in range(_N_SCENES):
        room = 1 - attempt / _N_SCENES  # ever smaller, but never below the range
        sides = size * (low + room * (np.sort(rng.uniform(0, 1, len(others) + 1)) * (high - low)))
        wanted = [(name, float(min(s, _MAIN_LEAD * sides[-1]))) for name, s in zip(others, sides)]
        at = int(rng.integers(len(others) + 1))  # the main object may lie under others
        wanted.insert(at, (main, float(sides[-1])))
        scene = _try_scene(wanted, at, size, rng)
        if scene is not None:
            return scene
    raise ParameterError(
        f"{len(others) + 1} objects do not find room in one image",
        got=f"sides of {low:.0%} to {high:.0%} of the image",
        todo="lower scale_range or n_objects_range",
    )


def render(
    category: str, centre: tuple[float, float], side: float, rng: np.random.Generator
) -> Shape:
    """Return a shape of area `side` squared about `centre` (x, y), in pixels, at a random angle."""
    import cv2

    contours = [side * c + np.asarray(centre) for c in outline(category, rng)]
    left, top = np.floor(contours[0].min(axis=0)).astype(int) - 1
    width, height = np.ceil(contours[0].max(axis=0)).astype(int) + 1 - (left, top)
    fine = np.zeros((height * _SUB, width * _SUB), np.uint8)
    corners = [((c - (left, top)) * _SUB - 0.5) * 16 for c in contours]  # 16: sub-pixel steps
    cv2.fillPoly(fine, [np.round(c).astype(np.int32) for c in corners], FULL, shift=4)
    coverage = cv2.resize(fine, (int(width), int(height)), interpolation=cv2.INTER_AREA)
    return Shape(category, coverage, int(left), int(top))


def _try_scene(
    wanted: Sequence[tuple[str, float]], main: int, size: int, rng: np.random.Generator
) -> ShapeScene | None:
    ids = np.zeros((size, size), np.uint16)
    shapes: list[Shape] = []
    full: list[int] = []
    for name, side in wanted:
        for _ in range(_N_PLACES):
            x, y = rng.uniform(0, size, 2)
            shape = render(name, (float(x), float(y)), side, rng)
            after = _paint_id(ids, shape, len(shapes) + 1)
            areas = [*full, int(shape.mask.sum())]
            if _all_seen(after, areas):
                break
        else:
            return None
        ids, full = after, areas
        shapes.append(shape)
    seen = np.bincount(ids.ravel(), minlength=len(shapes) + 1)[1:]
    largest_is_main = seen[main] > np.delete(seen, main).max(initial=0)
    return ShapeScene(tuple(shapes), ids) if largest_is_main else None


def _paint_id(ids: npt.NDArray[np.uint16], shape: Shape, i: int) -> npt.NDArray[np.uint16]:
    painted = ids.copy()
    place_in_image, place_in_shape = shape.overlap(len(ids))
    painted[place_in_image][shape.mask[place_in_shape]] = i
    return painted


def _all_seen(ids: npt.NDArray[np.uint16], full: Sequence[int]) -> bool:
    seen = np.bincount(ids.ravel(), minlength=len(full) + 1)[1:]
    return bool((seen >= _MIN_VISIBLE * np.asarray(full)).all() and (seen > 0).all())
