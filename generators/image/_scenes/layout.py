"""Where the objects of a scene stand: a main one as its conditions ask, the others around and behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from twinset.core.errors import ParameterError
from twinset.core.image.instance_maps import ObjectLabel, drop_hidden
from twinset.core.image.keypoints import keypoints_from_ids

from .._labelled_images import WholeObject, label_objects
from .render import Sprite, sprite_of
from .spec import LEVELS, ObjectClass
from .view import View

Ids = npt.NDArray[np.uint16]

_N_TRIES = 60
_N_PLACES = 8
_OTHERS = (0.08, 0.3)  # longer side of the other objects over that of the image
_SLACK = 0.03  # by which a hidden or cut share may miss its level: pixels are whole


@dataclass(frozen=True)
class SpriteScene:
    """Objects in painting order, and the map of who is seen: sprite k has the id k + 1."""

    sprites: tuple[Sprite, ...]
    ids: Ids
    objects: tuple[ObjectLabel, ...]
    main: int


def lay_out(
    main: ObjectClass,
    others: Sequence[ObjectClass],
    levels: Mapping[str, str],
    *,
    size: tuple[int, int],
    layout: str,
    min_visible_fraction: float,
    view: View,
    rng: np.random.Generator,
) -> SpriteScene:
    """Return a scene whose main object meets its levels of scale, occlusion and truncation.

    Parameters
    ----------
    main : ObjectClass
        Class of the main object.
    others : sequence of ObjectClass
        Classes of the other objects; where the main one shall be hidden in part, the last lies over it.
    levels : mapping
        Level of scale, occlusion and truncation.
    size : tuple of int
        Height and width.
    layout : {"random", "grid", "surface"}
        Where the others stand.
    min_visible_fraction : float
        Objects of which less is seen are dropped from map and labels.
    view : View
        From where the camera looks.
    rng : numpy.random.Generator
        Draws places and forms.

    Raises
    ------
    ParameterError
        The levels cannot be met.
    """
    hidden = LEVELS["occlusion"][levels["occlusion"]]
    for attempt in range(_N_TRIES):
        chief = _truncate(
            _main(main, levels["scale"], size, view, rng), levels["truncation"], size, rng
        )
        over = others[-1:] if hidden[0] > 0 else ()
        larger = 1 + attempt / 15  # a thin object must be large to hide much
        behind = _others(others[: len(others) - len(over)], chief, size, layout, view, rng)
        before = [
            s
            for kind in over
            if (s := _cover(kind, chief, hidden, size, larger, view, rng)) is not None
        ]
        if len(before) < len(over):
            continue
        scene = label_scene([*behind, chief, *before], len(behind), size, min_visible_fraction)
        if _is_met(scene, levels, size):
            return scene
    raise ParameterError(
        "a scene cannot be laid out as its conditions ask",
        got=", ".join(f"{k}: {levels[k]}" for k in ("scale", "occlusion", "truncation")),
        todo="forbid this combination, or allow more objects",
    )


def _main(
    kind: ObjectClass, scale: str, size: tuple[int, int], view: View, rng: np.random.Generator
) -> Sprite:
    side = float(rng.uniform(*LEVELS["scale"][scale])) * max(size)
    room = 0.55 * side
    centre = [
        float(rng.uniform(room, length - room)) if length > 2 * room else length / 2
        for length in (size[1], size[0])
    ]
    return sprite_of(kind, (centre[0], centre[1]), side, rng, view, keeps_size=True)


def _truncate(
    sprite: Sprite, level: str, size: tuple[int, int], rng: np.random.Generator
) -> Sprite:
    """Push the object outside the image as far as its level asks."""
    low, high = LEVELS["truncation"][level]
    if high == 0:
        return sprite
    share = rng.uniform(low, high)
    along = int(rng.integers(2))  # 0: left or right, 1: above or below
    counts = np.cumsum(sprite.mask.sum(axis=1 if along else 0)) / sprite.mask.sum()
    start, length = (sprite.top, size[0]) if along else (sprite.left, size[1])
    if rng.random() < 0.5:
        gone = int(np.searchsorted(counts, share)) + 1
        move = -gone - start
    else:
        kept = int(np.searchsorted(counts, 1 - share)) + 1
        move = length - kept - start
    return sprite.moved(0, move) if along else sprite.moved(move, 0)


def _others(
    kinds: Sequence[ObjectClass],
    chief: Sprite,
    size: tuple[int, int],
    layout: str,
    view: View,
    rng: np.random.Generator,
) -> list[Sprite]:
    """Return the other objects, which lie behind the main one and keep apart where there is room."""
    height, width = size
    made: list[Sprite] = []
    taken = np.array([_circle(chief)])
    cells = rng.permutation(9)
    for k, kind in enumerate(kinds):
        side = float(rng.uniform(*_OTHERS)) * max(size)
        if layout == "grid":
            row, column = divmod(int(cells[k % 9]), 3)
            x, y = (np.array([column, row]) + 0.5 + rng.uniform(-0.2, 0.2, 2)) * (width, height) / 3
        else:
            low = (0.0, 0.45 * height if layout == "surface" else 0.0)
            tried = rng.uniform(low, (width, height), (_N_PLACES, 2))
            apart = np.hypot(*(tried[:, None] - taken[:, :2]).transpose(2, 0, 1)) - taken[:, 2]
            x, y = tried[int(apart.min(axis=1).argmax())]  # where there is most room
        best = (float(x), float(y))
        if layout == "surface":  # what stands nearer is lower in the image, and larger
            side *= 0.35 + 1.1 * best[1] / height
        sprite = sprite_of(kind, best, side, rng, view)
        taken = np.vstack([taken, _circle(sprite)])
        made.append(sprite)
    return sorted(made, key=lambda s: s.top + s.cover.shape[0]) if layout == "surface" else made


def _cover(
    kind: ObjectClass,
    chief: Sprite,
    share: tuple[float, float],
    size: tuple[int, int],
    larger: float,
    view: View,
    rng: np.random.Generator,
) -> Sprite | None:
    """Return an object that hides a share of the main one's part in the image; None when it cannot."""
    place, own = chief.overlap(*size)
    seen = chief.mask[own]
    total = int(seen.sum())
    if not total:
        return None
    x0, y0, x1, y1 = chief.box()
    side = larger * float(rng.uniform(0.7, 1.2)) * max(x1 - x0, y1 - y0)
    centre = ((place[1].start + place[1].stop) / 2, (place[0].start + place[0].stop) / 2)
    sprite = sprite_of(kind, centre, side, rng, view)
    angle, wanted = rng.uniform(0, 2 * np.pi), rng.uniform(*share)
    reach = side + max(x1 - x0, y1 - y0)
    low, high = 0.0, reach
    found = None
    for _ in range(9):  # nearer hides more: halve the distance that is in doubt
        middle = (low + high) / 2
        tried = sprite.moved(round(middle * np.cos(angle)), round(middle * np.sin(angle)))
        hides = _hidden(tried, chief, size) / total
        if share[0] <= hides <= share[1]:
            found = tried
        low, high = (middle, high) if hides > wanted else (low, middle)
    return found


