"""Distances of named properties of images: brightness, noise, sharpness, objects, boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable, Role
from twinset.core.data.dataset import Dataset
from twinset.core.features.image_statistics import box_labels, image_properties
from twinset.core.findings import DifferingComponents
from twinset.core.parameters import Ge, Margin

from .._bootstrap_metric import SampledMetric
from .._results import average_components, largest_first
from .._samples import cached, draw_groups, draw_samples
from ._column_tests import kolmogorov_p
from ._columns import PooledColumn
from .marginals import column_distance

_ALPHA = 0.05  # over the tests of all properties: the usual level


@dataclass(frozen=True, kw_only=True)
class ImageProperties(SampledMetric):
    """Kolmogorov-Smirnov distance of each property of images, averaged over properties.

    value = mean_j sup_x |F_synthetic,j(x) - F_real,j(x)|, in [0, 1]. Properties j of an image are its
    brightness, contrast, colour casts, noise, sharpness, JPEG blocks and size; of its objects their
    number, size, shape and place, and whether their boxes fit what they enclose; of its masks their
    share and how steep the image is at their borders. A property beyond its margin makes the whole
    different.

    Parameters
    ----------
    property_margin : float
        Equivalence margin of a single property.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.image.codec import encode_png
    >>> from twinset.core.data.schema import Field, Schema
    >>> def images(grey):
    ...     cells = [{"bytes": encode_png(np.full((8, 8), grey + i, np.uint8)), "path": ""}
    ...              for i in range(20)]
    ...     return Dataset.from_arrow(
    ...         pa.table({"photo": cells}), Schema((Field(name="photo", kind="image"),)))
    >>> sets = Comparison(images(50), images(90), images(50))
    >>> found = ImageProperties(replicates=2).compute(sets, np.random.default_rng(0))
    >>> found.findings[0].names, float(found.components.values[0])
    (('brightness',), 1.0)
    """

    family = "gap"
    title = "properties of images"
    interpretation = (
        "How far brightness, noise, sharpness, colour casts, objects and boxes are from real images, "
        "averaged over the properties: 0 is the same, 1 is nothing in common."
    )
    roles = frozenset({Role.IMAGE_APPEARANCE})
    kinds = frozenset({"image", "boxes", "mask"})
    needs = frozenset({"image"})
    # Shuffled columns hold the same images.
    has_floor = False
    extra = "image"

    margin: Margin = 0.03
    property_margin: Margin = 0.03
    max_rows: Annotated[int, Ge(20)] = 2_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance over the properties; facts hold each one's, largest first."""
        if not comparison.reference.schema.of_kind("image"):
            raise NotMeasurable("there is no image column")
        reference, synthetic = draw_samples(comparison, self.max_rows, rng)
        if not len(reference) or not len(synthetic):
            raise NotMeasurable("there are no images to compare")
        labels = box_labels(reference)
        key = f"properties of {len(reference)} images"
        real = cached(comparison, key, lambda: image_properties(reference, labels))
        sets = image_properties(synthetic, labels), real
        names = [name for name in sets[1].schema.names if not sets[1].is_null(name).all()]
        if not names:
            raise NotMeasurable("no image can be decoded")
        groups = draw_groups(synthetic, reference, self.replicates, rng)
        distances, drawn = zip(
            *(column_distance(PooledColumn.from_sets(*sets, name), groups) for name in names)
        )
        ranked = largest_first(names, np.array(distances))
        facts = {
            "properties": {
                name: {
                    "distance": round(distance, 4),
                    "synthetic": _median(sets[0], name),
                    "real": _median(sets[1], name),
                }
                for name, distance in ranked.items()
            },
            "rows": {"real": len(reference), "synthetic": len(synthetic)},
            "max_rows": self.max_rows,
        }
        # Beyond chance at 5 % over all properties (Bonferroni).
        differing = tuple(
            name
            for name, distance in ranked.items()
            if kolmogorov_p(distance, len(synthetic), len(reference)) * len(ranked) < _ALPHA
        )
        return average_components(
            "measure",
            names,
            np.array(distances),
            np.column_stack(drawn),
            self.property_margin,
            findings=[DifferingComponents("property", differing, len(ranked))],
            facts=facts,
        )


def _median(rows: Dataset, name: str) -> float | None:
    values = rows.values(name)
    known = values[np.isfinite(values)]
    return round(float(np.median(known)), 4) if len(known) else None
