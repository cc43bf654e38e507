"""Whether texts and their spans do what real ones never do: unknown words, order, labels, lost spans."""

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
)
from twinset.core.data.dataset import Dataset
from twinset.core.findings import Finding, TextAnomalyShare
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.stats.bootstrap import Groups

from ._known_spans import AnnotatedText, KnownSpans
from ._known_texts import KnownTexts, TextAnomaly
from ._text_patterns import strings

Floats = npt.NDArray[np.float64]

_LEAST_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class TextAnomalies(Metric):
    """Counts what texts and their spans do though real train texts never, or hardly ever, do it.

    Distances between distributions hide small faults under the chance of many rare words. Slips are shares
    of their own: of words that are unknown to real train texts, or one letter off a known one; of
    neighbours among the 200 commonest words that are unknown side by side in this order; of texts with an
    unknown character, or of an unknown length. Of spans: labels that their words and neighbours contradict
    (naive Bayes, odds of twenty), phrases nearly always marked that are left unmarked, and words hardly
    ever marked that are marked. Unseen real texts slip as well. The value is how much more often the worst
    kind of slip happens than among held-out real texts, 0 to 1, and one kind that is beyond the margin
    makes the whole different.

    Parameters
    ----------
    margin : float
        Share by which more may slip than among real texts.
    max_rows : int
        Texts of each side that are looked at, and of train that are learnt from, 50 or more.
    replicates : int
        Bootstrap replicates.

    References
    ----------
    Good, "The population frequencies of species and the estimation of population parameters",
    Biometrika 40, 1953 (how much of new text is unseen); Garbe, "SymSpell", 2012 (words one letter
    off by leaving out a letter).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> schema = Schema((Field(name="said", kind="text"),))
    >>> texts = [["please play some jazz"] * 100, ["please play some jazz", "plaese play some jazz"] * 50]
    >>> real, made = (Dataset.from_arrow(pa.table({"said": t}), schema) for t in texts)
    >>> found = TextAnomalies(replicates=10).compute(Comparison(real, made, real), np.random.default_rng(0))
    >>> found.facts["slips"]["misspelt words of said"]
    0.125
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "words, order and spans that real texts do not have"
    interpretation: ClassVar[str] = (
        "Texts and spans do what real train texts hardly ever do: unknown or misspelt words, words in an "
        "unknown order, labels that words contradict, mentions left unmarked. The number is how much "
        "more often than unseen real texts they do it, in the worst kind."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"text", "spans"})
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    has_floor: ClassVar[bool] = False

    margin: Margin = 0.01
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 10_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the largest excess of a slip, 0 to 1; details hold the share of each, largest first."""
        if not comparison.train.schema.of_kind("text"):
            raise NotMeasurable("no column holds texts")
        sides = (comparison.reference, comparison.synthetic)
        n = min(*map(len, sides), self.max_rows)
        if min(n, len(comparison.train)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} texts of each side")
        train = comparison.train.at_most(self.max_rows, rng)
        reference, synthetic = (part.at_most(n, rng) for part in sides)
        if "slips" not in comparison.cache:
            known = _Known.of(train)
            rates = np.array([slip.rate for slip in known.slips(reference)])
            comparison.cache["slips"] = known, rates
        known, usual = comparison.cache["slips"]
        slips = known.slips(synthetic)
        names = tuple(slip.name for slip in slips)
        values = np.array([slip.rate for slip in slips])
        drawn = _replicated(slips, Groups.assign(n, self.replicates, rng))
        facts = {
            "slips": {names[i]: float(values[i]) for i in np.argsort(-values, kind="stable")},
            "rows": {"train": len(train), "synthetic": n},
        }
        excess = values - usual
        worst = int(np.argmax(excess))
        found: tuple[Finding, ...] = ()
        if excess[worst] > self.margin:
            shares = float(values[worst]), float(usual[worst])
            found = (TextAnomalyShare(slips[worst].told, *shares),)
        parts = ComponentResults("slip", names, values, drawn, self.margin)
        # Not the mean of all kinds: one bad kind of nine would hardly be seen in it.
        most = np.maximum((drawn - usual).max(axis=1), 0.0)
        return Measurement(max(float(excess[worst]), 0.0), most, found, parts, facts)


@dataclass(frozen=True)
class _Known:
    """What is known of each text column, and of each column of spans in the first of them."""

    texts: dict[str, KnownTexts]
    spans: dict[str, KnownSpans]

    @classmethod
    def of(cls, train: Dataset) -> _Known:
        names = [field.name for field in train.schema.of_kind("text")]
        marks = [field.name for field in train.schema.of_kind("spans")]
        return cls(
            {name: KnownTexts.of(strings(train, name)) for name in names},
            {mark: KnownSpans.of(_read(train, names[0], mark)) for mark in marks},
        )

    def slips(self, rows: Dataset) -> list[TextAnomaly]:
        found = [
            slip
            for name, known in self.texts.items()
            for slip in known.slips(name, strings(rows, name))
        ]
        about = next(iter(self.texts))
        for mark, known in self.spans.items():
            found += known.slips(mark, _read(rows, about, mark))
        return found


def _read(rows: Dataset, name: str, mark: str) -> list[AnnotatedText]:
    spans = rows.records.column(mark).to_pylist()
    return [AnnotatedText.read(text, own or ()) for text, own in zip(strings(rows, name), spans)]


def _replicated(slips: Sequence[TextAnomaly], groups: Groups) -> Floats:
    """Return the rate of each slip in each replicate, shape (b, p)."""
    sums = [
        np.column_stack([np.bincount(groups.group, row, groups.size) for row in rows])
        for rows in ([slip.slips for slip in slips], [slip.chances for slip in slips])
    ]
    held, of = (groups.draws @ one for one in sums)
    return np.asarray(held / np.maximum(of, 1.0))
