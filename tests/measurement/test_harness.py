import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, Score
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import TABULAR_KINDS
from twinset.core.data.where import Where
from twinset.core.errors import MissingExtraError, SchemaError
from twinset.core.findings import (
    ColumnDistances,
    ComparisonBasis,
    DifferentComponents,
    ReferenceRows,
)
from twinset.core.seeding import rng_for
from twinset.measurement.comparison import ResultCache, shuffle_columns
from twinset.measurement.harness import FAMILIES, measure
from twinset.registry import default_metrics

QUICK = {"gap.classifier", "utility.exchange_rate", "utility.train_synthetic_test_real"}

REAL_RESULTS = ResultCache()  # of the usual real rows, which most tests compare with

# Each of these fits judges or whole twins.
pytestmark = pytest.mark.slow


def people(n: int, seed: int) -> Dataset:
    """Rows in which everything hangs together; a tenth is labelled yes."""
    rng = rng_for(seed, "people")
    x = rng.normal(size=n)
    y = x + 0.3 * rng.normal(size=n)
    label = np.where(x + y + rng.normal(size=n) > 2.8, "yes", "no")
    colour = np.where(y > 0, "red", "blue")
    key = [f"person-{seed}-{i}" for i in range(n)]
    return Dataset.from_arrow(
        pa.table({"x": x, "y": y, "colour": colour, "label": label, "key": key})
    )


def quick(kinds: frozenset[str] = TABULAR_KINDS) -> list[tuple[str, Metric]]:
    """The default metrics with small models."""
    return [
        (name, replace(metric, iterations=25) if name in QUICK else metric)  # type: ignore[call-arg]
        for name, metric in default_metrics(kinds)
    ]


def only(*names: str) -> list[tuple[str, Metric]]:
    return [(name, metric) for name, metric in quick() if name in names]


def scores_of(synthetic: Dataset, **more: Any) -> dict[str, Score]:
    given: dict[str, Any] = {
        "train": people(1500, 1),
        "holdout": people(1600, 2),
        "metrics": quick(),
        "target": "label",
        "positive": "yes",
        "seed": 3,
        "cache": None if "metrics" in more else REAL_RESULTS,
    }
    return {score.metric: score for score in measure(synthetic=synthetic, **{**given, **more})}


@dataclass(frozen=True, kw_only=True)
class Sizes(Metric):
    """Writes down what it is shown."""

    family: ClassVar[MetricFamily] = "gap"
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = TABULAR_KINDS
    margin: float = 0.1
    seen: Any = None
    error: Callable[[], Exception] | None = None

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        self.seen.append((comparison, rng.random()))
        if self.error is not None:
            raise self.error()
        return Measurement(0.0, np.zeros(5))


@dataclass(frozen=True, kw_only=True)
class Leaks(Sizes):
    """The same in the family privacy."""

    family: ClassVar[MetricFamily] = "privacy"


@dataclass(frozen=True, kw_only=True)
class Models(Sizes):
    """The same in the family utility."""

    family: ClassVar[MetricFamily] = "utility"
    has_floor: ClassVar[bool] = False


def test_fresh_real_rows_are_as_good_as_real() -> None:
    scores = scores_of(people(1500, 4))
    families = [name.partition(".")[0] for name in scores]
    assert families == sorted(families, key=FAMILIES.index)
    assert set(scores) == {name for name, _ in default_metrics(TABULAR_KINDS)}
    verdicts = {name: score.verdict for name, score in scores.items()}
    assert verdicts.pop("coverage.population") == "not measurable"
    assert "different" not in verdicts.values()
    for name in ("gap.marginals", "gap.pairs", "coverage.density_coverage", "privacy.exact_copies"):
        assert verdicts[name] in ("as good as real", "cannot tell"), name
    assert verdicts["privacy.exact_copies"] == "as good as real"
    json.dumps([score.to_json() for score in scores.values()], allow_nan=False)


def test_independent_columns_are_found_different() -> None:
    train = people(1500, 1)
    far = ("gap.pairs", "gap.classifier", "coverage.density_coverage")
    metrics = only("gap.marginals", *far)
    scores = scores_of(shuffle_columns(train, rng_for(9, "loose")), train=train, metrics=metrics)
    for name in far:
        assert scores[name].verdict == "different", name
    assert scores["gap.marginals"].verdict != "different"
    floor = scores["gap.pairs"].floor
    assert floor is not None
    assert scores["gap.pairs"].value == pytest.approx(floor, abs=0.02)


def test_a_copy_of_train_is_caught_by_both_leak_metrics() -> None:
    train = people(1500, 1)
    metrics = only("privacy.exact_copies", "privacy.nearest_record")
    scores = scores_of(train.take(rng_for(9).permutation(1500)), train=train, metrics=metrics)
    assert scores["privacy.exact_copies"].verdict == "different"
    assert scores["privacy.exact_copies"].value == 1.0
    assert scores["privacy.nearest_record"].verdict == "different"


