"""From forms to pixels: how an object covers the image, and what its surface looks like."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from twinset.core.extras import optional

from .._backgrounds import draw_clouds
from .._labelled_images import Rgb, Slices, box_of_mask, overlap
from .images import HALF
from .shapes import Form
from .spec import ObjectClass
from .view import View

Plane = npt.NDArray[np.float32]
Canvas = npt.NDArray[np.float32]
"""Red, green, blue, shape (h, w, 3), 0 to 1."""

_SUB = 4  # sub-pixels along each side of a pixel
_EDGE = 1  # empty pixels around an object


@dataclass(frozen=True)
class Sprite:
    """One object on the pixel grid, before anything hides or cuts it."""

    kind: ObjectClass  # What it is
    cover: npt.NDArray[np.uint8]  # Share of each pixel that it covers, 0 to 255, shape (h, w)
    # Number of the colour of each pixel, from 1; 0 is outside, shape (h, w)
    parts: npt.NDArray[np.uint8]
    # Pixels that belong to it: those of which it covers a half or more, shape (h, w)
    mask: npt.NDArray[np.bool_]
    # Where the arrays' first pixel lies in the image; it may lie outside
    left: int
    top: int
    points: Mapping[str, tuple[float, float]]  # Name -> x, y in pixels of the image
    # Its own colours, of a cutout; others are coloured by their parts, shape (h, w, 3)
    colours: Canvas | None = None

    def moved(self, dx: int, dy: int) -> Sprite:
        """Return the sprite at another place, by whole pixels."""
        points = {name: (x + dx, y + dy) for name, (x, y) in self.points.items()}
        return replace(self, left=self.left + dx, top=self.top + dy, points=points)

    def overlap(self, height: int, width: int) -> tuple[Slices, Slices]:
        """Return the (rows, columns) shared with an image, in the image's and in own pixels."""
        return overlap(self.mask.shape, self.left, self.top, (height, width))

    def box(self) -> tuple[float, float, float, float]:
        """Return the box of the whole object, with nothing before it and no edge that cuts it."""
        return box_of_mask(self.mask, self.left, self.top)

    def paint_id(self, ids: npt.NDArray[np.uint16], number: int) -> None:
        """Write `number` into the pixels of an id map that belong to the object."""
        place, own = self.overlap(*ids.shape)
        ids[place][self.mask[own]] = number


