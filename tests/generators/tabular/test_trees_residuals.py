"""Numbers that lean on a forest, and donors weighted to keep the distribution of each column."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.seeding import rng_for
from twinset.generators.tabular._trees.chain import Chain, calibrate_chain
from twinset.generators.tabular._trees.residuals import (
    Expectation,
    ResidualModel,
    fit_expectation,
    quantiles,
)
from twinset.generators.tabular._trees.table import NumberBins
from twinset.generators.tabular.trees import Trees


def waves(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four even features, and a number that follows two of them with a noise of 0.1."""
    rng = np.random.default_rng(seed)
    x = np.asfortranarray(rng.random((n, 4)), dtype=np.float32)
    return x, np.sin(6 * x[:, 0]) + x[:, 1] ** 2 + 0.1 * rng.normal(size=n)


def test_expectation_is_honest_about_rows_it_has_seen() -> None:
    x, y = waves(3000)
    found = Expectation.fit(x, y, 0.1, np.random.default_rng(1))
    assert found is not None
    forest, unseen, residual_scale = found
    fresh, truth = waves(3000, seed=5)
    seen_error = np.mean((forest.predict(x) - y) ** 2)
    unseen_error = np.mean((unseen - y) ** 2)
    fresh_error = np.mean((forest.predict(fresh) - truth) ** 2)
    # 0.01 is the noise. Rows of its own look too good; unseen thirds do not, and err a bit more
    # than all trees together do.
    assert seen_error < 0.7 * fresh_error
    assert 0.01 < fresh_error < unseen_error < 1.6 * fresh_error
    assert unseen_error < 0.03
    # By as much are rests of fresh rows smaller than those of unseen ones.
    assert residual_scale == pytest.approx(np.sqrt(fresh_error / unseen_error), abs=0.05)


def test_of_long_tables_a_part_is_cut_and_the_rest_is_unseen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("twinset.generators.tabular._trees.residuals._MAX_ROWS", 2000)
    x, y = waves(8000)
    found = Expectation.fit(x, y, 0.1, np.random.default_rng(1))
    assert found is not None
    errors = (found[1] - y) ** 2
    assert np.mean(errors) < 0.04
    assert np.mean((found[0].predict(x) - y) ** 2) < np.mean(errors)


def test_an_expectation_is_shrunk_where_trees_follow_noise() -> None:
    """Leaves of three rows tell 6 % of a number as 30 %; the slope of the truth on that is under 1."""
    x, y = waves(3000)
    loud = (y - y.mean()) / y.std() + 2 * np.random.default_rng(3).normal(size=3000)
    found = Expectation.fit(x, loud, 0.05, np.random.default_rng(1))
    assert found is not None
    centred = found.out_of_fold - found.out_of_fold.mean()
    assert centred @ loud == pytest.approx(centred @ centred, rel=1e-6)
    fresh, truth = waves(3000, seed=5)
    told = found.expectation.predict(fresh)
    told, truth = told - told.mean(), (truth - y.mean()) / y.std()
    assert told @ truth / (told @ told) == pytest.approx(1, abs=0.1)


def test_noise_has_no_expectation() -> None:
    x, _ = waves(3000)
    noise = np.random.default_rng(2).normal(size=3000)
    assert Expectation.fit(x, noise, 0.1, np.random.default_rng(1)) is None


def test_scores_become_numbers_by_interpolation_or_in_steps() -> None:
    forest = Expectation(*(np.zeros(0),) * 5)
    rest = np.zeros(0, dtype=np.float32)
    smooth = ResidualModel(forest, rest, np.array([-1.0, 0.0, 2.0]), np.array([10.0, 20.0, 40.0]))
    drawn = smooth.numbers(np.array([-1.5, -1.0, -0.5, 1.0, 2.5]))
    assert drawn[1:4].tolist() == [10, 15, 30]
    assert np.isnan(drawn[[0, 4]]).all()
    steps = ResidualModel(forest, rest, np.array([-1.0, 1.0]), np.array([1.0, 2.0, 5.0]))
    assert steps.numbers(np.array([-9, -1, 0, 1, 9.0])).tolist() == [1, 2, 2, 5, 5]
    assert np.isnan(steps.numbers(np.array([np.nan]))).all()


