"""What all attacks must do: flag what was learnt by heart, let rows pass that nobody saw."""

import json
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.contracts import Comparison, Metric, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.findings import DecidingRows
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy._attacks import (
    FEW,
    compute_excess,
    resample_scores,
    round_shares,
)
from twinset.evaluation.privacy.attribute_inference import AttributeInference
from twinset.evaluation.privacy.linkability import Linkability
from twinset.evaluation.privacy.singling_out import SinglingOut
from twinset.measurement.verdict import Reference, compute_verdict

Rows = dict[str, np.ndarray]
Makers = dict[str, Callable[[Rows, np.random.Generator], Rows]]


def draw(n: int, rng: np.random.Generator) -> Rows:
    """Draw people with linked columns, numbers and categories, some of them rare."""
    wealth = rng.normal(size=n)
    age = np.clip(np.round(45 + 12 * wealth + 9 * rng.normal(size=n)), 18, 95)
    income = np.round(np.exp(7 + 0.5 * wealth + 0.4 * rng.normal(size=n)), 0)
    gain = np.where(rng.random(n) < 0.85, 0.0, np.round(1000 * rng.exponential(size=n)))
    work = np.clip(rng.poisson(2 + 0.8 * np.abs(wealth)), 0, 7)
    town = np.minimum(rng.geometric(0.12, size=n), 30)
    return {
        "age": age,
        "income": income,
        "gain": gain,
        "work": np.char.add("w", work.astype(str)),
        "town": np.char.add("t", town.astype(str)),
        "home": np.where(wealth + rng.normal(size=n) > 0, "own", "rent"),
    }


def copy(train: Rows, rng: np.random.Generator) -> Rows:
    return train


def jitter(train: Rows, rng: np.random.Generator) -> Rows:
    """Move every number by one up or down."""
    return {
        name: values + rng.choice([-1.0, 1.0], len(values)) if values.dtype.kind == "f" else values
        for name, values in train.items()
    }


def interpolate(train: Rows, rng: np.random.Generator) -> Rows:
    """Lay every row between itself and one that is near in age and income, as SMOTE does."""
    place = np.column_stack([train["age"] / 15, np.log(train["income"]) / 0.6])
    apart = ((place[:, None] - place[None]) ** 2).sum(axis=2)
    other = np.argsort(apart, axis=1)[np.arange(len(place)), rng.integers(1, 4, len(place))]
    part = rng.random(len(place))
    return {
        name: np.round(values + part * (values[other] - values))
        if values.dtype.kind == "f"
        else np.where(rng.random(len(values)) < 0.5, values, values[other])
        for name, values in train.items()
    }


def independent(train: Rows, rng: np.random.Generator) -> Rows:
    """Shuffle every column by itself."""
    return {name: rng.permutation(values) for name, values in train.items()}


def fresh(train: Rows, rng: np.random.Generator) -> Rows:
    return draw(len(train["age"]), rng)


MAKERS: Makers = {
    "copy": copy,
    "jitter": jitter,
    "interpolate": interpolate,
    "independent": independent,
    "fresh": fresh,
}


ATTACKS = [SinglingOut(), Linkability(), AttributeInference()]
each_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: type(a).__name__)


@pytest.fixture
def release() -> Callable[..., Comparison]:
    """Draw members and control rows, and make the candidate out of the members."""

    def build(kind: str, seed: int, n: int = 800, n_control: int | None = None) -> Comparison:
        rng = rng_for(seed, "release")
        train, control = draw(n, rng), draw(n_control or n, rng)
        candidate = MAKERS[kind](train, rng)
        return Comparison(
            *(Dataset.from_arrow(pa.table(rows)) for rows in (train, candidate, control))
        )

    return build


@pytest.fixture
def verdict(release) -> Callable[..., str]:
    """Give the verdict of the frame: the candidate against rows that nobody saw."""

    def decide(metric: Metric, kind: str, seed: int, n: int = 800) -> str:
        sets = release(kind, seed, n)
        other = Dataset.from_arrow(pa.table(draw(n, rng_for(seed, "other half"))))
        baseline = Comparison(sets.train, other, sets.reference)
        found = metric.compute(sets, rng_for(seed, "attack"))
        base = metric.compute(baseline, rng_for(seed, "attack"))
        return compute_verdict(
            "attack", metric, found, Reference(base, None, DecidingRows(n, "rows"))
        ).verdict

    return decide


