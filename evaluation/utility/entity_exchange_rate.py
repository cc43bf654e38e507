"""How many more real texts the synthetic texts are worth to a model that finds entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, NotMeasurable
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed

from ._data_splits import DataSplits
from ._entities import Rows, TokenizedTexts, found_by, labels_of, text_and_spans
from ._exchange_rates import exchange_findings, flat_curve
from ._real_and_synthetic import HoldoutLosses
from ._task import PredictionTask
from .exchange_rate import rates, reaching, sweep

Floats = npt.NDArray[np.float64]

_JUDGE = "a tagger"
_FEWEST_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class EntityExchangeRate(Metric):
    """Tells how many more real texts 1,000 of the synthetic texts are worth to a tagger of entities.

    As `utility.exchange_rate` does for rows of a table: taggers are trained on an eighth, a quarter, a
    half and all of the real texts, the curve through their losses says what more real texts would
    bring, and the loss of a tagger of all real texts and the synthetic ones is put on that curve. The
    loss of a holdout text is the share of its tokens that get a wrong tag.

    Parameters
    ----------
    margin : float
        Real texts that 1,000 synthetic ones may be short of and still count as good as real.
    max_rows : int
        Texts of each set that a tagger is trained on.
    max_holdout : int
        Texts of the holdout that taggers are tested on.
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
    >>> told = Comparison(train=real, synthetic=real.take(range(50)), reference=held)

    These texts are too easy: the first few teach all, and more real ones are worth nothing.

    >>> EntityExchangeRate().compute(told, np.random.default_rng(0))
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
        """Return the worth of 1,000 synthetic texts in real ones; details hold curve and sweep."""
        labels = labels_of(comparison.train, comparison.reference)
        plan = _plan(comparison, self.max_rows, self.max_holdout, rng)
        seed, draws = draw_seed(rng), rng.spawn(1)[0]
        losses = _losses(plan, labels, comparison.cache, seed)
        found = rates(losses, self.replicates, draws)
        if found.is_flat:
            raise NotMeasurable(flat_curve(found, plan, _JUDGE))
        replicates = reaching(found.worth[-1])
        tried, best = sweep(plan, found)
        n = len(plan.pool)
        findings = exchange_findings(plan, _JUDGE, found, replicates, best)
        facts = {
            "loss": "share of tokens with a wrong tag",
            "curve": {
                "rows": [round(size * n) for size in found.sizes],
                "loss": [float(loss) for loss in found.real],
                "exponent": float(found.curve.exponent[0]),
                "gain_of_twice_the_rows": float(found.curve.gain(1.0)[0]),
            },
            "sweep": tried,
            "best_rows": best,
            "rows": {"real": len(plan.train), "synthetic": len(plan.made)},
            "holdout_rows": len(plan.holdout),
        }
        return Measurement(float(found.worth[-1][0]), replicates, findings, facts=facts)


def _plan(
    comparison: Comparison, max_rows: int, max_holdout: int, rng: np.random.Generator
) -> DataSplits:
    train = comparison.train.at_most(max_rows, rng)
    holdout = comparison.reference.at_most(max_holdout, rng)
    if len(train) < _FEWEST_ROWS or not len(comparison.synthetic):
        raise NotMeasurable(
            f"a learning curve needs at least {_FEWEST_ROWS} real texts, and others"
        )
    texts, marks = text_and_spans(train)
    pool = rng.permutation(len(train))
    return DataSplits(
        task=PredictionTask("regression", marks, (texts,)),
        train=train,
        synthetic=comparison.synthetic,
        holdout=holdout,
        always=np.empty(0, dtype=np.int64),
        pool=pool,
        made=rng.permutation(len(comparison.synthetic))[: len(pool)],
        classes=(),
        strata=np.zeros(len(holdout), dtype=np.int64),
        shares=np.ones(1),
        cut=len(train) < len(comparison.train),
    )


def _losses(
    plan: DataSplits, labels: tuple[str, ...], cache: dict[str, Any], seed: int
) -> HoldoutLosses:
    """Return the losses of taggers; those of real texts alone are kept in `cache`."""
    held, real = (TokenizedTexts.of(part, labels) for part in (plan.holdout, plan.train))
    made = TokenizedTexts.of(plan.synthetic.take(plan.made), labels)

    def loss(rows: Rows, n_made: int = 0) -> Floats:
        parts = [(real, rows)] if len(rows) else []
        parts += [(made, np.arange(n_made))] if n_made else []
        return found_by(parts, held, seed).wrong_tokens

    key = f"learning curve of a tagger, seed {seed}"
    if key not in cache:
        cache[key] = [np.array([loss(part) for part in parts]) for parts in plan.blocks()]
    mixed = {dose: loss(plan.pool, len(rows)) for dose, rows in plan.doses.items()}
    none = np.empty(0, dtype=np.int64)
    alone = loss(none, len(plan.made)) if len(plan.made) >= _FEWEST_ROWS else None
    return HoldoutLosses(plan.sizes, cache[key], mixed, alone, plan.strata, plan.shares)
