"""Shares of labels that do not follow from their texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.features.models import word_features, word_model
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Bools, TextMetric, text_columns
from .._results import average_components, largest_first
from .._samples import cached, place_levels, require_rows
from ._forecasts import MISSING, UNKNOWN, Forecaster, resample_fractions, stray_fractions

_MIN_ROWS = 50  # fewer texts hold too few words twice for a model to learn from
_POWERS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0)  # from as fitted to nearly certain
_MIN_STRAY = 0.02  # of unseen real labels: texts decide labels more surely than columns each other


@dataclass(frozen=True, kw_only=True)
class TextLabels(TextMetric):
    """Share of labels that look random given their text, averaged over label columns.

    A logistic regression on words and pairs of words learns each label column from real train texts.
    The number of column j is the w_j that maximises sum_i log((1 - w) f_ij + w c_ij), f_ij being the
    forecast of the label of text i and c_ij the real share of that label.

    value = mean_j w_j, in [0, 1]. Real labels stray too, where the text does not decide them; labels
    flipped in 2 % of the texts add 2 %, and so do texts that are no longer about their label.

    Parameters
    ----------
    max_levels : int
        Label columns with more levels are excluded, 2 or more.

    References
    ----------
    Frenay, Verleysen (2014), Classification in the Presence of Label Noise: a Survey, IEEE TNNLS.
    """

    family = "gap"
    title = "how labels follow from their texts"
    interpretation = (
        "A model of real texts predicts each label from its text; the number is the share of labels that "
        "look drawn at random. Real labels have such ones too: more of them mean wrong labels, or texts "
        "that are no longer about theirs."
    )
    kinds = frozenset({"text", "category", "boolean"})

    margin: Margin = 0.01
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000
    max_levels: Annotated[int, Ge(2)] = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean share of straying labels; facts hold each column's, largest first."""
        texts = text_columns(comparison)
        train = comparison.train.at_most(self.max_rows, rng)
        synthetic = comparison.synthetic.at_most(self.max_rows, rng)
        require_rows((train, synthetic), _MIN_ROWS, "texts")
        labels = self._label_columns(train)
        if not labels:
            raise NotMeasurable("there is no label beside the texts")
        models = cached(
            comparison, "models", lambda: {name: _fit(train, texts, name) for name in labels}
        )
        features, found = word_features([synthetic], texts)[0], []
        for name in labels:
            model, levels = models[name]
            codes = place_levels(synthetic, name, levels, UNKNOWN, MISSING)
            found.append(model.forecast(model.model.predict_proba(features), codes))
        forecast, chance = (np.column_stack(part) for part in zip(*found))
        fractions = stray_fractions(forecast, chance)
        groups = Groups.assign(len(synthetic), self.replicates, rng)
        drawn = np.minimum(resample_fractions(forecast, chance, fractions, groups), 1.0)
        facts = {
            "stray_fractions": largest_first(labels, fractions),
            "rows": {"train": len(train), "synthetic": len(synthetic)},
        }
        return average_components("label", labels, fractions, drawn, self.margin, facts=facts)

    def _label_columns(self, train: Dataset) -> list[str]:
        """Return the label columns with 2 to `max_levels` levels, one of them in four rows or more."""
        found = []
        for field in train.schema.of_kind("category", "boolean"):
            codes, levels = train.codes(field.name)
            # Of a column of keys no value is frequent enough to fit on some rows and test on others.
            if 2 <= len(levels) <= self.max_levels and _every_fourth(codes)[codes >= 0].any():
                found.append(field.name)
        return found


_LabelModel = tuple[Forecaster, tuple[str, ...]]
"""A forecaster of a label column, and the levels that it knows."""


def _fit(train: Dataset, texts: list[str], name: str) -> _LabelModel:
    """Return the model of a label column, sharpened by a fourth of the rows."""
    codes, levels = train.codes(name)
    train, codes = train.filter(codes >= 0), codes[codes >= 0]
    features = word_features([train], texts)[0]
    counts = np.bincount(codes, minlength=len(levels)) + 0.5
    test = _every_fourth(codes)
    if len(np.unique(codes[~test])) < 2:
        raise NotMeasurable(f"too few texts have another label than the most frequent '{name}'")
    model = word_model("classification").fit(features[~test], codes[~test])
    found = Forecaster.sharpen(
        model,
        counts / counts.sum(),
        model.predict_proba(features[test]),
        codes[test].astype(np.int64),
        _POWERS,
        _MIN_STRAY,
    )
    return found, levels


def _every_fourth(codes: npt.NDArray[np.int32]) -> Bools:
    """Return every fourth row of each label, in order; labels with fewer than four rows have none.

    Examples
    --------
    >>> _every_fourth(np.array([0, 0, 1, 0, 0, 1])).tolist()
    [False, False, False, False, True, False]
    """
    order = np.argsort(codes, kind="stable")
    first = np.searchsorted(codes[order], codes[order])
    out = np.empty(len(codes), dtype=bool)
    out[order] = (np.arange(len(codes)) - first) % 4 == 3
    return out
