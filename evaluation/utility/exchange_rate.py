"""How many more real rows the synthetic rows are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import (
    Comparison,
    Measurement,
    Metric,
    MetricFamily,
    NotMeasurable,
    Role,
)
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.parameters import Ge, Margin
from twinset.core.seeding import draw_seed

from ._data_splits import DataSplits
from ._exchange_rates import Rates, counted_in, exchange_findings, flat_curve
from ._learning_curve import EXPONENT, EXPONENT_SPREAD, LearningCurve, TrainingNoise
from ._models import JUDGES, list_models
from ._real_and_synthetic import HoldoutLosses, measured_losses
from ._task import PredictionTask

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ExchangeRate(Metric):
    """Tells how many more real rows 1,000 of the synthetic rows are worth to a model.

    Models are trained on real rows, on an eighth, a quarter, a half and all of the train part, and
    scored on the untouched holdout by a proper score for each row: log loss, or squared error of a
    number. A learning curve through these losses says what more real rows would bring. The loss of
    a model of all real rows and the synthetic ones is put on that curve. All of the train part is
    always in, because the generator saw all of it: beside a part, its rows would be credited with
    what they know of the rest. So the curve is read a little beyond its end, up to twice the rows.

    The judge, boosted trees or a linear model, is the one that does better on real rows; texts are read
    by a linear model of their words, by a small net, or by the better of both. Synthetic
    rows that lack the commonest class, as made rare cases do, are counted in real rows of their own
    classes, and no class gains weight through them. The interval comes from drawing holdout rows,
    from the spread between models of different real rows, and from what the curve leaves open.

    Parameters
    ----------
    margin : float
        Real rows that 1,000 synthetic ones may be short of and still count as good as real.
    max_rows : int
        Rows of each set that a model is trained on.
    max_holdout : int
        Holdout rows that models are scored on; of rare classes all are kept.
    iterations : int
        Trees of each boosted model.
    text_judge : {"linear", "net", "both"}
        Who reads texts; the net needs torch.
    replicates : int
        Bootstrap replicates.

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
    >>> told = Comparison(train=rows(1).slice(0, 400), synthetic=rows(2), reference=rows(3), target="x0")
    >>> found = ExchangeRate(iterations=5).compute(told, np.random.default_rng(0))
    >>> found.facts["judge"], bool(abs(found.value - 1000) < 2 * np.std(found.replicates))
    ('linear', True)
    """

    family: ClassVar[MetricFamily] = "utility"
    title: ClassVar[str] = "real rows that 1,000 synthetic rows are worth"
    interpretation: ClassVar[str] = (
        "What the rows are worth for a model: 1,000 synthetic rows are worth as much as so many more "
        "real ones. 1,000 means as good as real rows, 0 means that they add nothing."
    )
    roles: ClassVar[frozenset[Role]] = frozenset({Role.EXCHANGE_RATE})
    higher_is_better: ClassVar[bool] = True
    bounds: ClassVar[tuple[float, float]] = (float("-inf"), float("inf"))
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS | {"image", "text"}
    is_thorough: ClassVar[bool] = True
    has_floor: ClassVar[bool] = False
    known_baseline: ClassVar[float | None] = 1000.0

    margin: Margin = 250.0
    max_rows: Annotated[int, Ge(100)] = 200_000
    max_holdout: Annotated[int, Ge(100)] = 20_000
    iterations: Annotated[int, Ge(1)] = 100
    text_judge: Literal["linear", "net", "both"] = "linear"
    replicates: Annotated[int, Ge(20)] = 200

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the worth of 1,000 synthetic rows in real ones; details hold curve and sweep."""
        task = PredictionTask.of(comparison)
        plan = DataSplits.of(task, comparison, self.max_rows, self.max_holdout, rng)
        seed = draw_seed(rng)
        judges: dict[str, Rates] = {}
        names = list_models(task, plan.train, self.text_judge)
        for name, draws in zip(names, rng.spawn(len(names))):
            losses = measured_losses(plan, name, comparison.cache, seed, self.iterations)
            judges[name] = rates(losses, self.replicates, draws)
        # By real rows alone: the candidate has no say in who judges it.
        chosen = min(judges, key=lambda name: judges[name].real_loss)
        found = judges[chosen]
        if found.is_flat:
            raise NotMeasurable(flat_curve(found, plan, JUDGES[chosen]))
        replicates = reaching(found.worth[-1])
        tried, best = sweep(plan, found)
        findings = exchange_findings(plan, JUDGES[chosen], found, replicates, best)
        return Measurement(
            float(found.worth[-1][0]),
            replicates,
            (*findings, *plan.task.deciding_rows(plan.holdout)),
            facts=_facts(plan, chosen, judges, tried, best),
        )