def test_three_verbatim_rows_among_many_fresh_ones_are_caught() -> None:
    train = people(1500, 1)
    made = Dataset.concat([people(1500, 4), train.take([3, 5, 8])])
    metrics = only("privacy.exact_copies")
    score = scores_of(made, train=train, metrics=metrics)["privacy.exact_copies"]
    assert (score.verdict, score.value) == ("different", pytest.approx(3 / 1503))


def test_scores_do_not_depend_on_workers_or_on_the_other_metrics() -> None:
    made, metrics = people(150, 4), quick()
    real = {"train": people(200, 1), "holdout": people(220, 2)}
    one = scores_of(made, metrics=metrics, workers=1, **real)
    three = scores_of(made, metrics=metrics[::-1], workers=3, **real)
    alone = scores_of(made, metrics=metrics[:1], **real)
    assert [s.to_json() for s in one.values()] == [three[n].to_json() for n in one]
    assert next(iter(alone.values())).to_json() == one[metrics[0][0]].to_json()


def test_value_baseline_and_floor_are_measured_through_the_same_comparison() -> None:
    seen: list[tuple[Comparison, float]] = []
    scores_of(people(70, 4), holdout=people(100, 2), metrics=[("toy", Sizes(seen=seen))])
    (base, r0), (floor, r1), (made, r2) = seen  # what is real alone comes first
    assert r0 == r1 == r2  # equal streams
    assert base.reference is made.reference is floor.reference
    assert (
        len(base.synthetic)
        == len(made.synthetic)
        == len(floor.synthetic)
        == len(base.reference)
        == 50
    )
    real = set(base.synthetic.values("x"))
    assert real.isdisjoint(base.reference.values("x"))
    assert set(floor.synthetic.values("x")) == real
    assert made.synthetic.schema.names == ("x", "y", "colour", "label")


def test_privacy_looks_at_every_synthetic_row_and_models_at_whole_sets() -> None:
    seen: list[tuple[Comparison, float]] = []
    scores_of(people(700, 4), holdout=people(100, 2), metrics=[("leaks", Leaks(seen=seen))])
    assert [len(c.synthetic) for c, _ in seen] == [50, 50, 700]  # baseline, floor, candidate
    seen.clear()
    train, holdout = people(200, 1), people(100, 2)
    scores_of(people(70, 4), train=train, holdout=holdout, metrics=[("models", Models(seen=seen))])
    (base, _), (made, _) = seen
    assert base.synthetic is base.train
    assert (len(made.train), len(made.synthetic), len(made.reference)) == (200, 70, 100)


def test_where_filters_all_sides_but_not_those_of_models() -> None:
    seen: list[tuple[Comparison, float]] = []
    metrics = [("toy", Sizes(seen=seen)), ("models", Models(seen=seen))]
    scores_of(people(200, 4), metrics=metrics, where=Where({"label": ["yes"]}))
    toy = [c for c, _ in seen if len(c.reference) < 1000]
    assert len(toy) == 3
    for comparison in toy:
        for part in (comparison.train, comparison.synthetic, comparison.reference):
            assert set(part.records.column("label").to_pylist()) == {"yes"}
    models = [c for c, _ in seen if len(c.reference) == 1600]
    assert {len(c.train) for c in models} == {1500}


def test_without_a_holdout_leaks_and_use_cannot_be_measured() -> None:
    scores = scores_of(people(1500, 4), holdout=None)
    for name in (
        "privacy.exact_copies",
        "privacy.nearest_record",
        "utility.train_synthetic_test_real",
    ):
        assert scores[name].verdict == "not measurable"
        assert "no holdout" in scores[name].reason
    pairs = scores["gap.pairs"]
    assert pairs.value is not None
    assert pairs.finding(ComparisonBasis).reference == ReferenceRows.HALF_OF_TRAIN


def test_without_a_real_set_only_the_population_is_measured() -> None:
    shares = {"colour": {"red": 0.9, "blue": 0.1}}
    scores = scores_of(people(1500, 4), train=None, holdout=None, population=shares)
    population = scores.pop("coverage.population")
    assert {score.verdict for score in scores.values()} == {"not measurable"}
    assert population.verdict == "different"
    assert population.value == pytest.approx(0.4, abs=0.05)
    assert population.finding(ComparisonBasis).real_value is None


