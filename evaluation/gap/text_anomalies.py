"""Excess rates of anomalies in texts and their spans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, ComponentResults, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.findings import Finding, TextAnomalyShare
from twinset.core.parameters import Ge, Margin
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import Floats, TextMetric, text_columns
from .._results import largest_first
from .._samples import common_size, draw_samples, require_rows
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
        text_columns(comparison)
        n = common_size(comparison, self.max_rows, _MIN_ROWS, "texts")
        require_rows([comparison.train], _MIN_ROWS, "texts")
        train = comparison.train.at_most(self.max_rows, rng)
        reference, synthetic = draw_samples(comparison, n, rng)
        if "anomalies" not in comparison.cache:
            known = _fit(train)
            rates = np.array([anomaly.rate for anomaly in _find_anomalies(known, reference)])
            comparison.cache["anomalies"] = known, rates
        known, real_rates = comparison.cache["anomalies"]
        anomalies = _find_anomalies(known, synthetic)
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


_Known = tuple[dict[str, KnownTexts], dict[str, KnownSpans]]
"""What train rows have in each text column, and in each column of spans of the first of them."""


def _fit(train: Dataset) -> _Known:
    texts, spans = _read_columns(train)
    return (
        {name: KnownTexts.fit(values) for name, values in texts.items()},
        {name: KnownSpans.fit(values) for name, values in spans.items()},
    )


def _find_anomalies(known: _Known, rows: Dataset) -> list[TextAnomaly]:
    texts, spans = _read_columns(rows)
    found = [one for name, own in known[0].items() for one in own.find_anomalies(name, texts[name])]
    for name, own in known[1].items():
        found += own.find_anomalies(name, spans[name])
    return found


def _read_columns(rows: Dataset) -> tuple[dict[str, list[str]], dict[str, list[AnnotatedText]]]:
    """Return the texts of each text column, and those of the first one with each column of spans."""
    texts = {field.name: text_values(rows, field.name) for field in rows.schema.of_kind("text")}
    first, spans = next(iter(texts.values())), rows.schema.of_kind("spans")
    columns = {field.name: rows.records.column(field.name).to_pylist() for field in spans}
    return texts, {
        name: [AnnotatedText.parse(text, own or ()) for text, own in zip(first, column)]
        for name, column in columns.items()
    }


def _replicates(anomalies: Sequence[TextAnomaly], groups: Groups) -> Floats:
    """Return the rate of each anomaly in each replicate, shape (b, p)."""
    counts, chances = (
        groups.draws @ np.column_stack([np.bincount(groups.group, r, groups.size) for r in rows])
        for rows in ([one.counts for one in anomalies], [one.chances for one in anomalies])
    )
    return np.asarray(counts / np.maximum(chances, 1.0))
