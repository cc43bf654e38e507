"""The copula and the trees of a rare class."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.minority.copula import Copula, shrinkage
from twinset.generators.minority.trees import Trees


def labelled(table: pa.Table, target: str = "y") -> Dataset:
    real = Dataset.from_arrow(table)
    return real.with_schema(real.schema.with_target(target, kind="category"))


def two_classes(n: int = 600, n_rare: int = 60) -> Dataset:
    """Return rows whose `b` follows `a` in both classes, and whose `a` tells the class."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [n - n_rare, n_rare])
    a = rng.normal(size=n) + 6 * y
    table = {"a": a, "b": a + 0.1 * rng.normal(size=n), "y": np.array(["no", "yes"])[y]}
    return labelled(pa.table(table | {"kind": np.where(rng.random(n) < 0.5, "u", "v")}))


@pytest.mark.parametrize("generator", [Copula(), Trees()])
def test_a_class_is_drawn_from_its_own_rows(generator) -> None:
    real = two_classes()
    fitted = generator.fit(real, rng_for(0, "fit"))
    made = fitted.sample(500, rng_for(0, "draw"), Where({"y": "yes"}))
    own = real.where(Where({"y": "yes"}))
    assert made.codes("y")[1] == ("yes",)
    low, high = own.values("a").min(), own.values("a").max()
    assert made.values("a").min() >= low
    assert made.values("a").max() <= high
    assert np.corrcoef(made.values("a"), made.values("b"))[0, 1] > 0.8
    assert made.values("a").mean() == pytest.approx(own.values("a").mean(), abs=0.25)


@pytest.mark.parametrize("generator", [Copula(), Trees()])
def test_labels_come_at_their_shares(generator) -> None:
    fitted = generator.fit(two_classes(), rng_for(0, "fit"))
    made = fitted.sample(4000, rng_for(0, "draw"))
    assert made.codes("y")[0].mean() == pytest.approx(0.1, abs=0.02)
    assert len(fitted.sample(0, rng_for(0))) == 0


@pytest.mark.parametrize("generator", [Copula(), Trees()])
def test_further_conditions_are_met(generator) -> None:
    fitted = generator.fit(two_classes(), rng_for(0, "fit"))
    where = Where({"y": "yes", "kind": "v", "a": {"ge": 6}})
    assert fitted.sample(50, rng_for(0, "draw"), where).mask(where).all()


@pytest.mark.parametrize("generator", [Copula(), Trees()])
def test_a_label_of_one_row_is_refused_where_it_is_asked_for(generator) -> None:
    real = labelled(pa.table({"x": np.arange(21.0) / 7, "y": ["a"] * 20 + ["b"]}))
    fitted = generator.fit(real, rng_for(0, "fit"))
    assert fitted.sample(50, rng_for(0, "draw")).codes("y")[1] == ("a",)
    with pytest.raises(FitError, match="1 rows"):
        fitted.sample(5, rng_for(0, "draw"), Where({"y": "b"}))


def test_trees_take_values_of_the_label_alone() -> None:
    """No column tells the classes apart but `mark`, of which each class has levels of its own."""
    rng = np.random.default_rng(0)
    y = np.repeat(["no", "yes"], [300, 60])
    mark = np.where(y == "yes", "m", "k").astype(object) + rng.integers(0, 3, 360).astype(str)
    real = labelled(pa.table({"mark": mark, "x": rng.normal(size=360), "y": y}))
    fitted = Trees(others=3.0).fit(real, rng_for(0, "fit"))
    made = fitted.sample(400, rng_for(0, "draw"), Where({"y": "yes"}))
    assert set(made.codes("mark")[1]) <= {"m0", "m1", "m2"}


def coarse(seed: int = 0) -> Dataset:
    """Return rows of few combinations each, so that trees often hit one that a single row has."""
    rng = np.random.default_rng(seed)
    n, n_rare = 900, 150
    columns = {f"c{i}": rng.integers(0, 6, n).astype(str) for i in range(5)}
    y = np.repeat(["no", "yes"], [n - n_rare, n_rare])
    return labelled(pa.table(columns | {"y": y}))


@pytest.mark.parametrize("others", [0.0, 1.0])
def test_trees_hand_out_no_row_of_one_individual(others: float) -> None:
    real = coarse()
    where = Where({"y": "yes"})
    own = Counter(tuple(row.values()) for row in real.where(where).records.to_pylist())
    single = {row for row, count in own.items() if count == 1}

    def copies(guard: bool) -> int:
        fitted = Trees(others=others, guard_copies=guard).fit(real, rng_for(0, "fit"))
        made = fitted.sample(1000, rng_for(0, "draw"), where)
        return sum(tuple(row.values()) in single for row in made.records.to_pylist())

    assert copies(guard=False) > 5
    assert copies(guard=True) == 0


def test_correlations_of_noise_are_shrunk_away() -> None:
    rng = np.random.default_rng(0)
    noise = pa.table({f"x{i}": rng.normal(size=30) for i in range(12)})

    def largest(shrink: float | None) -> float:
        fitted = Copula(shrink=shrink).fit(Dataset.from_arrow(noise), rng_for(0, "fit"))
        made = fitted.sample(4000, rng_for(0, "draw"))
        found = np.corrcoef([made.values(f"x{i}") for i in range(12)])
        return float(np.abs(found[~np.eye(12, dtype=bool)]).max())

    assert largest(None) < 0.5 * largest(0)
    assert largest(1) < 0.08


def test_shrinkage_by_hand() -> None:
    # (1 - 0.5**2)**2 / 9 = 0.0625 against 0.5**2 = 0.25.
    assert shrinkage(np.array([[1, 0.5], [0.5, 1]]), 10) == pytest.approx(0.25)
    assert shrinkage(np.ones((1, 1)), 10) == 1


def test_settings_out_of_range() -> None:
    for build in (
        lambda: Copula(shrink=1.5),
        lambda: Copula(min_repeats=1),
        lambda: Trees(others=-1),
        lambda: Trees(min_leaf_labels=0),
    ):
        with pytest.raises(ParameterError):
            build()