def rates(losses: HoldoutLosses, b: int, rng: np.random.Generator) -> Rates:
    """Put the losses of real and synthetic rows on the learning curve of the real ones.

    Parameters
    ----------
    losses : Losses
        Losses of all models on all holdout rows.
    b : int
        Bootstrap replicates.
    rng : numpy.random.Generator
        Draws holdout rows, the luck of training rows, and exponents.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> row = rng.normal(size=500) ** 2
    >>> real = [np.array([(1 + 0.1 * n**-0.5) * row] * m) for n, m in ((1, 1), (0.5, 2), (0.25, 4))]
    >>> mixed = {1.0: (1 + 0.1 * 2**-0.5) * row}
    >>> found = rates(HoldoutLosses(np.array([1, 0.5, 0.25]), real, mixed, None, row > 9), 50, rng)
    >>> bool(800 < found.worth[-1][0] < 1200)
    True
    """
    added = np.array(list(losses.mixed))
    tested = [part.mean(axis=0) for part in losses.real] + list(losses.mixed.values())
    tested += [] if losses.alone is None else [losses.alone]
    weights = losses.holdout_weights(b, rng)
    means = weights @ np.array(tested).T
    noise = TrainingNoise.seen([part @ weights[0] for part in losses.real], losses.sizes)
    means[1:] += _luck(losses, added, noise, b, rng)
    k = len(losses.sizes)
    errors = noise.at(losses.sizes) / np.sqrt([len(part) for part in losses.real])
    seen = LearningCurve.fit(losses.sizes, means[:, :k], errors, _exponents(b, rng))
    curve = seen.beyond(rng)
    gains = [means[:, 0] - means[:, k + i] for i in range(len(added))]
    worth = [1000.0 * curve.rows_worth(gain) / r for gain, r in zip(gains, added)]
    alone = None
    if losses.alone is not None:
        alone = 1.0 + curve.rows_worth(means[:, 0] - means[:, -1])
    return Rates(curve, seen.is_flat, losses.sizes, means[0, :k], tuple(gains), tuple(worth), alone)


def reaching(found: Floats) -> Floats:
    """Return replicates whose spread tells the interval, shape (b,), from (estimate, replicates).

    Worths have one long tail. The frame's interval has the estimate in its middle, so the spread is
    stretched until it reaches as far as the longer side of the central 95 %.

    Examples
    --------
    >>> found = reaching(np.append(0.0, np.arange(101.0)))
    >>> round(1.96 * float(np.std(found, ddof=1)), 1)
    97.5
    """
    estimate, drawn = found[0], found[1:]
    low, high = np.quantile(drawn, [0.025, 0.975])
    spread = float(np.std(drawn, ddof=1))
    wanted = max(high - estimate, estimate - low) / 1.96
    stretch = max(1.0, wanted / spread) if spread > 0 else 1.0
    out: Floats = estimate + (drawn - drawn.mean()) * stretch
    return out


def sweep(plan: DataSplits, found: Rates) -> tuple[list[dict[str, Any]], int]:
    """Return what each number of added rows brings, none of them first, and the best number."""
    added = [len(rows) for rows in plan.doses.values()]
    tried = [
        {"rows": rows, **_gain(gain), **_rate(worth)}
        for rows, gain, worth in zip(added, found.gains, found.worth)
    ]
    # Only what surely helps is worth adding; else none is the best number.
    helping = [entry for entry in tried if entry["gain_interval"][0] > 0]
    best = max(helping, key=lambda entry: entry["gain"])["rows"] if helping else 0
    return [{"rows": 0, "gain": 0.0}, *tried], best


def _luck(
    losses: HoldoutLosses, added: Floats, noise: TrainingNoise, b: int, rng: np.random.Generator
) -> Floats:
    """Return draws of what training rows do to the mean losses by chance, shape (b, models).

    Models share the luck of the rows that they share. As in a linear model, where the loss is the
    square of a mean, a part of size s in a whole shares s of its variance, all blocks together too.
    """
    counts = np.array([len(part) for part in losses.real])
    n_alone = 0 if losses.alone is None else 1
    spread = [noise.at(losses.sizes) / np.sqrt(counts), noise.at(1 + added)]
    shared = [np.sqrt(losses.sizes**2 * counts), 1 / (1 + added)]
    spread, shared = [*spread, np.full(n_alone, noise.at_whole)], [*shared, np.zeros(n_alone)]
    alike = np.concatenate(shared)
    drawn = rng.normal(size=(b, len(alike)))
    drawn = alike * drawn[:, :1] + np.sqrt(1 - alike**2) * drawn
    # How large the luck is, is itself known only roughly.
    drawn *= np.exp(noise.doubt * rng.normal(size=(b, 1)))
    out: Floats = drawn * np.concatenate(spread)
    return out


def _exponents(b: int, rng: np.random.Generator) -> Floats:
    """Return what the exponents are drawn towards, the usual one first."""
    drawn = EXPONENT + EXPONENT_SPREAD * rng.normal(size=b)
    return np.append(EXPONENT, np.clip(drawn, 0.05, 1.6))


def _facts(
    plan: DataSplits, chosen: str, judges: dict[str, Rates], tried: Any, best: int
) -> dict[str, Any]:
    found, n = judges[chosen], len(plan.pool)
    return {
        "judge": chosen,
        "judges": {
            name: {
                "real_loss": rates.real_loss,
                "flat": rates.is_flat,
                **_rate(rates.worth[-1]),
            }
            for name, rates in judges.items()
        },
        "loss": "squared error as a share of the variance"
        if plan.task.name == "regression"
        else "log loss",
        "curve": {
            "rows": [round(size * n) for size in found.sizes],
            "loss": [float(loss) for loss in found.real],
            "exponent": float(found.curve.exponent[0]),
            "gain_of_twice_the_rows": float(found.curve.gain(1.0)[0]),
        },
        "sweep": tried,
        "best_rows": best,
        "alone_like_real_rows": None if found.alone is None else round(float(found.alone[0]) * n),
        "counted_in": counted_in(plan),
        "rows": {"real": len(plan.train), "synthetic": len(plan.made)},
        "holdout_rows": len(plan.holdout),
    }


def _gain(gain: Floats) -> dict[str, Any]:
    low, high = np.quantile(gain[1:], [0.025, 0.975])
    return {"gain": float(gain[0]), "gain_interval": [float(low), float(high)]}


def _rate(worth: Floats) -> dict[str, Any]:
    reach = 1.96 * float(np.std(reaching(worth), ddof=1))
    return {"rate": float(worth[0]), "interval": [float(worth[0]) - reach, float(worth[0]) + reach]}
