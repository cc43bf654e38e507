"""Excess rates of anomalies in texts and their spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, ComponentResults, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import Finding, TextAnomalyShare
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Floats, TextMetric
from .._results import largest_first
from .._samples import common_size, draw_samples
from ._known_texts import AnnotatedText, KnownSpans, KnownTexts, TextAnomaly
from ._text_patterns import text_values

_MIN_ROWS = 50  # texts: one for each group of the bootstrap


@dataclass(frozen=True, kw_only=True)
class TextAnomalies(TextMetric):
    """Largest excess rate of an anomaly: something that real train texts never, or hardly ever, have.

    value = max(max_k (r_synthetic,k - r_real,k), 0) over the kinds k of anomalies, r being their number
    by the most that it could be, in [0, 1]. Distances of distributions hide small faults under the
    chance of many rare words; anomalies are shares of their own:

    - of words that are unknown to real train texts, or one letter off a known one;
    - of adjacent words, both among the 200 most frequent, that are unknown in this order;
    - of texts with an unknown character, or of an unknown length;
    - of span labels that their words contradict (naive Bayes, odds of twenty), of phrases nearly always
      marked that are unmarked, and of marked words that are hardly ever marked.

    Unseen real texts have anomalies as well, and r_real is their rate. One kind beyond the margin makes
    the whole different.

    References
    ----------
    Good, "The population frequencies of species and the estimation of population parameters",
    Biometrika 40, 1953 (how much of new text is unseen); Garbe, "SymSpell", 2012 (words one letter
    off by leaving out a letter).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> schema = Schema((Field(name="note", kind="text"),))
    >>> texts = [["please play some jazz"] * 100, ["please play some jazz", "plaese play some jazz"] * 50]
    >>> real, other = (Dataset.from_arrow(pa.table({"note": t}), schema) for t in texts)
    >>> sets = Comparison(real, other, real)
    >>> found = TextAnomalies(replicates=10).compute(sets, np.random.default_rng(0))
    >>> found.facts["anomalies"]["misspelt words of note"]
    0.125
    """

    family = "gap"
    title = "words, order and spans that real texts do not have"
    interpretation = (
        "Texts and spans do what real train texts hardly ever do: unknown or misspelt words, words in an "
        "unknown order, labels that words contradict, mentions left unmarked. The number is how much "
        "more often than unseen real texts they do it, in the worst kind."
    )
    kinds = frozenset({"text", "spans"})

    margin: Margin = 0.01
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the largest excess rate, 0 to 1; facts hold the rate of each kind, largest first."""
        if not comparison.train.schema.of_kind("text"):
            raise NotMeasurable("no column holds texts")
        n = common_size(comparison, self.max_rows, _MIN_ROWS, "texts")
        if len(comparison.train) < _MIN_ROWS:
            raise NotMeasurable(f"it needs at least {_MIN_ROWS} texts in each set")
        train = comparison.train.at_most(self.max_rows, rng)
        reference, synthetic = draw_samples(comparison, n, rng)
        if "anomalies" not in comparison.cache:
            known = _Known.fit(train)
            rates = np.array([anomaly.rate for anomaly in known.find_anomalies(reference)])
            comparison.cache["anomalies"] = known, rates
        known, real_rates = comparison.cache["anomalies"]
        anomalies = known.find_anomalies(synthetic)
        names = tuple(anomaly.name for anomaly in anomalies)
        rates = np.array([anomaly.rate for anomaly in anomalies])
        drawn = _replicates(anomalies, Groups.assign(n, self.replicates, rng))
        excess = rates - real_rates
        worst = int(np.argmax(excess))
        findings: tuple[Finding, ...] = ()
        if excess[worst] > self.margin:
            shares = float(rates[worst]), float(real_rates[worst])
            findings = (TextAnomalyShare(anomalies[worst].description, *shares),)
        # Not the mean of all kinds: one bad kind of nine would hardly be seen in it.
        return Measurement(
            max(float(excess[worst]), 0.0),
            np.maximum((drawn - real_rates).max(axis=1), 0.0),
            findings,
            ComponentResults("anomaly", names, rates, drawn, self.margin),
            {
                "anomalies": largest_first(names, rates),
                "rows": {"train": len(train), "synthetic": n},
            },
        )


@dataclass(frozen=True)
class _Known:
    """What train rows have in each text column, and in each column of spans of the first of them."""

    texts: dict[str, KnownTexts]
    spans: dict[str, KnownSpans]

    @classmethod
    def fit(cls, train: Dataset) -> _Known:
        names = [field.name for field in train.schema.of_kind("text")]
        spans = [field.name for field in train.schema.of_kind("spans")]
        return cls(
            {name: KnownTexts.fit(text_values(train, name)) for name in names},
            {name: KnownSpans.fit(_annotated(train, names[0], name)) for name in spans},
        )

    def find_anomalies(self, rows: Dataset) -> list[TextAnomaly]:
        found = [
            anomaly
            for name, known in self.texts.items()
            for anomaly in known.find_anomalies(name, text_values(rows, name))
        ]
        text = next(iter(self.texts))
        for name, spans in self.spans.items():
            found += spans.find_anomalies(name, _annotated(rows, text, name))
        return found


def _annotated(rows: Dataset, text: str, spans: str) -> list[AnnotatedText]:
    values = zip(text_values(rows, text), rows.records.column(spans).to_pylist())
    return [AnnotatedText.parse(value, own or ()) for value, own in values]


def _replicates(anomalies: Sequence[TextAnomaly], groups: Groups) -> Floats:
    """Return the rate of each anomaly in each replicate, shape (b, p)."""
    counts, chances = (
        groups.draws @ np.column_stack([np.bincount(groups.group, r, groups.size) for r in rows])
        for rows in ([one.counts for one in anomalies], [one.chances for one in anomalies])
    )
    return np.asarray(counts / np.maximum(chances, 1.0))