def sprite_of(
    kind: ObjectClass,
    centre: tuple[float, float],
    side: float,
    rng: np.random.Generator,
    view: View,
    *,
    keeps_size: bool = False,
) -> Sprite:
    """Return an object of this class about `centre` (x, y) whose longer side is `side` pixels.

    Where the camera looks from aside that is its side before it is seen so, unless it keeps its size.
    """
    cv2 = optional("cv2")
    form = kind.make(rng)
    corners, named = _placed(form, kind, centre, side, rng)
    n = len(corners)
    seen = view.bend(np.vstack([corners, named]), centre, keeps_size=keeps_size)
    corners, named = seen[:n], seen[n:]
    points = {name: (float(x), float(y)) for name, (x, y) in zip(form.points, named)}
    if form.cutout is not None:
        colours, cover, (left, top) = form.cutout.seen_at(corners)
        return Sprite(kind, cover, cover, _owned(cover), left, top, points, colours)
    low = np.floor(corners.min(axis=0)).astype(int) - _EDGE
    width, height = (np.ceil(corners.max(axis=0)).astype(int) + _EDGE - low).tolist()
    fine = np.zeros((height * _SUB, width * _SUB), np.uint8)
    at = np.round(((corners - low) * _SUB - 0.5) * 16).astype(np.int32)
    first = 0
    for ring, colour in form.parts:
        cv2.fillPoly(fine, [at[first : first + len(ring)]], colour + 1, shift=4)
        first += len(ring)
    solid = cv2.threshold(fine, 0, 255, cv2.THRESH_BINARY)[1]
    cover = cv2.resize(solid, (width, height), interpolation=cv2.INTER_AREA)
    parts = fine[_SUB // 2 :: _SUB, _SUB // 2 :: _SUB]
    return Sprite(kind, cover, parts, _owned(cover), int(low[0]), int(low[1]), points)


def lay(canvas: Canvas, sprite: Sprite, shadow: float, rng: np.random.Generator) -> None:
    """Paint an object, and the soft shadow that it casts, onto `canvas`."""
    cv2 = optional("cv2")
    height, width = canvas.shape[:2]
    colours = _surface(sprite, rng) if sprite.colours is None else sprite.colours
    if shadow > 0:
        depth = max(1, round(0.06 * min(sprite.cover.shape)))
        edge = 2 * depth + 2
        wide = cv2.copyMakeBorder(sprite.cover, edge, edge, edge, edge, cv2.BORDER_CONSTANT)
        reach = 2 * depth + 1
        # Two boxes are as soft as a Gaussian, and faster.
        soft = cv2.blur(cv2.blur(wide, (reach, reach)), (reach, reach))
        left, top = sprite.left + depth - edge, sprite.top + depth - edge
        place, own = overlap(soft.shape, left, top, (height, width))
        canvas[place] *= _thrice(1 - soft[own] * np.float32(shadow / 255))
    place, own = sprite.overlap(height, width)
    under = canvas[place]
    over = colours[own] - under
    over *= _thrice(sprite.cover[own] * np.float32(1 / 255))
    under += over


def _owned(cover: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return the pixels that belong to an object: those of which it covers a half or more."""
    mask = cover >= HALF
    # Thinner than a pixel: what it covers most is its own.
    return mask if mask.any() else cover == cover.max()


def _thrice(plane: Plane) -> Canvas:
    """Return a plane once for each colour: products of whole arrays are quicker than stretched ones."""
    cv2 = optional("cv2")
    if not plane.size:
        return np.zeros((*plane.shape, 3), np.float32)
    return np.asarray(cv2.merge([plane] * 3)).reshape(*plane.shape, 3)


def _placed(
    form: Form,
    kind: ObjectClass,
    centre: tuple[float, float],
    side: float,
    rng: np.random.Generator,
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the corners of all parts, and the points, in pixels: turned and tilted, `side` pixels long.

    Seen as through a pinhole at a distance of two sides, so the far side of a tilted form is smaller.
    """
    corners = np.concatenate([ring for ring, _ in form.parts])
    n = len(corners)
    given = np.vstack([corners, *([list(form.points.values())] if form.points else [])])
    low, high = corners.min(axis=0), corners.max(axis=0)
    unit = (given - (low + high) / 2) / float((high - low).max())
    angle = np.deg2rad(rng.uniform(-kind.turn, kind.turn))
    tilt = rng.uniform(-kind.tilt, kind.tilt)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    flat = unit * [np.sqrt(1 - tilt**2), 1.0] / (1 + unit[:, :1] * tilt / 2)
    moved = flat @ (turn * side) + centre
    return moved[:n], moved[n:]


def _surface(sprite: Sprite, rng: np.random.Generator) -> Canvas:
    """Return the colours of an object, shape (h, w, 3): its own ones, textured, lit from the upper left."""
    height, width = sprite.cover.shape
    n_parts = int(sprite.parts.max(initial=1))
    table = np.ones((n_parts + 1, 3), np.float32)
    table[1:] = [_colour(sprite.kind, k, rng) for k in range(n_parts)]
    table[0] = table[1]
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    shade = np.float32(1.08) - np.float32(0.16) * (x / width + y / height) * np.float32(0.8)
    texture = sprite.kind.textures[int(rng.integers(len(sprite.kind.textures)))]
    if texture != "plain":
        shade = shade * (1 + np.float32(0.28) * _texture(texture, height, width, rng))
    lit: Canvas = np.take(table, sprite.parts, axis=0)
    lit *= _thrice(shade)
    return np.minimum(lit, np.float32(1), out=lit)


def _texture(name: str, height: int, width: int, rng: np.random.Generator) -> Plane:
    """Return a pattern, -1 to 1, shape (h, w)."""
    if name == "mottled":
        return draw_clouds(7, height, width, rng)
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    turns = np.float32(2 * np.pi * rng.uniform(2.0, 5.0) / max(height, width))
    angle, phase = rng.uniform(0, np.pi), np.float32(rng.uniform(0, 2 * np.pi))
    cos, sin = np.float32(turns * np.cos(angle)), np.float32(turns * np.sin(angle))
    along = np.sin(cos * x + sin * y + phase)
    if name == "stripes":
        return np.asarray(np.clip(4 * along, -1, 1))
    across = np.sin(cos * y - sin * x + phase)
    if name == "checks":
        return np.asarray(np.clip(5 * along * across, -1, 1))
    return np.asarray(np.clip(6 * (along * across - np.float32(0.45)), -1, 1))


def _colour(kind: ObjectClass, part: int, rng: np.random.Generator) -> Rgb:
    if kind.colours is not None:
        red, green, blue = kind.colours[min(part, len(kind.colours) - 1)]
        drift = rng.uniform(-0.06, 0.06, 3) + rng.uniform(-0.05, 0.05)
        return tuple(np.clip(np.array([red, green, blue]) + drift, 0, 1).tolist())
    bright = rng.random() < 0.6
    value = rng.uniform(0.75, 1.0) if bright else rng.uniform(0.2, 0.45)
    return colorsys.hsv_to_rgb(rng.uniform(), rng.uniform(0.25, 0.9), value)
