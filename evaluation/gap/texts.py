"""Distances of lengths, words, phrases and kinds of texts, and of their spans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from twinset.core.contracts import Comparison, Measurement
from twinset.core.data.dataset import Dataset
from twinset.core.features.encoder import FeatureEncoder, Matrix
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups

from .._bootstrap_metric import TextMetric, text_columns
from .._results import Pattern, average_patterns
from .._samples import cached, common_size, draw_samples
from ._text_patterns import (
    frontier_area,
    repetition_patterns,
    span_patterns,
    text_patterns,
    text_values,
)

_MIN_ROWS = 50  # texts: one for each group of the bootstrap
_EMBEDDED_ROWS = 2_000  # train texts that clusters are fitted on: 40 for each of 50 clusters
_CLUSTER_ROWS = 20  # reference texts for each cluster: of fewer, shares are chance
_MIN_CLUSTERS, _MAX_CLUSTERS = 2, 50  # one cluster compares nothing; more add time, not sight


@dataclass(frozen=True, kw_only=True)
class Texts(TextMetric):
    """Distance of texts: lengths, characters, words, order, repeats, spans; averaged over patterns.

    value = mean_k d_k over the patterns k, in [0, 1]. For each text column: the largest difference of
    cumulative shares of lengths in words, in ten real quantile bins; and the total variation distances

    - of characters, shapes of words ("Aa", "a", "0", "?"), words and pairs of adjacent words, those that
      train texts use ten times or more one by one and all others together;
    - of the order of words: the 100 most frequent pairs if rarer words are replaced by their shapes, and
      12 ends of texts;
    - of last words that end no train text, and of the sizes of numbers (first digit and how many follow)
      where train holds a hundred of them;
    - of texts that another one repeats, wholly or but for a word, and of different words in thirty texts
      or so.

    Whole texts are compared by 1 - area under the divergence frontier of clusters, as in MAUVE but on
    hashed words or the named embedders, so that its numbers are not MAUVE's. For spans: the frequency
    of labels, the words that each label is given to, and whether both ends lie where words do. One
    pattern beyond its own margin makes the whole different.

    Parameters
    ----------
    pattern_margin : float
        Equivalence margin of a single pattern.

    References
    ----------
    Pillutla et al., "MAUVE: Measuring the Gap Between Neural Text and Human Text using Divergence
    Frontiers", NeurIPS 2021.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> schema = Schema((Field(name="note", kind="text"),))
    >>> texts = [["book a table", "play some jazz"] * 50, ["book a table now"] * 100]
    >>> real, other = (Dataset.from_arrow(pa.table({"note": t}), schema) for t in texts)
    >>> found = Texts(replicates=10).compute(Comparison(real, other, real), np.random.default_rng(0))
    >>> dict(zip(found.components.names, found.components.values.round(2).tolist()))["length of note"]
    0.0
    """

    family = "gap"
    title = "lengths, words and phrases of texts"
    interpretation = (
        "How far lengths, characters, words, how they are written, ordered and repeated, and kinds of "
        "texts are from real, averaged, and the spans in them: 0 is the same. A model that reads such "
        "texts meets other words than it will meet in real ones."
    )
    kinds = frozenset({"text", "spans"})

    margin: Margin = 0.03
    pattern_margin: Margin = 0.05
    max_rows: Annotated[int, Ge(_MIN_ROWS)] = 10_000

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance of all patterns, 0 to 1."""
        names = text_columns(comparison)
        n = common_size(comparison, self.max_rows, _MIN_ROWS, "texts")
        train = comparison.train.at_most(self.max_rows, rng)
        sets = draw_samples(comparison, n, rng)
        groups = [Groups.assign(len(part), self.replicates, rng) for part in sets]
        seed = draw_seed(rng)
        found: list[Pattern] = []
        for name in names:
            known, *texts = (text_values(part, name) for part in (train, *sets))
            found += text_patterns(name, known, texts, groups)
            found += repetition_patterns(name, texts, groups)
            found += _frontier(name, comparison, train, sets, groups, seed)
        for spans in comparison.train.schema.of_kind("spans"):
            found += span_patterns(names[0], spans.name, train, sets, groups)
        return average_patterns(found, self.pattern_margin)


def _frontier(
    name: str,
    comparison: Comparison,
    train: Dataset,
    sets: Sequence[Dataset],
    groups: Sequence[Groups],
    seed: int,
) -> Iterator[Pattern]:
    """Yield 1 - area under the divergence frontier of clusters of whole texts."""
    from sklearn.cluster import KMeans

    def embed() -> tuple[FeatureEncoder, Matrix]:
        some = train.select([name]).at_most(_EMBEDDED_ROWS, np.random.default_rng(seed))
        fitted = FeatureEncoder.fit(some, texts=comparison.text_embeddings)
        return fitted, fitted.transform(some)

    encoder, known = cached(comparison, name, embed)  # candidate and baseline are embedded alike
    n_different = len(np.unique(known, axis=0))
    if n_different < _MIN_CLUSTERS:
        return  # one real text only: nothing to compare
    k = int(np.clip(len(sets[0]) // _CLUSTER_ROWS, _MIN_CLUSTERS, _MAX_CLUSTERS))
    clusters = KMeans(min(k, n_different), n_init=1, random_state=seed).fit(known)
    shares = []
    for own, part in zip(groups, sets):
        labels = clusters.predict(encoder.transform(part.select([name]))).astype(np.int64)
        shares.append(own.shares(own.counts(labels, clusters.n_clusters)))
    whole, drawn = (1 - frontier_area(real, synthetic) for real, synthetic in zip(*shares))
    yield f"whole texts of {name}", float(whole[0]), drawn
