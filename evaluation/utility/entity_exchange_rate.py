"""Exchange rate of texts: real texts that 1,000 synthetic texts are worth to a tagger of entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.seeding import draw_seed

from ._entities import TokenizedTexts, list_labels, score_tagger, text_and_spans
from ._exchange_rates import MIN_ROWS, DataSplits, RateMetric, Rows, measure_losses
from ._learning_curve import Floats, compute_rates
from ._task import PredictionTask


@dataclass(frozen=True, kw_only=True)
class EntityExchangeRate(RateMetric):
    """Real texts that 1,000 synthetic texts are worth to a tagger of entities.

    As `utility.exchange_rate` for rows of a table: taggers are trained on an eighth, a quarter, a half
    and all of the real texts, a curve through their losses gives the effect of more real texts, and the
    loss of a tagger of all real texts with the synthetic ones is located on that curve. The loss of a
    holdout text is the share of its tokens with a wrong tag.

    References
    ----------
    Viering and Loog, "The shape of learning curves: a review", arXiv:2103.10948, 2021.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> def texts(names: list[str]) -> Dataset:
    ...     spans = [[{"start": 5, "end": 5 + len(n), "label": "name", "value": n}] for n in names]
    ...     return Dataset.from_arrow(pa.table({"text": [f"call {n} now" for n in names], "spans": spans}))
    >>> real, held = texts([f"bo{i}" for i in range(200)]), texts([f"eve{i}" for i in range(100)])
    >>> sets = Comparison(train=real, synthetic=real.take(range(50)), reference=held)

    These texts are too easy: a few of them are enough, and more real ones are worth nothing.

    >>> EntityExchangeRate().compute(sets, np.random.default_rng(0))
    Traceback (most recent call last):
        ...
    twinset.core.contracts.NotMeasurable: the learning curve of a tagger is flat, ...
    """

    title: ClassVar[str] = "real texts that 1,000 synthetic texts are worth"
    interpretation: ClassVar[str] = (
        "What the texts are worth for a model that finds entities: 1,000 synthetic texts are worth as "
        "much as so many more real ones. 1,000 means as good as real texts, 0 that they add nothing."
    )
    kinds: ClassVar[frozenset[str]] = frozenset({"spans", "text"})
    needs: ClassVar[frozenset[str]] = frozenset({"spans", "text"})

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the real texts that 1,000 synthetic texts are worth; facts hold the curve."""
        labels = list_labels(comparison.train, comparison.reference)
        splits = self._split(comparison, rng)
        seed, draws = draw_seed(rng), rng.spawn(1)[0]
        sets = splits.holdout, splits.train, splits.synthetic.take(splits.synthetic_rows)
        held, real, synthetic = (TokenizedTexts.from_dataset(part, labels) for part in sets)

        def loss(rows: Rows, n_synthetic: int) -> Floats:
            parts = [(real, rows)] if len(rows) else []
            parts += [(synthetic, np.arange(n_synthetic))] if n_synthetic else []
            return score_tagger(parts, held, seed).wrong_tokens

        key = f"learning curve of a tagger, seed {seed}"
        losses = measure_losses(splits, lambda: loss, loss, comparison.cache, key)
        found = compute_rates(losses, self.replicates, draws)
        facts = {"loss": "share of tokens with a wrong tag"}
        return self.rate_measurement(splits, "a tagger", found, facts)

    def _split(self, comparison: Comparison, rng: np.random.Generator) -> DataSplits:
        train = comparison.train.at_most(self.max_rows, rng)
        holdout = comparison.reference.at_most(self.max_holdout, rng)
        if len(train) < MIN_ROWS or not len(comparison.synthetic):
            raise NotMeasurable(
                f"a learning curve needs at least {MIN_ROWS} real texts, and others"
            )
        texts, spans = text_and_spans(train)
        pool, none = rng.permutation(len(train)), np.empty(0, dtype=np.int64)
        return DataSplits(
            task=PredictionTask("regression", spans, (texts,)),
            train=train,
            synthetic=comparison.synthetic,
            holdout=holdout,
            always=none,
            pool=pool,
            synthetic_rows=rng.permutation(len(comparison.synthetic))[: len(pool)],
            classes=(),
            strata=np.zeros(len(holdout), dtype=np.int64),
            shares=np.ones(1),
            is_sampled=len(train) < len(comparison.train),
        )
