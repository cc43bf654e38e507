"""The exchange rate on laws whose learning curve is known."""

from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.model_findings import AddedRows
from twinset.core.model_findings import ExchangeRate as WorthFinding
from twinset.core.seeding import rng_for
from twinset.evaluation.utility._exchange_rates import DataSplits, list_findings, measure_losses
from twinset.evaluation.utility._learning_curve import (
    MAX_SIZE,
    MIN_SIZE,
    HoldoutLosses,
    LearningCurve,
    TrainingNoise,
    compute_rates,
    widen_replicates,
)
from twinset.evaluation.utility._models import ModelSetup
from twinset.evaluation.utility._task import PredictionTask
from twinset.evaluation.utility.exchange_rate import ExchangeRate, build_loss
from twinset.measurement.harness import measure
from twinset.report.answers.sentences import describe, score_sentence

SIZES = np.array([1.0, 0.5, 0.25, 0.125])


def simulated(seed: int, worth: float, holdout: int = 2000, dimensions: int = 200) -> HoldoutLosses:
    """Losses of means: `0.3 + 0.05 * n**-0.6` for n times the train part; models share their rows.

    An added row is worth `worth` real ones. The fewer dimensions, the more luck.
    """
    rng = rng_for(seed, "simulated")
    hard = rng.exponential(size=holdout)
    eighths = rng.normal(size=(8, dimensions))

    def model(error: np.ndarray) -> np.ndarray:
        mean = 0.3 + 0.05 * (8 * np.mean(error**2)) ** 0.6
        return mean * hard + 0.05 * rng.normal(size=holdout)

    def more(n: float) -> np.ndarray:
        return np.sqrt(8 * abs(n)) * rng.normal(size=dimensions)

    real = [np.array([model(p.mean(0)) for p in np.split(eighths, round(1 / n))]) for n in SIZES]
    kept = eighths.sum(0) if worth >= 0 else more(1 + worth)
    error = (kept + more(max(worth, 0))) / (8 * (1 + worth))
    return HoldoutLosses(
        SIZES, real, {1.0: model(error)}, model(more(0.5) / 4), np.zeros(holdout, int)
    )


def rows(n: int, seed: int, noise: float = 3.0) -> Dataset:
    """A number that follows 30 others: the squared error falls with 30 / n."""
    rng = rng_for(seed, "linear")
    x = rng.normal(size=(n, 30))
    columns = {f"x{i}": column for i, column in enumerate(x.T)}
    return Dataset.from_arrow(
        pa.table({**columns, "y": x.sum(axis=1) + noise * rng.normal(size=n)})
    )


def frauds(n: int, seed: int, rate: float = 0.03) -> Dataset:
    rng = rng_for(seed, "frauds")
    x = rng.normal(size=(n, 12))
    score = x.sum(axis=1) + 2 * rng.normal(size=n)
    label = np.where(score > np.quantile(score, 1 - rate), "yes", "no")
    return Dataset.from_arrow(pa.table({**{f"x{i}": c for i, c in enumerate(x.T)}, "label": label}))


def told(train: Dataset, made: Dataset, holdout: Dataset, target: str = "y") -> Measurement:
    comparison = Comparison(train, made, holdout, target=target)
    return ExchangeRate(iterations=10).compute(comparison, rng_for(1, "rate"))


def reach(found: np.ndarray) -> float:
    return 1.96 * float(np.std(widen_replicates(found), ddof=1))


@given(st.floats(0.2, 1.2), st.floats(0.01, 1.0))
def test_the_curve_through_a_law_is_the_law(c: float, slope: float) -> None:
    losses = np.tile(0.3 + slope * SIZES**-c, (5, 1))
    curve = LearningCurve.fit(SIZES, losses, np.full(4, 1e-5 * slope))
    assert curve.gain(1.0)[0] == pytest.approx(slope * (1 - 2.0**-c), rel=0.25)


@given(st.floats(0.1, 1.5), st.floats(0.01, 5), st.floats(-0.8, 1.9))
def test_the_worth_of_a_gain_undoes_the_gain_of_rows(c: float, slope: float, more: float) -> None:
    curve = LearningCurve(np.array([slope]), np.array([c]))
    assert curve.rows_worth(curve.gain(more))[0] == pytest.approx(more, abs=1e-6)


@given(st.floats(-1, 1), st.floats(-1e6, 1e6))
def test_no_gain_is_worth_more_than_the_curve_can_tell(slope: float, gain: float) -> None:
    worth = LearningCurve(np.array([slope]), np.array([0.5])).rows_worth(np.array([gain]))[0]
    assert MIN_SIZE - 1 <= worth <= MAX_SIZE - 1


def test_training_noise_by_hand() -> None:
    # One pair at half the rows: variance 2, which shrinks by 2**-1.5 to the whole.
    found = TrainingNoise.from_blocks([np.array([5.0]), np.array([1.0, 3.0])], np.array([1.0, 0.5]))
    assert found.at_whole == pytest.approx(np.sqrt(2 * 0.5**1.5))


