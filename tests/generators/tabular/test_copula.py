"""The Gaussian copula: margins exact, dependence learnt, conditions met."""

import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, norm, spearmanr

from twinset.core.contracts import FittedGenerator
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.tabular.copula import (
    Copula,
    LatentNormal,
    Margin,
    correlation_of_scores,
    positive_definite,
)


def draw(real: Dataset, n: int, where: dict | None = None, **settings) -> Dataset:
    fitted = Copula(**settings).fit(real, rng_for(0, "fit"))
    made = fitted.sample(n, rng_for(0, "draw"), Where.from_value(where))
    assert len(made) == n
    return made


def mixed(n: int = 3000) -> Dataset:
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal(np.zeros(3), [[1, 0.8, 0.5], [0.8, 1, 0.4], [0.5, 0.4, 1]], n)
    table = pa.table(
        {
            "amount": np.round(np.exp(z[:, 0]), 2),
            "count": np.floor(5 * norm.cdf(z[:, 1])).astype(int),
            "label": np.where(z[:, 2] > 1.3, "yes", "no"),
            "gap": pa.array(z[:, 1] + 10, mask=z[:, 0] > 0.8),
            "when": pa.array((86_400e6 * (200 + np.floor(10 * z[:, 0]))).astype("int64")).cast(
                pa.timestamp("us")
            ),
        }
    )
    return Dataset.from_arrow(table)


@pytest.fixture(scope="module")
def fitted() -> FittedGenerator:
    return Copula().fit(mixed(), rng_for(0, "fit"))


def test_scores_by_hand() -> None:
    """Two values with 3 and 1 of 4 rows: cells (0, 3/4) and (3/4, 1)."""
    margin = Margin.from_numbers(np.array([7.0, 2.0, 2.0, 2.0]), min_repeats=2)
    assert margin.edges.tolist() == [0.0, 0.75, 1.0]
    assert margin.exact.tolist() == [True, False]
    density = norm.pdf(norm.ppf(0.75))
    scores = margin.scores(np.array([7.0, 2.0, 2.0, 2.0]))
    assert scores == pytest.approx([density / 0.25, *[-density / 0.75] * 3])
    assert scores.sum() == pytest.approx(0)


def test_rare_numbers_are_spread_to_halfway_and_ties_stay() -> None:
    margin = Margin.from_numbers(np.array([0.0, 0.0, 10.0, 20.0]), min_repeats=2)
    points = np.array([0.25, 0.49, 0.5, 0.625, 0.75, 0.875, 1.0])
    # The heap at 0 holds the lower half; 10 owns (5, 15), 20 owns (15, 20).
    assert margin.value_at(points) == pytest.approx([0, 0, 5, 10, 15, 17.5, 20], abs=1e-9)


def test_correlation_of_a_split_normal_is_recovered() -> None:
    """A polyserial pair (cut at 1.5) and a tetrachoric one, both from correlation 0.6."""
    rng = np.random.default_rng(3)
    z = LatentNormal(np.array([[1, 0.6, 0.0], [0.6, 1, 0.6], [0.0, 0.6, 1]])).draw(100_000, rng)
    columns = [z[:, 0], (z[:, 1] > 1.5).astype(float), z[:, 2]]
    scores = np.column_stack([Margin.from_numbers(c, 5).scores(c) for c in columns])
    found = correlation_of_scores(scores)
    assert found[0, 1] == pytest.approx(0.6, abs=0.03)
    assert found[0, 2] == pytest.approx(0.0, abs=0.01)
    naive = np.corrcoef(columns)[0, 1]
    assert naive < 0.4


def test_noise_shrinks_to_no_correlation() -> None:
    scores = np.random.default_rng(0).standard_normal((40, 12))
    plain = np.abs(np.corrcoef(scores.T) - np.eye(12)).mean()
    assert np.abs(correlation_of_scores(scores) - np.eye(12)).mean() < 0.5 * plain


