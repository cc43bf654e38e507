"""Whether labels fit their pictures as they do among real ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    ComponentResults,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
)
from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import Matrix, shared_encoder
from twinset.core.features.image_statistics import box_labels, largest_objects
from twinset.core.findings import ContradictedLabel
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.bootstrap import Groups

Codes = npt.NDArray[np.int64]

_LEAST_ROWS = 40
_LEAST_OF_LABEL = 5
_UNLIKELY = 0.1
_FOLDS = 3
_PENALTIES = (0.03, 0.3, 3.0, 30.0)
_MOST_TOLD = 5
_FEWEST_TOLD = 11


@dataclass(frozen=True, kw_only=True)
class ImageLabels(Metric):
    """Counts the labels that their picture contradicts, beside how many of real ones it does.

    A linear model learns from real pictures, by their vectors and the boxes in them, which
    label each column gives them. A label that it holds for less than 10 % likely is contradicted. Real
    labels are too, as far as the vectors mislead; labels flipped in a few percent of the rows come on
    top. The number of a column is the share of contradicted labels, the value the mean over the
    columns, 0 to 1; a column beyond its margin makes the whole different.

    Parameters
    ----------
    margin : float
        Share by which more labels may be contradicted than of real pictures.
    column_margin : float
        The same for a single column.
    max_rows : int
        Pictures of each side that are looked at, 40 or more.
    replicates : int
        Bootstrap replicates; pictures are drawn, the model is not fitted again.

    References
    ----------
    Northcutt, Jiang, Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset Labels,
    JAIR 70.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.image.codec import encode_png
    >>> from twinset.core.data.schema import Field, Schema
    >>> def pictures(light):
    ...     cells = [{"bytes": encode_png(np.full((8, 8), light[i % 2] + i // 2, np.uint8)), "path": ""}
    ...              for i in range(60)]
    ...     fields = Field(name="photo", kind="image"), Field(name="sky", kind="category")
    ...     table = pa.table({"photo": cells, "sky": ["night", "day"] * 30})
    ...     return Dataset.from_arrow(table, Schema(fields))
    >>> real, turned = pictures((40, 200)), pictures((200, 40))
    >>> told = Comparison(train=real, synthetic=turned, reference=real)
    >>> ImageLabels(replicates=2).compute(told, np.random.default_rng(0)).value
    1.0
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "labels that their image contradicts"
    interpretation: ClassVar[str] = (
        "The share of labels that their own image contradicts, by a model of real ones. Real sets have "
        "such labels too; more of them means wrong or shuffled labels."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"image", "boxes", "category", "boolean"})
    needs: ClassVar[frozenset[str]] = frozenset({"image"})
    extra: ClassVar[str | None] = "image"

    margin: Margin = 0.005
    column_margin: Margin = 0.005
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 5_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean share of contradicted labels; details hold each column's, worst first."""
        reference = comparison.reference.at_most(self.max_rows, rng)
        synthetic = comparison.synthetic.at_most(self.max_rows, rng)
        if not reference.schema.of_kind("image"):
            raise NotMeasurable("there is no image column")
        if min(len(reference), len(synthetic)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} pictures of each side")
        if "label models" not in comparison.cache:
            seen = _features(reference, comparison)
            if not seen.shape[1]:
                raise NotMeasurable("no real picture can be decoded")
            comparison.cache["label models"] = label_models(reference, seen)
        models: dict[str, LabelModel] = comparison.cache["label models"]
        if not models:
            raise NotMeasurable(
                f"no column has two labels with {_LEAST_OF_LABEL} real pictures or more each"
            )
        features = _features(synthetic, comparison)
        odd = np.column_stack([m.contradicted(features, synthetic, n) for n, m in models.items()])
        found, drawn = Groups.assign(len(synthetic), self.replicates, rng).means(odd.astype(float))
        shares = found[0]
        if comparison.value_only:
            return Measurement(float(shares.mean()))
        names = list(models)
        worst = np.argsort(-shares, kind="stable")
        pairs = {name: models[name].pairs(features, synthetic, name) for name in names}
        facts = {
            "contradicted": {names[i]: float(shares[i]) for i in worst},
            "label_that_looks_like": pairs,
            "rows": {"real": len(reference), "synthetic": len(synthetic)},
            "max_rows": self.max_rows,
        }
        commonest = next(iter(pairs[names[worst[0]]]), "")
        found_label = (ContradictedLabel(names[worst[0]], commonest),) if commonest else ()
        parts = ComponentResults("column", tuple(names), shares, drawn, self.column_margin)
        return Measurement(float(shares.mean()), drawn.mean(axis=1), found_label, parts, facts)


@dataclass(frozen=True)
class LabelModel:
    """A linear model that tells the label of a column from the vectors of pictures.

    Parameters
    ----------
    model : object
        The fitted classifier; its classes are positions in `levels`.
    levels : tuple of str
        The labels that it knows.
    """

    model: Any
    levels: tuple[str, ...]

    def contradicted(self, features: Matrix, rows: Dataset, name: str) -> npt.NDArray[np.bool_]:
        """Return whose label is unlikely, shape (n,); one that is unknown to the model never is."""
        place, forecast = self._places(rows, name), self.model.predict_proba(features)
        own = forecast[np.arange(len(place)), np.maximum(place, 0)]
        return np.asarray((own < _UNLIKELY) & (place >= 0))

    def pairs(self, features: Matrix, rows: Dataset, name: str) -> dict[str, float]:
        """Return which labels stand for which others, with their shares, commonest first.

        What stands in 1 to 10 rows is not told.
        """
        odd = self.contradicted(features, rows, name)
        place = self._places(rows, name)[odd]
        likeliest = self.model.predict_proba(features)[odd].argmax(axis=1) if odd.any() else place
        found, counts = np.unique(np.stack([place, likeliest]), axis=1, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:_MOST_TOLD]
        return {
            f"{self.levels[found[0, i]]} that looks like {self.levels[found[1, i]]}": round(
                float(counts[i]) / len(odd), 4
            )
            for i in order
            if counts[i] >= _FEWEST_TOLD
        }

    def _places(self, rows: Dataset, name: str) -> Codes:
        codes, levels = rows.codes(name)
        known = {level: i for i, level in enumerate(self.levels)}
        return np.array([*[known.get(level, -1) for level in levels], -1], dtype=np.int64)[codes]


def _features(rows: Dataset, comparison: Comparison) -> Matrix:
    """Return what is seen of pictures: their vectors, counts of objects, and the largest of each label."""
    names = [field.name for field in comparison.reference.schema.of_kind("image", "boxes")]
    encoder = shared_encoder(comparison.train, names, comparison.cache, comparison.text_embeddings)
    labels = box_labels(comparison.reference)
    if not labels:
        return encoder.transform(rows)
    usual = max(float(largest_objects(comparison.reference, labels).max(axis=1).mean()), 1.0)
    sizes = largest_objects(rows, labels) / usual
    return np.column_stack([encoder.transform(rows), sizes]).astype(np.float32)


def label_models(real: Dataset, features: Matrix) -> dict[str, LabelModel]:
    """Return a model of each column in which two labels or more stand in 5 real pictures each.

    Parameters
    ----------
    real : Dataset
        Real pictures with their labels.
    features : numpy.ndarray, shape (n, d)
        Their vectors.
    """
    from threadpoolctl import threadpool_limits

    found = {}
    for field in real.schema.of_kind("category", "boolean"):
        codes, levels = real.codes(field.name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        kept = np.flatnonzero(counts >= _LEAST_OF_LABEL)
        if len(kept) < 2:
            continue
        place = np.full(len(levels) + 1, -1)
        place[kept] = np.arange(len(kept))
        y = place[codes]
        with threadpool_limits(limits=1):
            model = _fitted(features[y >= 0], y[y >= 0])
        found[field.name] = LabelModel(model, tuple(levels[i] for i in kept))
    return found


def _fitted(features: Matrix, y: Codes) -> Any:
    """Return a linear model with the penalty that forecasts unseen folds best.

    One that is too sure of itself would contradict real labels as well.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score

    folds = StratifiedKFold(_FOLDS)
    losses = [
        -cross_val_score(
            LogisticRegression(C=c, max_iter=300), features, y, cv=folds, scoring="neg_log_loss"
        ).mean()
        for c in _PENALTIES
    ]
    return LogisticRegression(C=_PENALTIES[int(np.argmin(losses))], max_iter=300).fit(features, y)