@pytest.mark.parametrize("worth", [0.0, 0.3, 1.0])
def test_the_true_worth_is_in_the_interval_in_nine_of_ten_repeats(worth: float) -> None:
    inside = []
    for seed in range(50):
        found = compute_rates(simulated(seed, worth), 60, rng_for(seed, "draws")).worth[-1]
        inside.append(abs(found[0] - 1000 * worth) <= reach(found))
    assert np.mean(inside) >= 0.9


def test_useful_useless_and_harmful_rows_are_distinguished() -> None:
    good, none, bad = (
        compute_rates(simulated(3, worth, 20_000, dimensions=2000), 100, rng_for(3, "draws"))
        for worth in (1.0, 0.0, -0.6)
    )
    assert np.quantile(good.gains[-1], 0.025) > 0
    assert good.worth[-1][0] > 700
    assert bad.worth[-1][0] + reach(bad.worth[-1]) < 0
    assert abs(none.worth[-1][0]) <= reach(none.worth[-1]) < 200


def test_useless_rows_are_reported_to_help_less_than_real_ones() -> None:
    found = compute_rates(simulated(3, 0.0, 20_000, dimensions=2000), 100, rng_for(3, "draws"))
    replicates = widen_replicates(found.worth[-1])
    # Such rows are "different" from the 1,000 real ones that 1,000 real rows are worth.
    assert found.worth[-1][0] + 1.96 * np.std(replicates, ddof=1) < 750
    part, none = rows(100, 1), np.arange(0)
    plan = DataSplits(
        PredictionTask("regression", "y", ("x0",)),
        part,
        part,
        part,
        none,
        none,
        none,
        (),
        none,
        np.ones(1),
        False,
    )
    told = describe(list_findings(plan, "a tagger", found, replicates, 0)[0])
    assert told.startswith("1,000 of these synthetic rows are worth between")
    assert told.endswith(
        "for this task (predicting 'y' by a tagger), less than as many real ones are"
    )
    assert "fewer and" in told


def test_rows_alone_are_put_on_the_same_curve() -> None:
    # `simulated` makes the model without real rows as good as one of half the train part.
    found = [compute_rates(simulated(s, 0.0), 20, rng_for(s, "draws")).alone for s in range(9)]
    assert np.median([alone[0] for alone in found if alone is not None]) == pytest.approx(
        0.5, abs=0.1
    )


def test_replicates_reach_as_far_as_the_longer_side() -> None:
    drawn = rng_for(1, "skewed").exponential(size=1000)
    found = np.append(0.5, drawn)
    assert reach(found) == pytest.approx(max(np.quantile(drawn, 0.975) - 0.5, 0.0))


def test_fresh_real_rows_are_worth_what_they_are() -> None:
    train, fresh, holdout = rows(300, 1), rows(300, 2), rows(4000, 3)
    found = told(train, fresh, holdout)
    spread = 1.96 * np.std(found.replicates, ddof=1)
    assert abs(found.value - 1000) <= spread < 2000
    assert found.facts["model"] == "linear"
    assert found.facts["curve"]["rows"] == [300, 150, 75, 38]
    assert found.finding(WorthFinding).effect == "no evidence"
    assert [entry["rows"] for entry in found.facts["sweep"]] == [0, 75, 150, 300]


def test_copies_of_train_are_worth_nothing_and_loose_columns_do_harm() -> None:
    train, holdout = rows(300, 1), rows(4000, 3)
    again = told(train, train, holdout)
    assert again.facts["best_rows"] == 0
    assert abs(again.value) <= 1.96 * np.std(again.replicates, ddof=1)
    loose = train.records.set_column(30, "y", rows(300, 9).records.column("y"))
    harm = told(train, Dataset.from_arrow(loose), holdout)
    assert harm.value + 1.96 * np.std(harm.replicates, ddof=1) < 0
    assert harm.finding(AddedRows).like_real is not None
    assert harm.finding(WorthFinding).effect == "hurts"


def test_where_more_real_rows_would_not_help_no_rate_is_reported() -> None:
    # One column tells nothing of a loud number: 3,000 rows know its mean as well as 6,000.
    parts = (rows(n, s, noise=300.0) for n, s in ((3000, 1), (300, 2), (300, 3)))
    loose = [part.records.drop([f"x{i}" for i in range(1, 30)]) for part in parts]
    with pytest.raises(NotMeasurable, match="flat, so more real rows would not surely help either"):
        told(*map(Dataset.from_arrow, loose))


def test_rows_of_the_rare_class_are_counted_in_rows_of_it() -> None:
    train, holdout = frauds(2000, 1, 0.06), frauds(4000, 3, 0.06)
    fresh = frauds(2000, 2, 0.06)
    rare = fresh.filter(np.array(fresh.records.column("label").to_pylist()) == "yes")
    found = told(train, rare, holdout, "label")
    assert found.facts["counted_in"] == "rows with label = yes"
    assert found.facts["curve"]["rows"][0] == 120
    assert abs(found.value - 1000) <= 1.96 * np.std(found.replicates, ddof=1)


