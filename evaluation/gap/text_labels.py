"""Whether labels follow from their texts as they do in real ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from twinset.core.features.hashed_words import word_features, word_model
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.bootstrap import Groups

from ._forecasts import stray_fractions, stray_slopes

Floats = npt.NDArray[np.float64]

_LEAST_ROWS = 50
_POWERS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0)
_LEAST_STRAY = 0.02
"""Models are less sure than they may be. They are sharpened until so many unseen real labels stray:
where real ones never do, those that stray a little cannot be told."""
_OF_SHARES = 0.02
"""How much of every forecast is the label's own share: no label is ever impossible."""


@dataclass(frozen=True, kw_only=True)
class TextLabels(Metric):
    """Asks whether each label follows from its text as it does in real ones.

    A logistic model of words and pairs of words learns each label column from real train texts. The
    number of a column is the share of its labels that stray: that look drawn at random from the column,
    whatever the text says. Real labels stray as well, as far as nothing tells them; with labels flipped
    in 2 % of the texts 2 % stray on top, and so they do where texts are no longer about their label.
    The value is the mean over the label columns, 0 to 1.

    Parameters
    ----------
    margin : float
        Share by which more labels may stray than of real texts; also for one column.
    max_rows : int
        Texts of each side that are looked at, and of train that are learnt from, 50 or more.
    max_levels : int
        Label columns with more levels are passed over, 2 or more.
    replicates : int
        Bootstrap replicates; texts are drawn, the model is not fitted again.

    References
    ----------
    Frenay, Verleysen (2014), Classification in the Presence of Label Noise: a Survey, IEEE TNNLS.
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "how labels follow from their texts"
    interpretation: ClassVar[str] = (
        "A model of real texts predicts each label from its text; the number is the share of labels that "
        "look drawn at random. Real labels have such ones too: more of them mean wrong labels, or texts "
        "that are no longer about theirs."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"text", "category", "boolean"})
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    has_floor: ClassVar[bool] = False

    margin: Margin = 0.01
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 10_000
    max_levels: Annotated[int, Ge(2)] = 200
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean share of straying labels; details hold each column's, worst first."""
        schema = comparison.train.schema
        texts = [field.name for field in schema.of_kind("text")]
        if not texts:
            raise NotMeasurable("no column holds texts")
        train = comparison.train.at_most(self.max_rows, rng)
        synthetic = comparison.synthetic.at_most(self.max_rows, rng)
        if min(len(train), len(synthetic)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} texts of each side")
        labels = [
            field.name
            for field in schema.of_kind("category", "boolean")
            if 2 <= len(train.codes(field.name)[1]) <= self.max_levels
            # Of a column of keys no value comes often enough to learn from some and look at others.
            and _fourth_of_each(train.codes(field.name)[0])[train.codes(field.name)[0] >= 0].any()
        ]
        if not labels:
            raise NotMeasurable("there is no label beside the texts")
        if "told" not in comparison.cache:
            comparison.cache["told"] = {name: _Told.by(train, texts, name) for name in labels}
        features = word_features([synthetic], texts)[0]
        told = [comparison.cache["told"][name].of(synthetic, features) for name in labels]
        forecast, by_chance = (np.column_stack(side) for side in zip(*told))
        fractions = stray_fractions(forecast, by_chance)
        value = float(fractions.mean())
        groups = Groups.assign(len(synthetic), self.replicates, rng)
        slopes = stray_slopes(forecast, by_chance, fractions)
        first, second = groups.means(slopes)[1], groups.means(slopes**2)[1]
        step = np.divide(first, second, out=np.zeros_like(first), where=second > 1e-12)
        drawn = np.clip(fractions + step, -0.05, 1.0)
        worst = np.argsort(-fractions, kind="stable")
        facts = {
            "stray_fractions": {labels[i]: float(fractions[i]) for i in worst},
            "rows": {"train": len(train), "synthetic": len(synthetic)},
        }
        parts = ComponentResults("label", tuple(labels), fractions, drawn, self.margin)
        return Measurement(value, drawn.mean(axis=1), (), parts, facts)


@dataclass(frozen=True)
class _Told:
    """What a model of real texts says of one label column."""

    name: str
    model: Any
    levels: tuple[str, ...]
    shares: Floats
    power: float

    @classmethod
    def by(cls, train: Dataset, texts: list[str], name: str) -> _Told:
        """Return a model of the rows, sharpened by what it says of those it has not seen."""
        codes, levels = train.codes(name)
        train, codes = train.filter(codes >= 0), codes[codes >= 0]
        features = word_features([train], texts)[0]
        counts = np.bincount(codes, minlength=len(levels)) + 0.5
        kept = _fourth_of_each(codes)
        if len(np.unique(codes[~kept])) < 2:
            raise NotMeasurable(f"too few texts have another label than the commonest '{name}'")
        model = word_model("classification").fit(features[~kept], codes[~kept])
        found = cls(name, model, levels, counts / counts.sum(), 1.0)
        for power in _POWERS:
            found = replace(found, power=power)
            told, by_chance = found.of(train.filter(kept), features[kept])
            if stray_fractions(told[:, None], by_chance[:, None])[0] >= _LEAST_STRAY:
                break
        return found

    def of(self, rows: Dataset, features: Any) -> tuple[Floats, Floats]:
        """Return the forecast of each row's label, and the share of that label, shapes (n,).

        A label that real texts lack is forecast by nobody; one that is missing tells nothing.
        """
        codes, levels = rows.codes(self.name)
        place = {level: i for i, level in enumerate(self.levels)}
        own = np.array([*[place.get(level, -2) for level in levels], -1])[codes]
        said = np.zeros((len(rows), len(self.levels)))
        said[:, self.model.classes_] = self.model.predict_proba(features) ** self.power
        said /= said.sum(axis=1, keepdims=True)
        at = np.maximum(own, 0)
        by_chance = np.where(
            own == -1, 1.0, np.where(own == -2, self.shares.min(), self.shares[at])
        )
        seen = np.where(own == -1, 1.0, np.where(own == -2, 0.0, said[np.arange(len(rows)), at]))
        return (1 - _OF_SHARES) * seen + _OF_SHARES * by_chance, by_chance


def _fourth_of_each(codes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return every fourth row of each label, in order: no label with fewer than four rows is among them.

    Examples
    --------
    >>> _fourth_of_each(np.array([0, 0, 1, 0, 0, 1])).tolist()
    [False, False, False, False, True, False]
    """
    order = np.argsort(codes, kind="stable")
    first = np.searchsorted(codes[order], codes[order])
    out = np.empty(len(codes), dtype=bool)
    out[order] = (np.arange(len(codes)) - first) % 4 == 3
    return out
