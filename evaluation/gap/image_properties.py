"""How far named properties of pictures are from real ones: brightness, noise, sharpness, objects, boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    ComponentResults,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Role,
)
from twinset.core.data.dataset import Dataset
from twinset.core.features.image_statistics import box_labels, image_properties
from twinset.core.findings import DifferingComponents
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.bootstrap import Groups

from ._pooled import PooledColumn
from ._two_sample import kolmogorov_p
from .marginals import column_distance

Floats = npt.NDArray[np.float64]

_FALSE_CALLS = 0.05
_MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class ImageProperties(Metric):
    """Compares pictures by properties that have names, from brightness to how boxes sit.

    Of every image the brightness, contrast, colour casts, noise, sharpness, JPEG blocks and size are
    measured, of its objects their number, size, shape and place and whether their boxes sit on what
    they frame, of its masks their share and how steep the picture is at their borders. The number of
    a property is the Kolmogorov-Smirnov distance of its values, 0 to 1, and a property that is off by
    more than its margin makes the whole different. The value is the mean over the properties.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real.
    property_margin : float
        The same for a single property.
    max_rows : int
        Images of each side that are looked at, 20 or more.
    replicates : int
        Bootstrap replicates.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.image.codec import encode_png
    >>> from twinset.core.data.schema import Field, Schema
    >>> def pictures(grey):
    ...     cells = [{"bytes": encode_png(np.full((8, 8), grey + i, np.uint8)), "path": ""}
    ...              for i in range(20)]
    ...     return Dataset.from_arrow(
    ...         pa.table({"photo": cells}), Schema((Field(name="photo", kind="image"),)))
    >>> told = Comparison(pictures(50), pictures(90), pictures(50))
    >>> found = ImageProperties(replicates=2).compute(told, np.random.default_rng(0))
    >>> found.findings[0].names, float(found.components.values[0])
    (('brightness',), 1.0)
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "properties of images"
    interpretation: ClassVar[str] = (
        "How far brightness, noise, sharpness, colour casts, objects and boxes are from real images, "
        "averaged over the properties: 0 is the same, 1 is nothing in common."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.IMAGE_APPEARANCE})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "boxes", "mask"})
    needs: ClassVar[frozenset[str]] = frozenset({"image"})
    # Shuffled columns hold the same pictures.
    has_floor: ClassVar[bool] = False
    extra: ClassVar[str | None] = "image"

    margin: Margin = 0.03
    property_margin: Margin = 0.03
    max_rows: Annotated[int, Ge(20)] = 2_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over the properties; details hold each one's, worst first."""
        if not comparison.reference.schema.of_kind("image"):
            raise NotMeasurable("there is no image column")
        reference = comparison.reference.at_most(self.max_rows, rng)
        synthetic = comparison.synthetic.at_most(self.max_rows, rng)
        if not len(reference) or not len(synthetic):
            raise NotMeasurable("there are no images to compare")
        labels = box_labels(reference)
        key = f"properties of {len(reference)} images"
        if key not in comparison.cache:
            comparison.cache[key] = image_properties(reference, labels)
        real: Dataset = comparison.cache[key]
        made = image_properties(synthetic, labels)
        names = [name for name in real.schema.names if not real.is_null(name).all()]
        if not names:
            raise NotMeasurable("no image can be decoded")
        of_reference = Groups.assign(len(reference), self.replicates, rng)
        of_synthetic = Groups.assign(len(synthetic), self.replicates, rng)
        found = [
            column_distance(PooledColumn.of(made, real, name), of_synthetic, of_reference)
            for name in names
        ]
        values = np.array([distance for distance, _ in found])
        drawn = np.column_stack([replicates for _, replicates in found])
        worst = np.argsort(-values, kind="stable")
        facts = {
            "properties": {names[i]: _told(values[i], made, real, names[i]) for i in worst},
            "rows": {"real": len(reference), "synthetic": len(synthetic)},
            "max_rows": self.max_rows,
        }
        differing = _differing([(names[i], values[i]) for i in worst], len(real), len(made))
        parts = ComponentResults("measure", tuple(names), values, drawn, self.property_margin)
        return Measurement(float(values.mean()), drawn.mean(axis=1), (differing,), parts, facts)


def _differing(worst: Sequence[tuple[str, float]], n_real: int, n_made: int) -> DifferingComponents:
    """Return which properties differ beyond chance, worst first, at 5 % over all of them (Bonferroni)."""
    called = [
        name
        for name, distance in worst
        if kolmogorov_p(float(distance), n_made, n_real) * len(worst) < _FALSE_CALLS
    ]
    return DifferingComponents("property", tuple(called), len(worst))


def _told(distance: float, made: Dataset, real: Dataset, name: str) -> dict[str, float | None]:
    """Return the distance of a property and its medians; a missing one is None."""
    medians = []
    for side in (made, real):
        values = side.values(name)
        known = values[np.isfinite(values)]
        medians.append(round(float(np.median(known)), 4) if len(known) else None)
    return {"distance": round(float(distance), 4), "synthetic": medians[0], "real": medians[1]}
