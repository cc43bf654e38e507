"""Exchange rate of rows: real rows that 1,000 synthetic rows are worth to a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar, Literal

import numpy as np

from twinset.core.contracts import Comparison, Measurement, Role
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Ge
from twinset.core.seeding import draw_seed

from ._exchange_rates import (
    DataSplits,
    Loss,
    RateMetric,
    Rows,
    describe_rate,
    measure_losses,
)
from ._learning_curve import ExchangeRates, Floats, compute_rates
from ._models import MODEL_TITLES, build_setup, list_models
from ._task import PredictionTask


@dataclass(frozen=True, kw_only=True)
class ExchangeRate(RateMetric):
    """Real rows that 1,000 synthetic rows are worth to a model.

    Models are trained on an eighth, a quarter, a half and all of the train set, and scored on the real
    holdout by log loss, or by the squared error of a number. A curve loss(n) = a + b n^-c through these
    losses gives the effect of more real rows; the loss of a model of all real rows with the synthetic
    ones is located on that curve. All of the train set is always included, because the generator saw all
    of it: with a part of it, synthetic rows would be credited with what they know of the rest. So the
    curve is extrapolated, up to twice the rows.

    The model, boosted trees or a linear model, is the one with the lower loss by real rows; texts have a
    linear model of their words, a small network, or the better of both. Synthetic rows without the most
    frequent class, such as rare cases, are counted in real rows of their own classes, and class shares are
    kept by weights. The interval covers the choice of holdout rows, the spread between models of different
    real rows, and the uncertainty of the curve.

    Parameters
    ----------
    iterations : int
        Trees of each boosted model.
    text_model : {"linear", "net", "both"}
        Model of texts; the net needs torch.

    References
    ----------
    Viering and Loog, "The shape of learning curves: a review", arXiv:2103.10948, 2021.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.dataset import Dataset
    >>> def rows(seed):
    ...     x = np.random.default_rng(seed).normal(size=(1000, 40))
    ...     x[:, 0] += x[:, 1:].sum(axis=1)
    ...     return Dataset.from_arrow(pa.table({f"x{i}": column for i, column in enumerate(x.T)}))
    >>> sets = Comparison(train=rows(1).slice(0, 400), synthetic=rows(2), reference=rows(3), target="x0")
    >>> found = ExchangeRate(iterations=5).compute(sets, np.random.default_rng(0))
    >>> found.facts["model"], bool(abs(found.value - 1000) < 2 * np.std(found.replicates))
    ('linear', True)
    """

    title: ClassVar[str] = "real rows that 1,000 synthetic rows are worth"
    interpretation: ClassVar[str] = (
        "What the rows are worth for a model: 1,000 synthetic rows are worth as much as so many more "
        "real ones. 1,000 means as good as real rows, 0 means that they add nothing."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.EXCHANGE_RATE})
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}

    max_rows: Annotated[int, Ge(100)] = 200_000
    max_holdout: Annotated[int, Ge(100)] = 20_000
    iterations: Annotated[int, Ge(1)] = 100
    text_model: Literal["linear", "net", "both"] = "linear"

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the real rows that 1,000 synthetic rows are worth; facts hold the curve."""
        task = PredictionTask.from_comparison(comparison)
        splits = DataSplits.from_comparison(task, comparison, self.max_rows, self.max_holdout, rng)
        seed = draw_seed(rng)
        by_model: dict[str, ExchangeRates] = {}
        models = list_models(task, splits.train, self.text_model)
        for name, draws in zip(models, rng.spawn(len(models))):
            of_sets = partial(build_loss, splits, name, seed=seed, iterations=self.iterations)
            losses = measure_losses(
                splits,
                partial(of_sets, [splits.train]),
                of_sets([splits.train, splits.synthetic]),
                comparison.cache,
                f"learning curve of {name}, classes {splits.classes}",
            )
            by_model[name] = compute_rates(losses, self.replicates, draws)
        # Chosen by real rows alone: the candidate has no influence on its model.
        chosen = min(by_model, key=lambda name: by_model[name].real_loss)
        names = " or ".join(task.classes[k] for k in splits.classes)
        alone, is_number = by_model[chosen].alone, task.name == "regression"
        facts = {
            "model": chosen,
            "models": {
                name: {
                    "real_loss": rates.real_loss,
                    "flat": rates.is_flat,
                    **describe_rate(rates.worth[-1]),
                }
                for name, rates in by_model.items()
            },
            "loss": "squared error as a share of the variance" if is_number else "log loss",
            "alone_like_real_rows": None
            if alone is None
            else round(float(alone[0]) * len(splits.pool)),
            "counted_in": f"rows with {task.target} = {names}" if names else "rows",
        }
        deciding = task.deciding_rows(splits.holdout)
        return self.rate_measurement(
            splits, MODEL_TITLES[chosen], by_model[chosen], facts, deciding
        )


def build_loss(
    splits: DataSplits, name: str, sets: Sequence[Dataset], *, seed: int, iterations: int
) -> Loss:
    """Return the loss of one kind of model, whose features are fitted to the first of the sets."""
    setup = build_setup(name, splits.task, sets, splits.holdout, seed=seed, iterations=iterations)

    def loss(real: Rows, n_synthetic: int) -> Floats:
        added = len(splits.train) + splits.synthetic_rows[:n_synthetic]
        rows = np.concatenate([splits.always, real, added])
        return setup.losses(rows, splits.counterweight(setup.y[rows]))

    return loss
