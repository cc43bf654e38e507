"""Draw textured shapes on a textured ground, with exact boxes and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import BLOB, Field, Label, Schema, Taxonomy
from twinset.core.data.where import Where
from twinset.core.errors import ParameterError, did_you_mean
from twinset.core.image.codec import encode_png

from .._conditions import outcomes_that_meet
from .._quotas import allocate
from ._shapes.contours import DEFINITIONS
from ._shapes.painting import paint
from ._shapes.placement import ShapeScene, place

_NAME = "image.shapes"


@dataclass(frozen=True, kw_only=True)
class Shapes(Generator):
    """Draw textured shapes on a textured ground, with exact boxes and masks.

    Needs no real data. A pixel belongs to the shape that covers a half of it or more; the 16-bit map of
    these owners (`instances`) is the one truth, and boxes, areas, visible fractions and the truncated
    flag (`objects`) are derived from it. Each image also says its `main_shape` (the largest object to be
    seen), its `light` (day or night) and its `n_objects`; a condition on these three is met by
    construction. Shares of `main_shape` are exact to less than one image in each chunk of 64. No object
    is less than 40 % visible.

    Parameters
    ----------
    size : int
        Side of the square images in pixels, 32 to 2048.
    n_objects_range : tuple of int
        Fewest and most objects in an image, 0 to 50; all numbers between are equally likely.
    categories : sequence of str, or mapping of str to float, optional
        Shapes to draw, with their weights when a mapping: circle, cross, rectangle, ring, star,
        triangle. All of them equally by default.
    scale_range : tuple of float
        Square root of a shape's area over the side of the image, least and greatest, 0.03 to 0.6.
    night_fraction : float
        Share of images that are dark, 0 to 1.
    brightness_range : tuple of float
        Factor on the brightness of an image, least and greatest, 0.2 to 2.
    noise : float
        Standard deviation of pixel noise by day in grey levels of 255, 0 to 64; twice that at night.

    Raises
    ------
    ParameterError
        A setting is outside its range, or the objects cannot find room.

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

    size: int = 128
    n_objects_range: tuple[int, int] = (1, 5)
    categories: Sequence[str] | Mapping[str, float] | None = None
    scale_range: tuple[float, float] = (0.12, 0.35)
    night_fraction: float = 0.25
    brightness_range: tuple[float, float] = (0.85, 1.15)
    noise: float = 3.0

    def __post_init__(self) -> None:
        _check_within("size", (self.size, self.size), 32, 2048)
        _check_within("n_objects_range", self.n_objects_range, 0, 50)
        _check_within("scale_range", self.scale_range, 0.03, 0.6)
        _check_within("night_fraction", (self.night_fraction, self.night_fraction), 0, 1)
        _check_within("brightness_range", self.brightness_range, 0.2, 2)
        _check_within("noise", (self.noise, self.noise), 0, 64)
        _check_categories(self.weights)
        if self.n_objects_range[1] * self.scale_range[0] ** 2 > 0.5:
            raise ParameterError(
                f"{self.n_objects_range[1]} objects do not find room in one image",
                got=f"sides of at least {self.scale_range[0]:.0%} of the image",
                todo="lower n_objects_range or scale_range",
            )

    @property
    def weights(self) -> Mapping[str, float]:
        """Weight of each shape that is drawn."""
        if isinstance(self.categories, Mapping):
            return self.categories
        return dict.fromkeys(DEFINITIONS if self.categories is None else self.categories, 1.0)

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator ready to draw; `real` is not looked at."""
        return _FittedShapes(self)


class _FittedShapes(FittedGenerator):
    def __init__(self, settings: Shapes) -> None:
        self._settings = settings
        self._outcomes, self._weights = _outcomes(settings)
        self.schema = _schema(settings)

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` images; the first of them do not depend on how many are asked for."""
        fit = outcomes_that_meet(where, self._outcomes, self.schema, _NAME)
        columns: dict[str, list[Any]] = {name: [] for name in self.schema.names}
        mains = np.array([name or "" for name in self._outcomes["main_shape"]])
        weights = np.where(fit, self._weights, 0.0)
        if weights.sum() == 0:
            raise ParameterError(
                f"'{_NAME}' draws no image that meets the condition",
                got=str(where),
                todo="give the shape, or the night, a share above 0",
            )
        names = np.unique(mains)
        turns = allocate([weights[mains == name].sum() for name in names], rng)
        for _ in range(n):
            chances = np.where(mains == names[next(turns)], weights, 0.0)
            outcome = int(rng.choice(len(chances), p=chances / chances.sum()))
            for name, value in self._draw(outcome, rng).items():
                columns[name].append(value)
        arrays = {name: _array(values, self.schema[name]) for name, values in columns.items()}
        card = Card(
            name=_NAME, origin="synthetic", component=_NAME, settings=asdict(self._settings)
        )
        return Dataset.from_arrow(pa.table(arrays), self.schema, card)

    def _draw(self, outcome: int, rng: np.random.Generator) -> Mapping[str, Any]:
        settings = self._settings
        row = {name: values[outcome] for name, values in self._outcomes.items()}
        scene = self._place(row["main_shape"], row["n_objects"], rng)
        image = paint(
            scene,
            night=row["light"] == "night",
            brightness=float(rng.uniform(*settings.brightness_range)),
            noise=settings.noise,
            rng=rng,
        )
        row["image"] = encode_png(image)
        row["instances"] = encode_png(scene.ids)
        row["objects"] = scene.objects()
        return row

    def _place(self, main: str | None, n_objects: int, rng: np.random.Generator) -> ShapeScene:
        settings = self._settings
        if main is None:
            return ShapeScene((), np.zeros((settings.size, settings.size), np.uint16))
        names = list(settings.weights)
        shares = np.array([settings.weights[name] for name in names], dtype=float)
        others = rng.choice(len(names), size=n_objects - 1, p=shares / shares.sum())
        return place(
            main,
            [names[int(i)] for i in others],
            size=settings.size,
            scale_range=settings.scale_range,
            rng=rng,
        )


