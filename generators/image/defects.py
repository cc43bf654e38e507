"""Draw surfaces with defects for visual inspection: each defect with its exact mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Label, Taxonomy
from twinset.core.data.where import Where
from twinset.core.image.instance_maps import objects_from_ids
from twinset.core.image.surface_defects import DEFECTS, marked
from twinset.core.parameters import Ascending, Each, Ends, Fraction, Interval, read_weights

from .._quotas import allocate
from ._backgrounds import SURFACES, paint_surface
from ._labelled_images import (
    Outcomes,
    build_dataset,
    category_field,
    label_cells,
    label_schema,
)

_NAME = "image.defects"
GOOD = "good"
"""The `defect` of a surface without any."""


@dataclass(frozen=True, kw_only=True)
class Defects(Generator):
    """Draw surfaces with defects for visual inspection: each defect with its exact mask.

    Needs no real data. An image shows a faultless surface, or one with defects of one kind; the id map
    gives the pixels that each defect covers by a half or more. Conditions on `surface` and `defect` (good
    or a kind) are met by construction; the count of each `defect` is within one image of its share in
    each chunk of 64. A defect covers at least one pixel of the id map; a smaller one is enlarged. For
    defects on your own images see the augmenter `image.add_defects`.

    Parameters
    ----------
    size : int
        Side of the square images in pixels, 32 to 2048.
    surfaces : sequence of str, or mapping of str to float
        Surfaces, with weights when a mapping: brushed, cast, cloth, wood, frosted.
    kinds_of_defect : sequence of str, or mapping of str to float
        Kinds, with weights when a mapping: scratch, crack, dent, stain, hole, blot, patch.
    good_fraction : float
        Share of images without a defect, 0 to 1.
    n_defects_range : tuple of int
        Smallest and largest number of defects on a faulty surface, 1 to 20.
    side_range : tuple of float
        Longer side of a defect over that of the image, smallest and largest, 0.02 to 0.8.
    amount_range : tuple of float
        Contrast of defects, smallest and largest, 0 (hardly visible) to 1.

    Raises
    ------
    ParameterError
        A setting is outside its range.
    UnknownNameError
        A surface or a kind of defect is unknown.

    Examples
    --------
    >>> from twinset.core.seeding import rng_for
    >>> drawn = Defects(size=64).fit(None, rng_for(1, "fit")).sample(
    ...     3, rng_for(1, "draw"), Where({"defect": "scratch", "surface": "wood"}))
    >>> {o["category"] for row in drawn.records["objects"].to_pylist() for o in row}
    {'scratch'}
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"image", "mask", "boxes", "category"})
    chunk_rows: ClassVar[int] = 64
    needs_real: ClassVar[bool] = False
    extra: ClassVar[str | None] = "image"

    size: Annotated[int, Interval(ge=32, le=2048)] = 256
    surfaces: Sequence[str] | Mapping[str, float] = tuple(SURFACES)
    kinds_of_defect: Sequence[str] | Mapping[str, float] = tuple(DEFECTS)
    good_fraction: Fraction = 0.3
    n_defects_range: Annotated[tuple[int, int], Each(Interval(ge=1, le=20)), Ascending()] = (1, 3)
    side_range: Annotated[Ends, Each(Interval(ge=0.02, le=0.8)), Ascending()] = (0.1, 0.35)
    amount_range: Annotated[Ends, Each(Interval(ge=0, le=1)), Ascending()] = (0.3, 0.9)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.shares("surfaces")
        self.shares("kinds_of_defect")

    def shares(self, name: str) -> dict[str, float]:
        """Return surface, or kind of defect, -> its share of 1."""
        is_surface = name == "surfaces"
        known: Iterable[str] = SURFACES if is_surface else DEFECTS
        noun = "surface" if is_surface else "kind of defect"
        weights = read_weights(getattr(self, name), known, name, noun)
        total = sum(weights.values())
        return {key: weight / total for key, weight in weights.items()}

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the generator ready to draw; `real` is not used."""
        return _FittedDefects(self)


class _FittedDefects(FittedGenerator):
    def __init__(self, settings: Defects) -> None:
        self._settings = settings
        surfaces, kinds = settings.shares("surfaces"), settings.shares("kinds_of_defect")
        bad = 1 - settings.good_fraction
        shares = {GOOD: settings.good_fraction, **{name: bad * w for name, w in kinds.items()}}
        self._n_surfaces = len(surfaces)
        pairs = [(defect, surface) for defect in shares for surface in surfaces]
        columns = {"defect": [d for d, _ in pairs], "surface": [s for _, s in pairs]}
        weights = np.array([shares[d] * surfaces[s] for d, s in pairs])
        self._outcomes = Outcomes(columns, weights)
        self.schema = label_schema(
            Taxonomy(tuple(Label(name) for name in sorted(kinds))),
            category_field("defect", (GOOD, *kinds)),
            category_field("surface", surfaces),
        )

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` images; the first of them do not depend on `n`."""
        order = self._order(self._outcomes.under(where, self.schema, _NAME), rng)
        rows = [self._draw(next(order), rng) for _ in range(n)]
        return build_dataset(rows, self.schema, _NAME, self._settings)

    def _order(self, weights: npt.NDArray[np.float64], rng: np.random.Generator) -> Iterator[int]:
        """Yield outcomes: defects in their exact shares, and the surfaces of each defect in theirs."""
        table = weights.reshape(-1, self._n_surfaces)  # one row a defect
        surfaces = {k: allocate(row.tolist(), rng) for k, row in enumerate(table) if row.sum()}
        for defect in allocate(table.sum(axis=1).tolist(), rng):
            yield defect * self._n_surfaces + next(surfaces[defect])

    def _draw(self, outcome: int, rng: np.random.Generator) -> dict[str, Any]:
        settings = self._settings
        row = self._outcomes.row(outcome)
        canvas = paint_surface(row["surface"], settings.size, settings.size, rng)
        ids = np.zeros((settings.size, settings.size), np.uint16)
        if row["defect"] != GOOD:
            low, high = settings.n_defects_range
            for i in range(1, int(rng.integers(low, high + 1)) + 1):
                side = float(rng.uniform(*settings.side_range)) * settings.size
                amount = float(rng.uniform(*settings.amount_range))
                canvas, mask = marked(row["defect"], canvas, side, amount, rng)
                ids[mask] = i
        objects = objects_from_ids(ids, dict.fromkeys(np.unique(ids)[1:].tolist(), row["defect"]))
        image = np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)
        return label_cells(image, ids, objects) | row
