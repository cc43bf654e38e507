"""Draw textured shapes on a textured background, with exact boxes and masks."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Label, Taxonomy
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError
from twinset.core.image.polygons import signed_area
from twinset.core.parameters import Ascending, Each, Ends, Fraction, Interval, read_weights

from .._quotas import allocate
from ._backgrounds import paint_ground
from ._labelled_images import (
    Outcomes,
    build_dataset,
    category_field,
    label_cells,
    label_schema,
)
from ._scenes.layout import SpriteScene, label_scene
from ._scenes.render import Sprite, lay, sprite_of
from ._scenes.shapes import FORMS
from ._scenes.spec import ObjectClass
from ._scenes.view import View

_NAME = "image.shapes"
_DEFINITIONS: Mapping[str, str] = {
    "circle": "a filled disc",
    "cross": "two equal bars that cross at right angles",
    "rectangle": "a filled rectangle, sides 1 : 1 to 1 : 2",
    "ring": "a disc with a round hole",
    "star": "a star of five points",
    "triangle": "a filled triangle of equal sides",
}
_MIN_VISIBLE = 0.4  # a shape of which less is seen is hard to name, for people too
_MAX_SECOND = 0.92  # side of the other shapes over that of the main one: its lead can be seen
_N_SCENES, _N_PLACES = 60, 12  # attempts; scenes of 50 objects need about as many
_SHADOW = 0.45  # darkness of shadows, 0 (none) to 1 (black): they stay visible on dark ground
_NIGHT = np.array([0.33, 0.37, 0.52], np.float32)  # dark and a little blue
_NIGHT_NOISE = 2.0  # times the noise by day: a sensor amplifies a dark image


@dataclass(frozen=True, kw_only=True)
class Shapes(Generator):
    """Draw textured shapes on a textured background, with exact boxes and masks.

    Needs no real data. A small setup of the engine of `image.scenes`: plain classes, clouds as a
    background, two levels of light. A pixel belongs to the shape that covers a half of it or more; the
    16-bit map of these owners (`instances`) defines boxes, areas, visible fractions and the truncated flag
    (`objects`). Columns `main_shape` (the object with the largest visible area), `light` (day or night) and
    `n_objects` describe each image; a condition on these three is met by construction. Shares of
    `main_shape` are exact to less than one image in each chunk of 64. Each object is at least 40 % visible.

    Parameters
    ----------
    size : int
        Side of the square images in pixels, 32 to 2048.
    n_objects_range : tuple of int
        Smallest and largest number of objects in an image, 0 to 50; all numbers are equally likely.
    categories : sequence of str, or mapping of str to float, optional
        Shapes to draw, with their weights when a mapping: circle, cross, rectangle, ring, star,
        triangle. All of them equally by default.
    scale_range : tuple of float
        Square root of a shape's area over the side of the image, smallest and largest, 0.03 to 0.6.
    night_fraction : float
        Share of images that are dark, 0 to 1.
    brightness_range : tuple of float
        Factor on the brightness of an image, smallest and largest, 0.2 to 2.
    noise : float
        Standard deviation of pixel noise by day in grey levels of 255, 0 to 64; twice that at night.

    Raises
    ------
    ParameterError
        A setting is outside its range, or the objects cannot find room.
    UnknownNameError
        A shape is unknown.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> drawn = Shapes(size=64).fit(None, rng_for(1, "fit")).sample(
    ...     4, rng_for(1, "draw"), Where({"main_shape": "ring", "n_objects": 2}))
    >>> [[o["category"] for o in row].count("ring") >= 1 for row in drawn.records["objects"].to_pylist()]
    [True, True, True, True]
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"image", "mask", "boxes", "category", "integer"})
    chunk_rows: ClassVar[int] = 64
    needs_real: ClassVar[bool] = False
    extra: ClassVar[str | None] = "image"

    size: Annotated[int, Interval(ge=32, le=2048)] = 128
    n_objects_range: Annotated[tuple[int, int], Each(Interval(ge=0, le=50)), Ascending()] = (1, 5)
    categories: Sequence[str] | Mapping[str, float] | None = None
    scale_range: Annotated[Ends, Each(Interval(ge=0.03, le=0.6)), Ascending()] = (0.12, 0.35)
    night_fraction: Fraction = 0.25
    brightness_range: Annotated[Ends, Each(Interval(ge=0.2, le=2)), Ascending()] = (0.85, 1.15)
    noise: Annotated[float, Interval(ge=0, le=64)] = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.weights  # noqa: B018 - checks the categories
        if self.n_objects_range[1] * self.scale_range[0] ** 2 > 0.5:
            raise ParameterError(
                f"{self.n_objects_range[1]} objects do not find room in one image",
                got=f"sides of at least {self.scale_range[0]:.0%} of the image",
                todo="lower n_objects_range or scale_range",
            )

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each shape that is drawn."""
        given = tuple(_DEFINITIONS) if self.categories is None else self.categories
        return read_weights(given, _DEFINITIONS, "categories", "shape")

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator ready to draw; `real` is not used."""
        return _FittedShapes(self)