def test_all_of_train_is_beside_the_synthetic_rows_and_parts_do_not_overlap() -> None:
    train, made = frauds(800, 1, 0.1), frauds(500, 2, 0.1)
    comparison = Comparison(train, made, made, target="label")
    plan = DataSplits.from_comparison(
        PredictionTask.from_comparison(comparison), comparison, 10_000, 200, rng_for(1, "plan")
    )
    y = plan.task.truth(train)
    for parts in plan.blocks():
        joined = np.concatenate(parts)
        assert sorted(joined) == list(range(800))
        assert {int(y[part].sum()) for part in parts} <= {80, 40, 20, 10}
    assert plan.doses == [125, 250, 500]
    seen = []

    def losses(self: object, rows: np.ndarray, weight: object = None) -> np.ndarray:
        seen.append(rows)
        return np.ones(len(plan.holdout))

    with patch.object(ModelSetup, "losses", losses):
        loss = build_loss(plan, "linear", [train, made], seed=0, iterations=5)
        measure_losses(plan, lambda: loss, loss, {}, "curve")
    mixed = seen[-4:-1]
    assert all(set(range(800)) <= set(part) for part in mixed)
    assert [int((part >= 800).sum()) for part in mixed] == [125, 250, 500]


def test_the_curve_of_real_rows_is_measured_once_for_all_candidates() -> None:
    cache: dict[str, object] = {}
    train, holdout = rows(200, 1), rows(500, 3)
    counts = []
    for seed in (4, 5):
        comparison = Comparison(train, rows(200, seed), holdout, target="y", cache=cache)
        with patch.object(
            ModelSetup, "losses", autospec=True, side_effect=ModelSetup.losses
        ) as fitted:
            ExchangeRate(iterations=3).compute(comparison, rng_for(1, "rate"))
        counts.append(fitted.call_count)
    assert counts == [2 * (15 + 4), 2 * 4]


def test_added_rows_do_not_change_what_the_classes_weigh() -> None:
    train, made = frauds(1000, 1, 0.1), frauds(400, 2, 0.5)
    comparison = Comparison(train, made, made, target="label")
    plan = DataSplits.from_comparison(
        PredictionTask.from_comparison(comparison), comparison, 10_000, 1000, rng_for(1, "plan")
    )
    y = np.append(plan.task.truth(train), plan.task.truth(made))
    weight = plan.counterweight(y)
    assert weight is not None
    assert weight @ y / weight.sum() == pytest.approx(0.1)
    assert plan.counterweight(plan.task.truth(train)) is None


def test_all_rare_holdout_rows_are_kept_and_weigh_what_they_are() -> None:
    comparison = Comparison(
        frauds(800, 1, 0.1), frauds(90, 2), frauds(5000, 3, 0.01), target="label"
    )
    plan = DataSplits.from_comparison(
        PredictionTask.from_comparison(comparison), comparison, 1000, 400, rng_for(1, "plan")
    )
    assert len(plan.holdout) == 400
    assert (plan.strata == 1).sum() == 50
    losses = HoldoutLosses(SIZES, [], {}, None, plan.strata, plan.shares)
    weights = losses.holdout_weights(10, rng_for(1, "weights"))
    assert weights.sum(axis=1) == pytest.approx(np.ones(11))
    assert weights[:, plan.strata == 1].sum(axis=1) == pytest.approx(np.full(11, 0.01))


def test_what_it_lacks_is_said() -> None:
    train = rows(200, 1)
    with pytest.raises(NotMeasurable, match="no target column is named"):
        ExchangeRate().compute(Comparison(train, train, train), rng_for(1, "rate"))
    with pytest.raises(NotMeasurable, match="needs at least 64 real rows"):
        told(train.slice(0, 40), train, train)
    few = frauds(300, 1, 0.03)
    with pytest.raises(NotMeasurable, match="16 of them of the class to be found"):
        told(few, few, few, "label")
    with pytest.raises(ParameterError):
        ExchangeRate(replicates=1)


def test_the_image_holds_it_against_a_thousand_without_measuring_real_rows() -> None:
    metric = ExchangeRate(iterations=5)
    with patch.object(
        ExchangeRate, "compute", autospec=True, side_effect=ExchangeRate.compute
    ) as ran:
        score = measure(
            train=rows(300, 1), synthetic=rows(300, 2), holdout=rows(4000, 3), target="y",
            metrics=[("utility.exchange_rate", metric)],
        )[0]  # fmt: skip
    assert ran.call_count == 1
    assert score.baseline == 1000.0
    assert score.floor is None
    assert ", real rows 1,000" in score_sentence(score)
    assert "1,000 of these synthetic rows are worth" in score_sentence(score)
