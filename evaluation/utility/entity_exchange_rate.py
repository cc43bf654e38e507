"""Exchange rate of texts: real texts that 1,000 synthetic texts are worth to a tagger of entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed

from ._data_splits import DataSplits, HoldoutLosses
from ._entities import Rows, TokenizedTexts, list_labels, score_tagger, text_and_spans
from ._exchange_rates import (
    Floats,
    compute_rates,
    explain_flat_curve,
    list_added_rows,
    list_findings,
    widen_replicates,
)
from ._task import PredictionTask

_MODEL = "a tagger"
_MIN_TEXTS = 64  # real texts: an eighth of them trains a tagger


@dataclass(frozen=True, kw_only=True)
class EntityExchangeRate(Metric):
    """Real texts that 1,000 synthetic texts are worth to a tagger of entities.

    As `utility.exchange_rate` for rows of a table: taggers are trained on an eighth, a quarter, a half
    and all of the real texts, a curve through their losses gives the effect of more real texts, and the
    loss of a tagger of all real texts with the synthetic ones is located on that curve. The loss of a
    holdout text is the share of its tokens with a wrong tag.

    Parameters
    ----------
    margin : float
        Real texts that 1,000 synthetic ones may be short of and still count as equivalent.
    max_rows : int
        Texts of each set that a tagger is trained on.
    max_holdout : int
        Holdout texts that taggers are tested on.
    replicates : int
        Bootstrap replicates.

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

    family: ClassVar[MetricFamily] = "utility"
    title: ClassVar[str] = "real texts that 1,000 synthetic texts are worth"
    interpretation: ClassVar[str] = (
        "What the texts are worth for a model that finds entities: 1,000 synthetic texts are worth as "
        "much as so many more real ones. 1,000 means as good as real texts, 0 that they add nothing."
    )
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (float("-inf"), float("inf"))
    kinds: ClassVar[frozenset[str]] = frozenset({"spans", "text"})
    needs: ClassVar[frozenset[str]] = frozenset({"spans", "text"})
    is_thorough: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    known_baseline: ClassVar[float | None] = 1000.0

    margin: Margin = 250.0
    max_rows: Annotated[int, Ge(100)] = 10_000
    max_holdout: Annotated[int, Ge(100)] = 10_000
    replicates: Annotated[int, Ge(20)] = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the real texts that 1,000 synthetic texts are worth; facts hold the curve."""
        labels = list_labels(comparison.train, comparison.reference)
        splits = _split(comparison, self.max_rows, self.max_holdout, rng)
        seed, draws = draw_seed(rng), rng.spawn(1)[0]
        losses = _measure_losses(splits, labels, comparison.cache, seed)
        found = compute_rates(losses, self.replicates, draws)
        if found.is_flat:
            raise NotMeasurable(explain_flat_curve(found, _MODEL))
        replicates = widen_replicates(found.worth[-1])
        tried, best = list_added_rows(splits, found)
        facts = {
            "loss": "share of tokens with a wrong tag",
            "curve": found.describe_curve(len(splits.pool)),
            "sweep": tried,
            "best_rows": best,
            "rows": {"real": len(splits.train), "synthetic": len(splits.synthetic_rows)},
            "holdout_rows": len(splits.holdout),
        }
        findings = list_findings(splits, _MODEL, found, replicates, best)
        return Measurement(float(found.worth[-1][0]), replicates, findings, facts=facts)


def _split(
    comparison: Comparison, max_rows: int, max_holdout: int, rng: np.random.Generator
) -> DataSplits:
    train = comparison.train.at_most(max_rows, rng)
    holdout = comparison.reference.at_most(max_holdout, rng)
    if len(train) < _MIN_TEXTS or not len(comparison.synthetic):
        raise NotMeasurable(f"a learning curve needs at least {_MIN_TEXTS} real texts, and others")
    texts, spans = text_and_spans(train)
    pool = rng.permutation(len(train))
    return DataSplits(
        task=PredictionTask("regression", spans, (texts,)),
        train=train,
        synthetic=comparison.synthetic,
        holdout=holdout,
        always=np.empty(0, dtype=np.int64),
        pool=pool,
        synthetic_rows=rng.permutation(len(comparison.synthetic))[: len(pool)],
        classes=(),
        strata=np.zeros(len(holdout), dtype=np.int64),
        shares=np.ones(1),
        is_sampled=len(train) < len(comparison.train),
    )


def _measure_losses(
    splits: DataSplits, labels: tuple[str, ...], cache: dict[str, Any], seed: int
) -> HoldoutLosses:
    """Return the losses of taggers; those of real texts alone are kept in `cache`."""
    held, real = (
        TokenizedTexts.from_dataset(part, labels) for part in (splits.holdout, splits.train)
    )
    rows = splits.synthetic.take(splits.synthetic_rows)
    synthetic = TokenizedTexts.from_dataset(rows, labels)

    def loss(rows: Rows, n_synthetic: int = 0) -> Floats:
        parts = [(real, rows)] if len(rows) else []
        parts += [(synthetic, np.arange(n_synthetic))] if n_synthetic else []
        return score_tagger(parts, held, seed).wrong_tokens

    key = f"learning curve of a tagger, seed {seed}"
    if key not in cache:
        cache[key] = [np.array([loss(part) for part in parts]) for parts in splits.blocks()]
    mixed = {dose: loss(splits.pool, len(rows)) for dose, rows in splits.doses.items()}
    n = len(splits.synthetic_rows)
    alone = loss(np.empty(0, dtype=np.int64), n) if n >= _MIN_TEXTS else None
    return HoldoutLosses(splits.sizes, cache[key], mixed, alone, splits.strata, splits.shares)