def test_scores_that_are_drawn_get_the_distribution_of_the_numbers() -> None:
    forest, rest = Expectation(*(np.zeros(0),) * 5), np.zeros(0, dtype=np.float32)
    rng = np.random.default_rng(0)
    scores = np.append(0.8 * rng.normal(size=20_000), np.nan)  # narrower than normal scores are
    real = np.sort(rng.exponential(size=2_000))
    smooth = ResidualModel(forest, rest, np.sort(rng.normal(size=2_000)), real)
    shares = [0.1, 0.5, 0.9]
    mended = smooth.matched(scores, real)
    assert np.nanquantile(smooth.numbers(scores), 0.9) < 0.9 * np.quantile(real, 0.9)
    assert np.nanquantile(mended.numbers(scores), shares) == pytest.approx(
        np.quantile(real, shares), rel=0.02
    )
    # In steps, 7 being a spike that is drawn as it is: 1, 2 and 5 are a half, a quarter, a quarter.
    steps = ResidualModel(forest, rest, np.array([-1.0, 1.0]), np.array([1.0, 2.0, 5.0]))
    drawn = steps.matched(scores, np.array([1.0, 1, 2, 5, 7, 7, 7])).numbers(scores[:-1])
    assert [(drawn == v).mean() for v in (1, 2, 5)] == pytest.approx([0.5, 0.25, 0.25], abs=0.001)
    few = scores[:10]
    assert steps.matched(few, real) is steps


def test_numbers_with_a_useful_expectation() -> None:
    x, plain = waves(3000)
    for y, is_useful in (
        (plain, True),
        (np.where(np.arange(len(plain)) % 3 == 0, 0.0, plain), False),  # a third are one atom
        (np.random.default_rng(0).permutation(plain), False),  # nothing explains it
        (plain[:500], False),  # too few rows
    ):
        bins = NumberBins.from_values(y, 256, None)
        codes = bins.codes(y)
        free = ~bins.atom[codes]
        rng = np.random.default_rng(0)
        found = fit_expectation(x[: len(y)], y, bins, codes, free, False, rng)
        assert (found is not None) == is_useful


def twin_of(x: np.ndarray, y: np.ndarray, **settings: object) -> tuple[Dataset, object]:
    columns = {f"x{i}": x[:, i].astype(float).round(4) for i in range(4)} | {"y": y.round(4)}
    real = Dataset.from_arrow(pa.table(columns))
    return real, Trees(**settings).fit(real, rng_for(0, "fit"))


def test_a_smooth_dependence_is_drawn_as_narrow_as_it_is() -> None:
    x, y = waves(4000)
    _, fitted = twin_of(x, y)
    made = fitted.sample(4000, rng_for(0, "draw"))
    first, second, drawn = (made.values(name) for name in ("x0", "x1", "y"))
    off = drawn - np.sin(6 * first) - second**2
    assert np.std(off) == pytest.approx(0.1, abs=0.06)
    assert abs(off.mean()) < 0.02
    assert np.quantile(drawn, [0.1, 0.5, 0.9]) == pytest.approx(
        np.quantile(y, [0.1, 0.5, 0.9]), abs=0.05
    )


def test_under_a_condition_donors_are_chosen_and_still_follow_their_parents() -> None:
    """Both columns are drawn first anyway; a forest's draws would leave the range and be replaced."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=4000)
    y = np.sin(2 * x) + 0.1 * rng.normal(size=4000)
    real = Dataset.from_arrow(pa.table({"x": x.round(4), "y": y.round(4)}))
    fitted = Trees().fit(real, rng_for(0, "fit"))
    assert any(link.residuals is not None for link in fitted._chain.links)
    where = Where({"x": {"ge": -2.0}, "y": {"ge": 0.0, "lt": 0.3}})
    made = fitted.sample(1000, rng_for(0, "draw"), where)
    assert len(made) == 1000
    assert made.mask(where).all()
    met = real.where(where)
    off = [np.std(d.values("y") - np.sin(2 * d.values("x"))) for d in (met, made)]
    assert off[1] < 1.15 * off[0]


@pytest.mark.parametrize("in_steps", [False, True])
def test_atoms_of_a_number_that_leans_are_as_frequent_as_they_are(in_steps: bool) -> None:
    """One row in sixteen is 30, whatever x; the others follow x, a parent of few values."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 60, 6000).astype(float)
    y = 1.6 * x + rng.normal(size=6000) * 2
    y = np.where(rng.random(6000) < 1 / 16, 30.0, np.round(y) if in_steps else y.round(4))
    real = Dataset.from_arrow(pa.table({"x": x, "y": y}))
    fitted = Trees().fit(real, rng_for(0, "fit"))
    assert any(link.residuals is not None for link in fitted._chain.links)
    made = fitted.sample(6000, rng_for(0, "draw")).values("y")
    assert (made == 30).mean() == pytest.approx((y == 30).mean(), abs=0.015)
    assert (made == y.max()).mean() < 0.01


