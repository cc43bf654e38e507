"""Places of the objects of a scene: a main one that meets its conditions, the others around and behind."""

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

_N_TRIES = 60  # layouts until one meets its levels; thin objects must grow before they hide much
_N_PLACES = 8  # places compared for each other object; more of them make scenes look like a grid
_OTHERS = (0.08, 0.3)  # longer side of the other objects over that of the image
_SLACK = 0.03  # by which a hidden or cut share may miss its level: pixels are whole


@dataclass(frozen=True)
class SpriteScene:
    """Objects in painting order, and the map of visible objects: sprite k has the id k + 1."""

    sprites: tuple[Sprite, ...]
    ids: Ids
    objects: tuple[ObjectLabel, ...]
    main: int


@dataclass(frozen=True)
class Layout:
    """Places objects in images of one size, seen from one view."""

    size: tuple[int, int]  # Height and width
    layout: str  # "random", "grid" or "surface": where the other objects stand
    min_visible_fraction: float  # Objects below it are dropped from map and labels
    view: View
    rng: np.random.Generator

    def scene(
        self, main: ObjectClass, others: Sequence[ObjectClass], levels: Mapping[str, str]
    ) -> SpriteScene:
        """Return a scene whose main object meets its levels of scale, occlusion and truncation.

        Where the main object shall be hidden in part, the last of the others lies over it.
        """
        hidden = LEVELS["occlusion"][levels["occlusion"]]
        n_over = int(hidden[0] > 0 and len(others) > 0)
        for attempt in range(_N_TRIES):
            chief = self._truncate(self._main(main, levels["scale"]), levels["truncation"])
            larger = 1 + attempt / 15  # a thin object must be large to hide much
            behind = self._others(others[: len(others) - n_over], chief)
            covers = [self._cover(kind, chief, hidden, larger) for kind in others[-1:][:n_over]]
            before = [sprite for sprite in covers if sprite is not None]
            if len(before) < n_over:
                continue
            sprites = [*behind, chief, *before]
            scene = label_scene(sprites, len(behind), self.size, self.min_visible_fraction)
            if self._is_met(scene, levels):
                return scene
        raise ParameterError(
            "a scene cannot be laid out as its conditions require",
            got=", ".join(f"{k}: {levels[k]}" for k in ("scale", "occlusion", "truncation")),
            todo="forbid this combination, or allow more objects",
        )

    def _main(self, kind: ObjectClass, scale: str) -> Sprite:
        side = float(self.rng.uniform(*LEVELS["scale"][scale])) * max(self.size)
        room = 0.55 * side
        x, y = (
            float(self.rng.uniform(room, length - room)) if length > 2 * room else length / 2
            for length in reversed(self.size)
        )
        return sprite_of(kind, (x, y), side, self.rng, self.view, keeps_size=True)

    def _truncate(self, sprite: Sprite, level: str) -> Sprite:
        """Return the object, moved outside the image as far as its level requires."""
        low, high = LEVELS["truncation"][level]
        if high == 0:
            return sprite
        share = self.rng.uniform(low, high)
        along = int(self.rng.integers(2))  # 0: left or right, 1: above or below
        counts = np.cumsum(sprite.mask.sum(axis=1 if along else 0)) / sprite.mask.sum()
        start, length = (sprite.top, self.size[0]) if along else (sprite.left, self.size[1])
        if self.rng.random() < 0.5:
            move = -(int(np.searchsorted(counts, share)) + 1) - start
        else:
            move = length - (int(np.searchsorted(counts, 1 - share)) + 1) - start
        return sprite.moved(0, move) if along else sprite.moved(move, 0)

    def _others(self, kinds: Sequence[ObjectClass], chief: Sprite) -> list[Sprite]:
        """Return the other objects: behind the main one, and apart where there is room."""
        height, width = self.size
        sprites: list[Sprite] = []
        taken = np.array([_circle(chief)])
        cells = self.rng.permutation(9)
        on_surface = self.layout == "surface"
        for k, kind in enumerate(kinds):
            side = float(self.rng.uniform(*_OTHERS)) * max(self.size)
            if self.layout == "grid":
                row, column = divmod(int(cells[k % 9]), 3)
                cell = np.array([column, row]) + 0.5 + self.rng.uniform(-0.2, 0.2, 2)
                x, y = cell * (width, height) / 3
            else:
                low = (0.0, 0.45 * height if on_surface else 0.0)
                tried = self.rng.uniform(low, (width, height), (_N_PLACES, 2))
                apart = np.hypot(*(tried[:, None] - taken[:, :2]).transpose(2, 0, 1)) - taken[:, 2]
                x, y = tried[int(apart.min(axis=1).argmax())]  # where there is most room
            if on_surface:  # nearer objects are lower in the image, and larger
                side *= 0.35 + 1.1 * float(y) / height
            sprite = sprite_of(kind, (float(x), float(y)), side, self.rng, self.view)
            taken = np.vstack([taken, _circle(sprite)])
            sprites.append(sprite)
        return sorted(sprites, key=lambda s: s.top + s.cover.shape[0]) if on_surface else sprites

    def _cover(
        self, kind: ObjectClass, chief: Sprite, share: tuple[float, float], larger: float
    ) -> Sprite | None:
        """Return an object that hides a share of the main one's visible part, or None."""
        rng = self.rng
        place, own = chief.overlap(*self.size)
        total = int(chief.mask[own].sum())
        if not total:
            return None
        x0, y0, x1, y1 = chief.box()
        side = larger * float(rng.uniform(0.7, 1.2)) * max(x1 - x0, y1 - y0)
        centre = ((place[1].start + place[1].stop) / 2, (place[0].start + place[0].stop) / 2)
        sprite = sprite_of(kind, centre, side, rng, self.view)
        angle, target = rng.uniform(0, 2 * np.pi), rng.uniform(*share)
        low, high = 0.0, side + max(x1 - x0, y1 - y0)
        found = None
        for _ in range(9):  # bisection: nearer hides more
            middle = (low + high) / 2
            tried = sprite.moved(round(middle * np.cos(angle)), round(middle * np.sin(angle)))
            hides = self._count_hidden(tried, chief) / total
            if share[0] <= hides <= share[1]:
                found = tried
            low, high = (middle, high) if hides > target else (low, middle)
        return found

    def _count_hidden(self, over: Sprite, under: Sprite) -> int:
        """Return how many pixels of `under` in the image `over` covers."""
        mask = np.zeros(self.size, bool)
        place, own = under.overlap(*self.size)
        mask[place] = under.mask[own]
        place, own = over.overlap(*self.size)
        return int(np.count_nonzero(mask[place] & over.mask[own]))

    def _is_met(self, scene: SpriteScene, levels: Mapping[str, str]) -> bool:
        """Return whether the main object is hidden and cut as much as its levels require."""
        chief = scene.sprites[scene.main]
        label = next((item for item in scene.objects if item["id"] == scene.main + 1), None)
        if label is None:
            return False
        _, own = chief.overlap(*self.size)
        inside = int(np.count_nonzero(chief.mask[own]))
        hidden, cut = 1 - label["area"] / inside, 1 - inside / int(np.count_nonzero(chief.mask))
        for name, share in (("occlusion", hidden), ("truncation", cut)):
            low, high = LEVELS[name][levels[name]]
            slack = _SLACK if high > 0 else 0.0
            if not low - slack <= share <= high + slack:
                return False
        return True


def label_scene(
    sprites: Sequence[Sprite], main: int, size: tuple[int, int], min_visible_fraction: float
) -> SpriteScene:
    """Return the scene of sprites in painting order, with its labels."""
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


def _circle(sprite: Sprite) -> tuple[float, float, float]:
    h, w = sprite.cover.shape
    return sprite.left + w / 2, sprite.top + h / 2, max(h, w) / 2
