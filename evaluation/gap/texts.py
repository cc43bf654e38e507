"""Whether texts have the lengths, words and turns of phrase of the real ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
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
from twinset.core.features.embedders import TextEmbedding
from twinset.core.features.encoder import FeatureEncoder
from twinset.core.parameters import Ge, Margin, Replicates
from twinset.core.seeding import draw_seed
from twinset.core.stats.bootstrap import Groups

from ._divergence_frontier import frontier_area
from ._span_patterns import span_patterns
from ._text_patterns import (
    Pattern,
    ends_of,
    last_words,
    numbers_of,
    ordered,
    pairs_of,
    repetition,
    shapes_of,
    shifted,
    strings,
    uses,
    variation_pattern,
    words_of,
)

Floats = npt.NDArray[np.float64]
Cut = Callable[[str], Sequence[str]]

_LENGTH_BINS = 10
_LEAST_USES = 10
_MOST_TERMS = 2_000
_ORDER, _ENDS, _NUMBERS = "order of words", "ends", "numbers"
_MOST = {_ORDER: 100, _ENDS: 12}
_LEAST_NUMBERS = 100
_LEAST_ROWS = 50
_EMBEDDED_ROWS = 2_000
_ROWS_A_CLUSTER = 20
_CLUSTERS = (2, 50)


@dataclass(frozen=True, kw_only=True)
class Texts(Metric):
    """Compares texts: lengths, characters, words, how they are written, repeats, kinds of texts, spans.

    For each text column: the lengths in words, in ten real quantile bins (largest difference of cumulative
    shares); which characters, shapes of words ("Aa", "a", "0", "?"), words and pairs of neighbouring words
    are used, those that real train texts use ten times or more one by one and all others together (total
    variation distance, 0 to 1); the same of the 100 commonest pairs if rarer words are told by their
    shapes, of 12 ends of texts, of last words that end no real text, and of the sizes of numbers (first
    digit and how many follow) where train holds a hundred of them; the share of texts that another one
    repeats, wholly or but for a word, and of different words in thirty texts or so; and one minus the area
    under the divergence frontier of clusters of whole texts, in the manner of MAUVE but on hashed words or
    the embedders of texts that were named, so that its numbers are not MAUVE's. For spans: how often each
    label is given, what words it is given to, and whether both ends lie where words do. The value is the
    mean, and one pattern that is off by more than its own margin makes the whole different.

    Parameters
    ----------
    margin : float
        Largest mean distance that still counts as good as real.
    pattern_margin : float
        The same for a single pattern.
    max_rows : int
        Texts of each side that are looked at, 50 or more.
    replicates : int
        Bootstrap replicates.

    References
    ----------
    Pillutla et al., "MAUVE: Measuring the Gap Between Neural Text and Human Text using Divergence
    Frontiers", NeurIPS 2021.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> schema = Schema((Field(name="said", kind="text"),))
    >>> texts = [["book a table", "play some jazz"] * 50, ["book a table now"] * 100]
    >>> real, made = (Dataset.from_arrow(pa.table({"said": t}), schema) for t in texts)
    >>> found = Texts(replicates=10).compute(Comparison(real, made, real), np.random.default_rng(0))
    >>> dict(zip(found.components.names, found.components.values.round(2).tolist()))["length of said"]
    0.0
    """

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "lengths, words and phrases of texts"
    interpretation: ClassVar[str] = (
        "How far lengths, characters, words, how they are written, ordered and repeated, and kinds of "
        "texts are from real, averaged, and the spans in them: 0 is the same. A model that reads such "
        "texts meets other words than it will meet in real ones."
    )
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"text", "spans"})
    needs: ClassVar[frozenset[str]] = frozenset({"text"})
    has_floor: ClassVar[bool] = False

    margin: Margin = 0.03
    pattern_margin: Margin = 0.05
    max_rows: Annotated[int, Ge(_LEAST_ROWS)] = 10_000
    replicates: Replicates = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the mean distance of all patterns, 0 to 1."""
        names = [field.name for field in comparison.train.schema.of_kind("text")]
        if not names:
            raise NotMeasurable("no column holds texts")
        n = min(len(comparison.reference), len(comparison.synthetic), self.max_rows)
        if n < _LEAST_ROWS:
            raise NotMeasurable(f"it needs at least {_LEAST_ROWS} texts of each side")
        train = comparison.train.at_most(self.max_rows, rng)
        sides = [part.at_most(n, rng) for part in (comparison.reference, comparison.synthetic)]
        deals = [Groups.assign(len(part), self.replicates, rng) for part in sides]
        seed = draw_seed(rng)
        found = [
            pattern
            for name in names
            for pattern in (
                *_terms(name, train, sides, deals),
                *repetition(name, sides, deals),
                *_frontier(
                    name, train, sides, deals, seed, comparison.cache, comparison.text_embeddings
                ),
            )
        ]
        marks = [field.name for field in comparison.train.schema.of_kind("spans")]
        found += [p for mark in marks for p in span_patterns(names[0], mark, train, sides, deals)]
        titles = tuple(title for title, _, _ in found)
        values = np.array([value for _, value, _ in found])
        drawn = np.stack([replicates for _, _, replicates in found], axis=1)
        worst = np.argsort(-values, kind="stable")
        facts = {"patterns": {titles[i]: float(values[i]) for i in worst}}
        return Measurement(
            float(values.mean()),
            drawn.mean(axis=1),
            (),
            ComponentResults("pattern", titles, values, drawn, self.pattern_margin),
            facts,
        )