@each_attack
@pytest.mark.parametrize("kind", ["copy", "jitter", "interpolate"])
@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_learnt_by_heart_is_flagged(verdict, attack: Metric, kind: str, seed: int) -> None:
    assert verdict(attack, kind, seed) == "different"


@each_attack
@pytest.mark.parametrize("kind", ["fresh", "independent"])
@pytest.mark.parametrize("seed", [1, 2])
def test_rows_that_nobody_saw_are_not_flagged(
    verdict, attack: Metric, kind: str, seed: int
) -> None:
    assert verdict(attack, kind, seed) != "different"


@each_attack
def test_fresh_rows_have_no_excess_on_average_and_intervals_that_say_so(
    release, attack: Metric
) -> None:
    """Twice as many members as control rows; 30 draws of the true law."""
    found = [
        attack.compute(release("fresh", seed, n=400, n_control=200), rng_for(seed, "attack"))
        for seed in range(30)
    ]
    values = np.array([one.facts["excess"] for one in found])
    errors = np.array([one.replicates.std(ddof=1) for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert (np.abs(values) < 1.96 * errors).mean() >= 0.85
    assert errors.mean() < 1.5 * values.std(ddof=1)


@each_attack
def test_a_part_of_copies_weighs_as_much_however_many_members_there_are(
    release, attack: Metric
) -> None:
    values = [
        attack.compute(release("copy", 4, n, 300), rng_for(1, "attack")).value for n in (300, 900)
    ]
    assert values[1] > 0.6 * values[0]


@each_attack
def test_the_value_is_clipped_and_its_replicates_are_not(release, attack: Metric) -> None:
    given_sets = release("fresh", 3, 300)
    low = min(
        (attack.compute(given_sets, rng_for(seed, "attack")) for seed in range(8)),
        key=lambda found: found.facts["excess"],
    )
    assert low.value == max(low.facts["excess"], 0)
    assert low.replicates.min() < 0


@each_attack
def test_details_hold_no_row_and_no_small_cell(release, attack: Metric) -> None:
    found = attack.compute(release("independent", 3, 300), rng_for(1, "attack"))
    told = json.dumps([found.facts, [one.to_json() for one in found.findings]])
    n = found.finding(DecidingRows).n
    for key in ("singled_out", "linked"):
        for share in found.facts.get(key, {}).values():
            assert isinstance(share, str) or share == 0 or round(share * n) > 10
    assert len(told) < 4_000
    assert "set by twinset" in told
    assert "gives no number" in told


@each_attack
@pytest.mark.parametrize("part", ["train", "synthetic", "reference"])
def test_nothing_to_attack_is_said(release, attack: Metric, part: str) -> None:
    sets = release("fresh", 1, 20)
    sets = type(sets)(
        **{
            name: getattr(sets, name).slice(0, 0 if name == part else 20)
            for name in ("train", "synthetic", "reference")
        }
    )
    with pytest.raises(NotMeasurable):
        attack.compute(sets, rng_for(1, "attack"))


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=30),
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=30),
)
def test_excess_is_the_difference_of_two_means(members: list[float], control: list[float]) -> None:
    value, drawn = compute_excess(np.array(members), np.array(control), 20, rng_for(1, "x"))
    assert value == pytest.approx(np.mean(members) - np.mean(control))
    assert np.abs(drawn).max() <= 1


def test_what_few_rows_never_showed_is_not_certain() -> None:
    few, many = (
        resample_scores(np.zeros(n), 400, rng_for(1, "x"), (0.0, 1.0)).mean(1) for n in (20, 2000)
    )
    assert few.std() > 0.02
    assert many.std() < 0.001


@given(st.integers(300, 5000), st.data())
def test_one_to_ten_rows_are_never_reported_nor_what_gives_them_away(
    n: int, data: st.DataObject
) -> None:
    one, other = data.draw(st.integers(0, n)), data.draw(st.integers(0, n))
    told = round_shares(one / n, n, other / n, n)
    assert [share == FEW for share in told] == [1 <= count <= 10 for count in (one, other)]
    assert all(isinstance(share, float) for share in told) or not any(
        isinstance(share, float) for share in told
    )