@given(st.integers(2, 8), st.integers(0, 10_000))
def test_any_symmetric_matrix_is_repaired(d: int, seed: int) -> None:
    raw = np.random.default_rng(seed).uniform(-1, 1, (d, d))
    raw = (raw + raw.T) / 2
    np.fill_diagonal(raw, 1.0)
    repaired = positive_definite(raw)
    np.linalg.cholesky(repaired)
    assert np.allclose(np.diag(repaired), 1)


def test_conditional_draws_have_the_conditional_moments() -> None:
    latent = LatentNormal(np.array([[1, 0.8, 0.3], [0.8, 1, 0.1], [0.3, 0.1, 1]]))
    made = latent.draw_given([0], np.full((200_000, 1), 2.0), np.random.default_rng(0))
    assert (made[:, 0] == 2).all()
    assert made.mean(axis=0)[1:] == pytest.approx([1.6, 0.6], abs=0.01)
    assert made.var(axis=0)[1:] == pytest.approx([1 - 0.64, 1 - 0.09], abs=0.01)
    assert np.cov(made.T)[1, 2] == pytest.approx(0.1 - 0.8 * 0.3, abs=0.01)


def test_margins_and_dependence_of_mixed_columns() -> None:
    real = mixed()
    made = draw(real, 6000)
    for name in ("amount", "count", "gap", "when"):
        a, b = real.values(name), made.values(name)
        assert ks_2samp(a[~np.isnan(a)], b[~np.isnan(b)]).statistic < 0.035, name
    assert made.is_null("gap").mean() == pytest.approx(real.is_null("gap").mean(), abs=0.02)
    for pair in (("amount", "count"), ("amount", "when")):
        rank = [spearmanr(data.values(pair[0]), data.values(pair[1]))[0] for data in (real, made)]
        assert rank[0] == pytest.approx(rank[1], abs=0.04)
    for data in (real, made):
        # What is missing is told by the amount, and the label goes with it.
        assert np.median(data.values("amount")[data.is_null("gap")]) > 2
    yes = [d.values("amount")[d.codes("label")[0] == 1].mean() for d in (real, made)]
    assert yes[0] == pytest.approx(yes[1], rel=0.15)


def test_grids_are_kept_and_continuous_values_are_new() -> None:
    real = mixed()
    made = draw(real, 3000)
    amounts = made.values("amount")
    assert np.array_equal(np.round(amounts, 2), amounts)
    assert not np.any(made.values("when") % 86_400e6)
    present = ~made.is_null("gap")
    assert not np.isin(made.values("gap")[present], real.values("gap")).any()


@pytest.mark.parametrize(
    "where",
    [
        {"label": "yes"},
        {"amount": {"ge": 1.5, "lt": 1.7}},
        {"gap": None},
        {"gap": {"not": None}, "label": "no", "count": [1, 3]},
        {"amount": {"gt": 4}, "when": {"ge": "1970-07-25"}},
        {"label": {"not": "no"}, "gap": {"not": {"ge": 10}}},
        {},
    ],
)
def test_conditions_are_met_exactly(fitted: FittedGenerator, where: dict) -> None:
    for n in (0, 1, 700):
        made = fitted.sample(n, rng_for(0, "draw"), Where(where))
        assert len(made) == n
        assert made.mask(Where(where)).all()


def test_a_condition_moves_the_other_columns() -> None:
    real = mixed()
    made = draw(real, 3000, {"amount": {"gt": 3}})
    wanted = real.where(Where({"amount": {"gt": 3}})).values("count").mean()
    assert real.values("count").mean() < wanted - 1
    assert made.values("count").mean() == pytest.approx(wanted, abs=0.15)


def test_a_condition_that_no_row_meets_but_the_model_can() -> None:
    x = np.random.default_rng(0).normal(size=(400, 2))
    real = Dataset.from_arrow(pa.table({"x": x[:, 0], "y": x[:, 1]}))
    where = Where({"x": {"gt": 1.5}, "y": {"gt": 1.5}})
    unseen = real.filter(~real.mask(where))
    made = draw(unseen, 300, dict(where.conditions))
    assert made.mask(where).all()