def _terms(
    name: str, train: Dataset, sides: Sequence[Dataset], deals: Sequence[Groups]
) -> Iterator[Pattern]:
    """Yield how far lengths, characters, words and pairs of words are apart."""
    real, told = strings(train, name), [strings(part, name) for part in sides]
    lengths = [np.array([len(words_of(text)) for text in texts]) for texts in (real, *told)]
    edges = np.unique(np.quantile(lengths[0], np.linspace(0, 1, _LENGTH_BINS + 1)[1:-1]))
    counts = [
        deal.counts(np.searchsorted(edges, own, side="right"), len(edges) + 1)
        for deal, own in zip(deals, lengths[1:])
    ]
    yield shifted(f"length of {name}", counts, deals)
    yield last_words(name, real, told, deals)
    cuts: tuple[tuple[str, Cut], ...] = (
        ("characters", list),
        ("shapes of words", shapes_of),
        ("words", words_of),
        ("pairs of words", pairs_of),
        # Of few kinds each, so that chance between the kinds does not drown what is off.
        (_ORDER, ordered(real)),
        (_ENDS, ends_of(real)),
        (_NUMBERS, numbers_of),
    )
    for what, cut in cuts:
        used = Counter(term for text in real for term in cut(text))
        if what == _NUMBERS and used.total() < _LEAST_NUMBERS:
            continue
        known = [
            term
            for term, uses in used.most_common(_MOST.get(what, _MOST_TERMS))
            if uses >= _LEAST_USES
        ]
        place = {term: i for i, term in enumerate(known)}
        counts = [
            uses([cut(text) for text in texts], place, deal) for texts, deal in zip(told, deals)
        ]
        yield variation_pattern(f"{what} of {name}", counts, deals)


def _frontier(
    name: str,
    train: Dataset,
    sides: Sequence[Dataset],
    deals: Sequence[Groups],
    seed: int,
    cache: dict[str, Any],
    looks: Sequence[TextEmbedding],
) -> Iterator[Pattern]:
    """Yield how far whole texts are apart: 1 less the area under the frontier of their clusters."""
    from sklearn.cluster import KMeans

    if name not in cache:  # the candidate and the baseline are seen through the same embedding
        learnt = train.select([name]).at_most(_EMBEDDED_ROWS, np.random.default_rng(seed))
        fitted = FeatureEncoder.fit(learnt, texts=looks)
        cache[name] = fitted, fitted.transform(learnt)
    encoder, of_train = cache[name]
    features = [of_train, *(encoder.transform(part.select([name])) for part in sides)]
    n_different = len(np.unique(features[0], axis=0))
    if n_different < _CLUSTERS[0]:
        return  # one real text only: nothing to tell apart
    k = int(np.clip(len(sides[0]) // _ROWS_A_CLUSTER, *_CLUSTERS))
    clusters = KMeans(min(k, n_different), n_init=1, random_state=seed).fit(features[0])
    tables = [
        deal.shares(deal.counts(clusters.predict(part).astype(np.int64), clusters.n_clusters))
        for deal, part in zip(deals, features[1:])
    ]
    (real, real_drawn), (made, made_drawn) = tables
    drawn = 1 - frontier_area(real_drawn, made_drawn)
    yield f"whole texts of {name}", float(1 - frontier_area(real, made)[0]), drawn