def test_a_faithful_twin_of_a_biased_set_is_still_biased() -> None:
    shares = {"colour": {"red": 0.9, "blue": 0.1}, "label": {"yes": 1.0}}
    metrics = [pair for pair in quick() if pair[0] == "coverage.population"]
    score = scores_of(people(1500, 4), metrics=metrics, population=shares)["coverage.population"]
    assert (score.verdict, score.baseline) == ("different", 0.0)
    score = scores_of(
        people(1500, 4), metrics=metrics, population=shares, where=Where({"label": "yes"})
    )["coverage.population"]
    assert list(score.finding(ColumnDistances).distances) == ["colour"]  # the label was asked for
    assert score.finding(ComparisonBasis).real_value == pytest.approx(score.value, abs=0.1)


@pytest.mark.parametrize("start", [5.0, 0.0])  # a later holdout, and one from another source
def test_drift_between_train_and_holdout_is_no_fault_of_the_candidate(start: float) -> None:
    def timed(seed: int, start: float, x: float, y: float = 0.0) -> Dataset:
        rng = rng_for(seed, "timed")
        columns = {"t": start + rng.random(20_000)}
        columns |= {"x": x + rng.normal(size=20_000), "y": y + rng.normal(size=20_000)}
        data = Dataset.from_arrow(pa.table(columns))
        return replace(data, schema=data.schema.with_field(replace(data.schema["t"], role="time")))

    train, holdout = timed(1, 0, 0), timed(3, start, 2)
    names = ("gap.marginals", "privacy.nearest_record")
    metrics = [pair for pair in quick() if pair[0] in names]
    scores = [
        measure(train=train, synthetic=made, holdout=holdout, metrics=metrics, seed=1)
        for made in (timed(2, 0, 0), timed(4, 0, 0, y=1))
    ]
    (like_train, nearest), (off, _) = scores
    assert like_train.verdict == "as good as real"
    assert off.verdict == "different"
    different, basis = off.finding(DifferentComponents), like_train.finding(ComparisonBasis)
    assert different is not None
    assert all(name.startswith("y") for name in different.names)
    assert basis.train_value == like_train.baseline == pytest.approx(like_train.value, abs=0.1)
    assert basis.is_later == (start > 0)
    if start:
        assert nearest.verdict == "not measurable"
        assert "later than the train set" in nearest.reason
        assert basis.excluded == {"t": "the holdout is later than the train set"}


@pytest.mark.parametrize("n", [1, 2, 3, 10, 30])
def test_tiny_sets_are_never_assessed_and_never_break(n: int) -> None:
    train, made, holdout = people(n, 1), people(n, 4), people(n, 2)
    for score in scores_of(made, train=train, holdout=holdout).values():
        if score.metric != "privacy.exact_copies":
            assert score.verdict in ("cannot tell", "not measurable"), score.metric


@pytest.mark.parametrize("n", [0, 40])
def test_empty_constant_and_null_columns_never_break(n: int) -> None:
    def hard(seed: int, rows: int) -> Dataset:
        table = {"k": [1.5] * rows, "e": pa.array([None] * rows, pa.float64()), "n": pa.nulls(rows)}
        half = pa.array([0.5 if i % 2 else None for i in range(rows)], pa.float64())
        return Dataset.from_arrow(pa.table({**table, "half": half, "label": ["no"] * rows}))

    for score in scores_of(hard(4, n), train=hard(1, 40), holdout=hard(2, 40)).values():
        assert score.verdict != "different"
        json.dumps(score.to_json(), allow_nan=False)


def test_no_row_meets_the_condition() -> None:
    scores = scores_of(people(50, 4), where=Where({"x": {"ge": 100}}))
    pairs = scores["gap.pairs"]
    assert pairs.verdict == "not measurable"


def test_an_unknown_column_in_the_condition_is_the_users_mistake() -> None:
    with pytest.raises(SchemaError, match="'colr'"):
        scores_of(people(50, 4), where=Where({"colr": "red"}))


def test_a_missing_library_is_not_measurable_and_other_faults_are_not_hidden() -> None:
    absent = Sizes(seen=[], error=lambda: MissingExtraError.for_library("cv2", "image"))
    score = scores_of(people(50, 4), metrics=[("toy", absent)])["toy"]
    assert score.reason.startswith("this needs the library 'cv2'")
    with pytest.raises(ZeroDivisionError):
        scores_of(people(50, 4), metrics=[("toy", Sizes(seen=[], error=ZeroDivisionError))])


def test_progress_counts_the_metrics() -> None:
    told: list[tuple[str, int, int]] = []
    scores_of(people(50, 4), metrics=quick()[:2], progress=lambda *facts: told.append(facts))
    assert told == [("measure", 0, 2), ("measure", 1, 2), ("measure", 2, 2)]


def test_images_need_only_the_metrics_that_can_look_at_them() -> None:
    names = {name for name, _ in default_metrics({"image"})}
    assert "gap.classifier" in names
    assert "gap.marginals" not in names