def test_impossible_conditions_name_the_column(fitted: FittedGenerator) -> None:
    for name, condition in (("amount", {"lt": 0}), ("label", "maybe"), ("count", 99)):
        with pytest.raises(ParameterError, match=f"'{name}'"):
            fitted.sample(10, rng_for(0, "draw"), Where({name: condition}))


def test_impossible_combinations_end() -> None:
    """Each alone occurs; together they contradict one another even in the latent normal."""
    x = np.random.default_rng(0).normal(size=400)
    real = Dataset.from_arrow(pa.table({"a": x, "b": x + 0.001}))
    with pytest.raises(ParameterError, match="'a', 'b'"):
        draw(real, 5, {"a": {"lt": -1}, "b": {"gt": 1}})


def test_each_label_has_its_own_dependence() -> None:
    """x and y rise together in one class and against each other in the other."""
    rng = np.random.default_rng(0)
    x, up = rng.normal(size=4000), np.repeat([True, False], 2000)
    y = np.where(up, x, -x) + 0.2 * rng.normal(size=4000)
    real = Dataset.from_arrow(pa.table({"x": x, "y": y, "up": up}))
    real = real.with_schema(real.schema.with_target("up"))
    ranks = []
    for per_label in (True, False):
        made = draw(real, 4000, per_label=per_label)
        is_up = made.values("up") == 1
        ranks.append(spearmanr(made.values("x")[is_up], made.values("y")[is_up])[0])
    assert ranks[0] > 0.9
    assert abs(ranks[1]) < 0.2


def test_a_label_of_one_row_is_not_copied() -> None:
    rng = np.random.default_rng(0)
    x = np.append(rng.normal(size=200), 50.0)
    table = pa.table({"x": x, "label": ["a"] * 100 + ["b"] * 100 + ["rare"]})
    real = Dataset.from_arrow(table)
    made = draw(real.with_schema(real.schema.with_target("label")), 20_000)
    rare = made.where(Where({"label": "rare"}))
    assert 50 < len(rare) < 200
    assert not np.isin(rare.values("x"), x).any()


def test_levels_are_put_in_an_order_that_tells() -> None:
    """Names in any order, numbers in theirs: without ordering most of this would be lost."""
    rng = np.random.default_rng(0)
    level = rng.integers(0, 6, 5000)
    names = np.array(["delta", "alpha", "foxtrot", "bravo", "echo", "charlie"])
    real = Dataset.from_arrow(
        pa.table({"name": names[level], "x": level + rng.normal(size=5000) * 0.3})
    )
    made = draw(real, 5000)
    codes, found = made.codes("name")
    rank = np.array([list(names).index(name) for name in found])[codes]
    assert spearmanr(rank, made.values("x"))[0] > 0.9


def test_settings_and_sizes_are_checked() -> None:
    with pytest.raises(ParameterError, match="min_repeats"):
        Copula(min_repeats=1)
    with pytest.raises(FitError, match="1 rows"):
        Copula().fit(mixed(3).slice(0, 1), rng_for(0))


def test_adult_pairs_are_closer_than_independent_columns(shared_data: Path) -> None:
    packed = (shared_data / "tabular/adult/adult.data.gz").read_bytes()
    text = gzip.decompress(packed).decode().replace(", ", ",")
    lines = [line for line in text.split("\n") if line.count(",") == 14]
    names = (
        "age work weight school years marital job relation race sex gain loss hours country income"
    )
    table = pa.csv.read_csv(
        pa.BufferReader("\n".join(lines).encode()),
        pa.csv.ReadOptions(column_names=names.split()),
        convert_options=pa.csv.ConvertOptions(null_values=["?"], strings_can_be_null=True),
    )
    real = Dataset.from_arrow(table.slice(0, 12_000))
    real = real.with_schema(real.schema.with_target("income"))
    made = draw(real, 12_000)
    for name in ("work", "school", "marital", "job"):
        shares = []
        for data in (real, made):
            codes, levels = data.codes(name)
            rich = data.codes("income")[0] == 1
            shares.append(np.array([rich[codes == i].mean() for i in range(len(levels))]))
            counts = np.bincount(codes[codes >= 0])
        big = counts > 200
        assert np.abs(shares[0] - shares[1])[big].max() < 0.05, name