def _hidden(over: Sprite, under: Sprite, size: tuple[int, int]) -> int:
    """Return how many of the pixels of `under` in the image `over` owns."""
    (rows, columns), _ = over.overlap(*size)
    (own_rows, own_columns), _ = under.overlap(*size)
    y0, y1 = max(rows.start, own_rows.start), min(rows.stop, own_rows.stop)
    x0, x1 = max(columns.start, own_columns.start), min(columns.stop, own_columns.stop)
    if y0 >= y1 or x0 >= x1:
        return 0
    a = over.mask[y0 - over.top : y1 - over.top, x0 - over.left : x1 - over.left]
    b = under.mask[y0 - under.top : y1 - under.top, x0 - under.left : x1 - under.left]
    return int(np.count_nonzero(a & b))


def label_scene(
    sprites: Sequence[Sprite], main: int, size: tuple[int, int], min_visible_fraction: float
) -> SpriteScene:
    """Return the scene of sprites in painting order, with its labels.

    Parameters
    ----------
    sprites : sequence of Sprite
        Objects from the back to the front.
    main : int
        Position of the main object.
    size : tuple of int
        Height and width.
    min_visible_fraction : float
        Objects with a smaller visible fraction are dropped from map and labels.
    """
    ids = np.zeros(size, np.uint16)
    wholes = {}
    for i, sprite in enumerate(sprites, start=1):
        sprite.paint_id(ids, i)
        area = int(np.count_nonzero(sprite.mask))
        wholes[i] = WholeObject(sprite.kind.name, area, sprite.box())
    found = label_objects(ids, wholes)
    for label in found:
        points = sprites[label["id"] - 1].points
        if points:
            label["keypoints"] = list(keypoints_from_ids(points, ids, label["id"]))
    kept_ids, kept = drop_hidden(ids, found, min_visible_fraction)
    return SpriteScene(tuple(sprites), np.asarray(kept_ids, np.uint16), tuple(kept), main)


def _is_met(scene: SpriteScene, levels: Mapping[str, str], size: tuple[int, int]) -> bool:
    """Whether the main object is hidden and cut as much as its levels ask."""
    chief = scene.sprites[scene.main]
    label = next((item for item in scene.objects if item["id"] == scene.main + 1), None)
    if label is None:
        return False
    _, own = chief.overlap(*size)
    inside = int(np.count_nonzero(chief.mask[own]))
    hidden, cut = 1 - label["area"] / inside, 1 - inside / int(np.count_nonzero(chief.mask))
    for name, share in (("occlusion", hidden), ("truncation", cut)):
        low, high = LEVELS[name][levels[name]]
        slack = _SLACK if high > 0 else 0.0
        if not low - slack <= share <= high + slack:
            return False
    return True


def _circle(sprite: Sprite) -> tuple[float, float, float]:
    h, w = sprite.cover.shape
    return sprite.left + w / 2, sprite.top + h / 2, max(h, w) / 2
