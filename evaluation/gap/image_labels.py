"""Shares of labels that their image contradicts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import Matrix
from twinset.core.features.image_statistics import box_labels, largest_objects
from twinset.core.findings import ContradictedLabel
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Bools, SampledMetric
from .._results import average_components, largest_first
from .._samples import MIN_SHOWN, cached, draw_samples, place_levels, require_rows, row_encoder

_MIN_ROWS = 40  # images: a linear model of fewer contradicts real labels by chance
_MIN_LABEL_ROWS = 5  # real images of a label: each of three folds needs one
_UNLIKELY = 0.1  # probability: higher, and images between two labels count as contradictions
_N_FOLDS = 3  # that choose the penalty
_PENALTIES = (0.03, 0.3, 3.0, 30.0)  # inverse strengths C, a factor of ten apart
_MAX_ITERATIONS = 300  # of the solver, more than vectors of a few hundred columns need
_MAX_LISTED = 5  # pairs of labels in the facts, most frequent first


@dataclass(frozen=True, kw_only=True)
class ImageLabels(SampledMetric):
    """Share of labels that their own image contradicts, averaged over label columns.

    A logistic regression of real images, on their vectors and the boxes in them, predicts each label
    column. A label with a predicted probability below 10 % is contradicted. value = mean_j (contradicted
    labels of column j) / (images), in [0, 1]. Real labels are contradicted too, where the vectors
    mislead; labels flipped in a few percent of the rows add to that. A column beyond its margin makes
    the whole different.

    Parameters
    ----------
    column_margin : float
        Equivalence margin of a single column.

    References
    ----------
    Northcutt, Jiang, Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset Labels,
    JAIR 70.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.image.codec import encode_png
    >>> from twinset.core.data.schema import Field, Schema
    >>> def images(light):
    ...     cells = [{"bytes": encode_png(np.full((8, 8), light[i % 2] + i // 2, np.uint8)), "path": ""}
    ...              for i in range(60)]
    ...     fields = Field(name="photo", kind="image"), Field(name="sky", kind="category")
    ...     table = pa.table({"photo": cells, "sky": ["night", "day"] * 30})
    ...     return Dataset.from_arrow(table, Schema(fields))
    >>> real, swapped = images((40, 200)), images((200, 40))
    >>> sets = Comparison(train=real, synthetic=swapped, reference=real)
    >>> ImageLabels(replicates=2).compute(sets, np.random.default_rng(0)).value
    1.0
    """

    family = "gap"
    title = "labels that their image contradicts"
    interpretation = (
        "The share of labels that their own image contradicts, by a model of real ones. Real sets have "
        "such labels too; more of them means wrong or shuffled labels."
    )
    kinds = frozenset({"image", "boxes", "category", "boolean"})
    needs = frozenset({"image"})
    extra = "image"

    margin: Margin = 0.005
    column_margin: Margin = 0.005
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 5_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean share of contradicted labels; facts hold each column's, largest first."""
        reference, synthetic = draw_samples(comparison, self.max_rows, rng)
        if not reference.schema.of_kind("image"):
            raise NotMeasurable("there is no image column")
        require_rows((reference, synthetic), _MIN_ROWS, "images")
        models = cached(
            comparison, "label models", lambda: _fit_label_models(reference, comparison)
        )
        features = _features(synthetic, comparison)
        found = [model.contradictions(features, synthetic, name) for name, model in models.items()]
        contradicted = np.column_stack([rows for rows, _ in found])
        groups = Groups.assign(len(synthetic), self.replicates, rng)
        whole, drawn = groups.means(contradicted.astype(float))
        shares, names = whole[0], list(models)
        if comparison.value_only:
            return Measurement(float(shares.mean()))
        ranked = largest_first(names, shares)
        pairs = {name: own for name, (_, own) in zip(names, found)}
        facts = {
            "contradicted": ranked,
            "label_that_looks_like": pairs,
            "rows": {"real": len(reference), "synthetic": len(synthetic)},
            "max_rows": self.max_rows,
        }
        worst = next(iter(ranked))
        return average_components(
            "column",
            names,
            shares,
            drawn,
            self.column_margin,
            findings=[ContradictedLabel(worst, pair) for pair in [*pairs[worst]][:1]],
            facts=facts,
        )


@dataclass(frozen=True)
class LabelModel:
    """A linear model that predicts the label of a column; its classes are positions in `levels`."""

    model: Any
    levels: tuple[str, ...]

    def contradictions(
        self, features: Matrix, rows: Dataset, name: str
    ) -> tuple[Bools, dict[str, float]]:
        """Return the rows with an unlikely label, shape (n,), and shares of such pairs of labels.

        An unknown label is never unlikely. Pairs are a label and the most likely one in its place, most
        frequent first, without those of 1 to 10 rows.
        """
        place = place_levels(rows, name, self.levels, -1, -1)
        probability = self.model.predict_proba(features)
        own = probability[np.arange(len(place)), np.maximum(place, 0)]
        unlikely = np.asarray((own < _UNLIKELY) & (place >= 0))
        pairs = np.stack([place, probability.argmax(axis=1)])[:, unlikely]
        found, counts = np.unique(pairs, axis=1, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:_MAX_LISTED]
        return unlikely, {
            f"{self.levels[found[0, i]]} that looks like {self.levels[found[1, i]]}": round(
                float(counts[i]) / len(unlikely), 4
            )
            for i in order
            if counts[i] >= MIN_SHOWN
        }


def _features(rows: Dataset, comparison: Comparison) -> Matrix:
    """Return vectors of images, counts of objects, and the largest object of each label."""
    names = [field.name for field in comparison.reference.schema.of_kind("image", "boxes")]
    features = row_encoder(comparison, names).transform(rows)
    labels = box_labels(comparison.reference)
    if not labels:
        return features
    largest = largest_objects(comparison.reference, labels).max(axis=1)
    sizes = largest_objects(rows, labels) / max(float(largest.mean()), 1.0)
    return np.column_stack([features, sizes]).astype(np.float32)


def _fit_label_models(real: Dataset, comparison: Comparison) -> dict[str, LabelModel]:
    """Return a model of each column with two labels or more that 5 real images have.

    Its penalty has the best log loss on unseen folds: a model that is too sure of itself would
    contradict real labels as well.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from threadpoolctl import threadpool_limits

    features = _features(real, comparison)
    if not features.shape[1]:
        raise NotMeasurable("no real image can be decoded")
    found = {}
    for field in real.schema.of_kind("category", "boolean"):
        codes, levels = real.codes(field.name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        kept = tuple(level for level, n in zip(levels, counts) if n >= _MIN_LABEL_ROWS)
        if len(kept) < 2:
            continue
        y = place_levels(real, field.name, kept, -1, -1)
        search = GridSearchCV(
            LogisticRegression(max_iter=_MAX_ITERATIONS),
            {"C": _PENALTIES},
            scoring="neg_log_loss",
            cv=_N_FOLDS,
        )
        with threadpool_limits(limits=1):
            model = search.fit(features[y >= 0], y[y >= 0]).best_estimator_
        found[field.name] = LabelModel(model, kept)
    if not found:
        raise NotMeasurable(
            f"no column has two labels with {_MIN_LABEL_ROWS} real images or more each"
        )
    return found