def _array(values: list[Any], field: Field) -> pa.Array:
    if field.kind not in ("image", "mask"):
        return pa.array(values, field.stored_type)
    files = [pa.array(values, pa.binary()), pa.nulls(len(values), pa.string())]
    return pa.StructArray.from_arrays(files, fields=list(BLOB))


def _outcomes(settings: Shapes) -> tuple[dict[str, list[Any]], np.ndarray[Any, np.dtype[Any]]]:
    """Return every (main_shape, light, n_objects) that can come out, and its weight."""
    low, high = settings.n_objects_range
    total = sum(settings.weights.values())
    rows: list[tuple[str | None, str, int]] = []
    weights = []
    for n in range(low, high + 1):
        mains = [(name, w / total) for name, w in settings.weights.items()] if n else [(None, 1.0)]
        for main, share in mains:
            for light, chance in (
                ("day", 1 - settings.night_fraction),
                ("night", settings.night_fraction),
            ):
                rows.append((main, light, n))
                weights.append(share * chance)
    main_column, light_column, n_column = (list(column) for column in zip(*rows))
    columns = {"main_shape": main_column, "light": light_column, "n_objects": n_column}
    return columns, np.array(weights)


def _schema(settings: Shapes) -> Schema:
    names = tuple(sorted(settings.weights))
    shapes = Taxonomy(tuple(Label(name, DEFINITIONS[name]) for name in names))
    empty_images = settings.n_objects_range[0] == 0
    return Schema(
        (
            Field(name="image", kind="image", nullable=False, description="8-bit RGB, PNG"),
            Field(name="instances", kind="mask", nullable=False, description="16-bit id map, PNG"),
            Field(name="objects", kind="boxes", nullable=False, taxonomy=shapes),
            Field(
                name="main_shape",
                kind="category",
                nullable=empty_images,
                levels=names,
                taxonomy=shapes,
                description="shape of the largest object to be seen",
            ),
            Field(name="light", kind="category", nullable=False, levels=("day", "night")),
            Field(name="n_objects", kind="integer", nullable=False),
        )
    )


def _check_within(name: str, given: tuple[float, float], least: float, most: float) -> None:
    low, high = given
    if not least <= low <= high <= most:
        shown = f"{low}" if low == high else f"{low} to {high}"
        raise ParameterError(
            f"'{name}' is out of its range", got=shown, allowed=f"{least} to {most}, low end first"
        )


def _check_categories(weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        if name not in DEFINITIONS:
            raise ParameterError(
                f"unknown shape '{name}' in 'categories'",
                allowed=", ".join(DEFINITIONS),
                todo=did_you_mean(name, DEFINITIONS),
            )
        if not 0 <= weight < float("inf"):
            raise ParameterError(
                f"the weight of '{name}' in 'categories' is out of its range",
                got=str(weight),
                allowed="0 or more",
            )
    if sum(weights.values()) <= 0:
        raise ParameterError("'categories' gives no shape a weight above 0")
