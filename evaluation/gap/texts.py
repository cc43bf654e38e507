"""How far texts are from real ones: their length, their words, and what they are about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Parts,
)
from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.features import FeatureEncoder
from twinset.core.neighbours import nearest
from twinset.core.resampling import Groups, total_variation
from twinset.core.seeding import draw_seed

from ._texts import Texts, commonest, frontier, lengths, pairs_of, term_counts, words_of

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Gap = tuple[float, Floats]

_LEAST_ROWS = 40
_ROWS_IN_A_CLUSTER = 20
_MOST_CLUSTERS = 32


@dataclass(frozen=True, kw_only=True)
class TextGap(Metric):
    """Compares texts: how long they are, which words and pairs of words they use, what they are about.

    Of each text column four distances, 0 (alike) to 1. Length: the Kolmogorov-Smirnov distance of
    the numbers of words. Words, and pairs of neighbouring words: the total variation distance of
    the shares of the commonest ones of train, all others together. Subject: texts are put into
    clusters of train by their features, and the value is 1 less the area under the divergence
    frontier of the shares of the clusters. That is MAUVE's statistic on twinset's own features,
    which need no download; its numbers are not comparable with those from a language model. The value
    is the mean over all.

    Parameters
    ----------
    margin : float
        Largest harm that still counts as good as real, in the unit of the value.
    part_margin : float
        The same for a single distance: one that is farther off makes the whole different.
    max_rows : int
        Rows of each side that are looked at, 40 or more.
    n_terms : int
        Commonest words, and pairs, that are told apart.
    replicates : int
        Bootstrap replicates.

    References
    ----------
    Pillutla and others, "MAUVE: Measuring the Gap Between Neural Text and Human Text using Divergence
    Frontiers", NeurIPS 2021.
    """

    family: ClassVar[MetricFamily] = "gap"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"text"})
    # Shuffled columns leave every text as it is.
    has_floor: ClassVar[bool] = False

    margin: float = 0.05
    part_margin: float = 0.1
    max_rows: int = 5_000
    n_terms: int = 300
    replicates: int = 200

    def __post_init__(self) -> None:
        if min(self.margin, self.part_margin) < 0 or min(self.n_terms, self.replicates) < 2:
            raise ParameterError(
                "a setting is out of its range",
                allowed="margin and part_margin >= 0; n_terms and replicates >= 2",
            )
        if self.max_rows < _LEAST_ROWS:
            raise ParameterError(
                "the number of rows is out of range", got=str(self.max_rows), allowed="40 or more"
            )

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance of the texts; details hold each one, worst first."""
        names = [f.name for f in comparison.reference.schema.of_kind("text")]
        if not names:
            raise NotMeasurable("there is no column of texts")
        train, synthetic, reference = (
            part.at_most(self.max_rows, rng)
            for part in (comparison.train, comparison.synthetic, comparison.reference)
        )
        if min(len(train), len(synthetic), len(reference)) < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} texts of each side")
        seed = draw_seed(rng)
        groups = (
            Groups.deal(len(synthetic), self.replicates, rng),
            Groups.deal(len(reference), self.replicates, rng),
        )
        found: dict[str, Gap] = {}
        for name in names:
            known, *sides = (words_of(part, name) for part in (train, synthetic, reference))
            found[f"{name} (length)"] = _length_gap(sides, groups)
            for called, make in (("words", list), ("pairs of words", pairs_of)):
                places = commonest(make(known), self.n_terms)
                counts = [
                    term_counts(make(side), places, group) for side, group in zip(sides, groups)
                ]
                found[f"{name} ({called})"] = _gap(counts, groups, total_variation)
            key = f"clusters of {name}, {len(train)} texts"
            if key not in comparison.cache:
                comparison.cache[key] = _Clusters.of(train, name, seed)
            clusters: _Clusters = comparison.cache[key]
            counts = [
                group.counts(clusters.codes(part), clusters.size)
                for part, group in zip((synthetic, reference), groups)
            ]
            found[f"{name} (subject)"] = _gap(counts, groups, lambda p, q: 1 - frontier(p, q))
        values = np.array([value for value, _ in found.values()])
        drawn = np.stack([replicates for _, replicates in found.values()], axis=1)
        worst = sorted(found, key=lambda part: -found[part][0])
        details: dict[str, Any] = {
            "texts": {part: found[part][0] for part in worst},
            "rows": {"synthetic": len(synthetic), "real": len(reference)},
            "max_rows": self.max_rows,
        }
        parts = Parts("side of the texts", tuple(found), values, drawn, self.part_margin)
        return Measurement(float(values.mean()), drawn.mean(axis=1), details, parts)


@dataclass(frozen=True)
class _Clusters:
    """Clusters of the texts of one column."""

    name: str
    encoder: FeatureEncoder
    centres: npt.NDArray[np.float32]

    @classmethod
    def of(cls, train: Dataset, name: str, seed: int) -> _Clusters:
        from sklearn.cluster import KMeans

        encoder = FeatureEncoder.fit(train.select([name]))
        rows = encoder.transform(train.select([name]))
        size = min(_MOST_CLUSTERS, len(np.unique(rows, axis=0)), len(rows) // _ROWS_IN_A_CLUSTER)
        if not rows.shape[1]:  # train shows one text only
            return cls(name, encoder, rows[:1])
        model = KMeans(max(size, 1), n_init=1, random_state=seed).fit(rows)
        return cls(name, encoder, model.cluster_centers_)

    @property
    def size(self) -> int:
        return len(self.centres)

    def codes(self, rows: Dataset) -> Codes:
        """Return the nearest cluster of each text, shape (n,)."""
        return nearest(self.encoder.transform(rows.select([self.name])), self.centres, 1)[1][:, 0]


def _length_gap(sides: Sequence[Texts], groups: tuple[Groups, Groups]) -> Gap:
    """Return the Kolmogorov-Smirnov distance of the numbers of words, and its replicates."""
    made, real = (lengths(side) for side in sides)
    values, places = np.unique(np.concatenate([made, real]), return_inverse=True)
    counts = [
        group.counts(side, len(values))
        for group, side in zip(groups, np.split(places.ravel(), [len(made)]))
    ]
    return _gap(counts, groups, lambda p, q: np.abs(np.cumsum(p - q, axis=1)).max(axis=1))


def _gap(
    counts: Sequence[Floats],
    groups: tuple[Groups, Groups],
    distance: Callable[[Floats, Floats], Floats],
) -> Gap:
    """Return the distance of two tables of counts by group, and its replicates, shape (b,)."""
    (whole_s, drawn_s), (whole_r, drawn_r) = (
        group.shares(side) for group, side in zip(groups, counts)
    )
    return float(distance(whole_s, whole_r)[0]), distance(drawn_s, drawn_r)