class _FittedShapes(FittedGenerator):
    def __init__(self, settings: Shapes) -> None:
        self._settings = settings
        self._outcomes = _list_outcomes(settings)
        names = sorted(settings.weights)
        shapes = Taxonomy(tuple(Label(name, _DEFINITIONS[name]) for name in names))
        self.schema = label_schema(
            shapes,
            Field(
                name="main_shape",
                kind="category",
                nullable=settings.n_objects_range[0] == 0,
                levels=tuple(names),
                taxonomy=shapes,
                description="shape of the object with the largest visible area",
            ),
            category_field("light", ("day", "night")),
            Field(name="n_objects", kind="integer", nullable=False),
        )

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` images; the first of them do not depend on `n`."""
        weights = self._outcomes.under(where, self.schema, _NAME)
        mains = np.array([name or "" for name in self._outcomes.columns["main_shape"]])
        names = np.unique(mains)
        order = allocate([weights[mains == name].sum() for name in names], rng)
        rows = []
        for _ in range(n):
            chances = np.where(mains == names[next(order)], weights, 0.0)
            outcome = int(rng.choice(len(chances), p=chances / chances.sum()))
            rows.append(self._draw(outcome, rng))
        return build_dataset(rows, self.schema, _NAME, self._settings)

    def _draw(self, outcome: int, rng: np.random.Generator) -> dict[str, Any]:
        row = self._outcomes.row(outcome)
        hue = rng.uniform()
        scene = self._place(row["main_shape"], row["n_objects"], hue, rng)
        image = _paint(scene, self._settings, row["light"] == "night", hue, rng)
        return row | label_cells(image, scene.ids, scene.objects)

    def _place(
        self, main: str | None, n_objects: int, hue: float, rng: np.random.Generator
    ) -> SpriteScene:
        """Return a scene in which a `main` is the object with the largest visible area."""
        settings = self._settings
        size, (low, high) = settings.size, settings.scale_range
        if main is None:
            return label_scene([], 0, (size, size), _MIN_VISIBLE)
        names = list(settings.weights)
        shares = np.array([settings.weights[name] for name in names], dtype=float)
        picked = rng.choice(len(names), size=n_objects - 1, p=shares / shares.sum())
        for attempt in range(_N_SCENES):
            room = 1 - attempt / _N_SCENES  # objects become smaller, but never below the range
            sides = size * (low + room * np.sort(rng.uniform(0, high - low, n_objects)))
            shapes = [
                (names[int(k)], float(min(side, _MAX_SECOND * sides[-1])))
                for k, side in zip(picked, sides)
            ]
            at = int(rng.integers(n_objects))  # the main object may lie under others
            shapes.insert(at, (main, float(sides[-1])))
            sprites = _place_shapes(shapes, size, hue, rng)
            if sprites is None:
                continue
            scene = label_scene(sprites, at, (size, size), _MIN_VISIBLE)
            areas = {label["id"]: label["area"] for label in scene.objects}
            lead = areas.pop(at + 1, 0.0)
            if len(areas) == n_objects - 1 and lead > max(areas.values(), default=0):
                return scene
        raise ParameterError(
            f"{n_objects} objects do not find room in one image",
            got=f"sides of {low:.0%} to {high:.0%} of the image",
            todo="lower scale_range or n_objects_range",
        )


def _place_shapes(
    shapes: Sequence[tuple[str, float]], size: int, hue: float, rng: np.random.Generator
) -> list[Sprite] | None:
    """Return sprites of these names and sides, all visible enough; None when there is no room."""
    ids = np.zeros((size, size), np.uint16)
    sprites: list[Sprite] = []
    full: list[int] = []
    for name, side in shapes:
        for _ in range(_N_PLACES):
            x, y = (float(at) for at in rng.uniform(0, size, 2))
            sprite = _draw_shape(name, (x, y), side, hue, rng)
            painted, areas = ids.copy(), [*full, int(np.count_nonzero(sprite.mask))]
            sprite.paint_id(painted, len(areas))
            visible = np.bincount(painted.ravel(), minlength=len(areas) + 1)[1:]
            if (visible >= np.maximum(_MIN_VISIBLE * np.array(areas), 1)).all():
                break
        else:
            return None
        ids, full = painted, areas
        sprites.append(sprite)
    return sprites


def _draw_shape(
    name: str, centre: tuple[float, float], side: float, hue: float, rng: np.random.Generator
) -> Sprite:
    """Return a shape of area `side` squared; its hue differs from that of the background."""
    form = FORMS[name](rng)
    areas = [abs(signed_area(ring)) for ring, _ in form.parts]
    longest = float(np.ptp(form.parts[0][0], axis=0).max())
    is_bright = rng.random() < 0.7  # the others are dark: lightness alone does not give shapes away
    value = rng.uniform(0.8, 1.0) if is_bright else rng.uniform(0.3, 0.45)
    colour = colorsys.hsv_to_rgb((hue + rng.uniform(0.2, 0.8)) % 1, rng.uniform(0.55, 0.9), value)
    kind = ObjectClass(
        name=name,
        make=lambda _: form,
        colours=(colour,),
        textures=("plain", "stripes", "checks"),
        weight=1.0,
        turn=180.0,
        tilt=0.0,
        label=Label(name),
    )
    scale = longest / np.sqrt(areas[0] - sum(areas[1:]))
    return sprite_of(kind, centre, side * float(scale), rng, View())


def _paint(
    scene: SpriteScene, settings: Shapes, is_night: bool, hue: float, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return the image of a scene, RGB, shape (size, size, 3)."""
    colour = colorsys.hsv_to_rgb(hue, rng.uniform(0.05, 0.3), rng.uniform(0.35, 0.75))
    canvas = paint_ground("clouds", settings.size, settings.size, colour, rng)
    for sprite in scene.sprites:
        lay(canvas, sprite, _SHADOW, rng)
    canvas *= np.float32(255 * rng.uniform(*settings.brightness_range))
    if is_night:
        canvas *= _NIGHT
    spread = np.float32(settings.noise * (_NIGHT_NOISE if is_night else 1.0))
    canvas += spread * rng.standard_normal(canvas.shape, dtype=np.float32)
    return np.rint(np.clip(canvas, 0, 255)).astype(np.uint8)


def _list_outcomes(settings: Shapes) -> Outcomes:
    """Return every (main_shape, light, n_objects) that is possible."""
    low, high = settings.n_objects_range
    total, night = sum(settings.weights.values()), settings.night_fraction
    shares: dict[str | None, float] = {name: w / total for name, w in settings.weights.items()}
    rows = [
        (main, light, n, share * chance)
        for n in range(low, high + 1)
        for main, share in (shares if n else {None: 1.0}).items()
        for light, chance in (("day", 1 - night), ("night", night))
    ]
    mains, lights, numbers, weights = (list(column) for column in zip(*rows))
    columns = {"main_shape": mains, "light": lights, "n_objects": numbers}
    return Outcomes(columns, np.array(weights))