def test_rows_with_equal_parents_do_not_repeat_a_number() -> None:
    """Three parents of few levels: the expectation of most rows is that of a train row, too."""
    rng = np.random.default_rng(0)
    parents = rng.integers(0, 4, (4_000, 3))
    y = (20 * np.exp(parents.sum(1) / 4 + 0.5 * rng.normal(size=4_000))).round(2)
    real, fresh = y[:2_000], y[2_000:]
    columns = {name: parents[:2_000, i].astype(str) for i, name in enumerate("abc")}
    fitted = Trees().fit(Dataset.from_arrow(pa.table(columns | {"y": real})), rng_for(0, "fit"))
    assert any(link.residuals is not None for link in fitted._chain.links)
    made = fitted.sample(2_000, rng_for(0, "draw")).values("y").round(2)
    assert np.isin(made, real).mean() < np.isin(fresh, real).mean() + 0.04
    assert len(np.unique(made)) > 0.95 * len(np.unique(real))


def test_a_private_chain_parts_donors_from_their_rests() -> None:
    x, y = waves(4000)
    _, fitted = twin_of(x, y)
    link = next(k for k in fitted._chain.links if k.residuals is not None)
    hidden = link.anonymous(np.random.default_rng(0))
    leaves = link.tree.leaves
    for leaf in np.unique(leaves)[:20]:
        own, shuffled = (k.residuals.rest[leaves == leaf] for k in (link, hidden))
        assert np.sort(own).tolist() == np.sort(shuffled).tolist()
    known = {(int(d), float(r)) for d, r in zip(link.donors, link.residuals.rest, strict=True)}
    pairs = zip(hidden.donors, hidden.residuals.rest, strict=True)
    kept = np.mean([(int(d), float(r)) in known for d, r in pairs])
    assert kept < 0.2  # one in a leaf's rows by chance


def test_calibration_brings_shares_back() -> None:
    rng = np.random.default_rng(0)
    first = rng.integers(0, 3, 4000)
    kind = np.where(rng.random(4000) < 0.8, first, rng.integers(0, 3, 4000))
    columns = {"a": np.array(list("pqr"))[first], "b": np.array(list("xyz"))[kind]}
    chain = Trees().fit(Dataset.from_arrow(pa.table(columns)), rng_for(0, "fit"))._chain
    at = next(i for i, link in enumerate(chain.links) if len(link.tree.parent) > 1)
    position = chain.links[at].position
    skewed = replace(
        chain.links[at], weight=np.where(chain.links[at].donors == 0, 1.8, 1.0).astype(np.float32)
    )
    links = (*chain.links[:at], skewed, *chain.links[at + 1 :])

    def share(of: Chain) -> float:
        return float((of.draw(20_000, np.random.default_rng(1))[:, position] == 0).mean())

    real = float((chain.matrix[:, position] == 0).mean())
    assert share(replace(chain, links=links)) > real + 0.05
    # One pass: in leaves that one level fills there is little to weigh.
    off = share(replace(chain, links=links)) - real
    assert abs(share(calibrate_chain(replace(chain, links=links))) - real) < 0.6 * off
    hot = replace(chain, links=links, settings=replace(chain.settings, temperature=2.0))
    assert calibrate_chain(hot) is hot


def test_many_quantiles_are_numpys_to_the_last_bit() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 2, 3, 1_000):
        values = np.round(rng.normal(size=n), 1 + n % 2 * 8)
        at = np.concatenate([[0.0], np.sort(rng.random(300)), (np.arange(n) + 0.5) / n, [1.0]])
        assert (quantiles(values, at) == np.quantile(values, at)).all()
