"""The parts of a chain, by hand and against scikit-learn."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.tree import DecisionTreeClassifier, ExtraTreeRegressor

from twinset.core.data.dataset import Dataset
from twinset.generators.tabular._trees import tree as _chain_routing
from twinset.generators.tabular._trees.chain import draw_order
from twinset.generators.tabular._trees.link import LinkSettings, correspondence_ranks, fit_link
from twinset.generators.tabular._trees.refinement import CopyGuard, row_hashes
from twinset.generators.tabular._trees.residuals import LeafSlopes
from twinset.generators.tabular._trees.table import (
    ChainTable,
    NumberBins,
    Tie,
    Variable,
    find_ties,
    quantile_bins,
)
from twinset.generators.tabular._trees.tree import DonorTree, evenly_spread


def test_bins_by_hand() -> None:
    bins, atom = quantile_bins(np.array([3, 1, 2]), 4)
    assert (bins.tolist(), atom.tolist()) == ([0, 1, 2], [True, False, True])
    # 20 rows, 4 bins of 5: a value with 4 or more is an atom; the other 12 rows fill 2 bins.
    bins, atom = quantile_bins(np.array([3, 3, 8, 3, 3]), 4)
    assert atom.tolist() == [False, False, True, False, False]
    assert bins.tolist() == [0, 0, 1, 2, 2]
    bins, atom = quantile_bins(np.ones(12, dtype=np.int64), 4)
    assert np.bincount(bins).tolist() == [3, 3, 3, 3]
    assert not atom.any()


def test_values_move_inside_their_bins_and_atoms_stay_put() -> None:
    column = np.concatenate([np.zeros(50), np.arange(1, 101) / 10])
    bins = NumberBins.from_values(column, 10, 0.1)
    codes = np.tile(np.arange(len(bins.values)), 200)
    moved = bins.moved(codes, np.random.default_rng(0))
    # Out of its bin by the blur of ten values at most: neither beyond the range nor onto the atom.
    assert np.all(moved >= bins.values[bins.first[codes]] - 1)
    assert np.all(moved <= np.minimum(bins.values[bins.last[codes]] + 1, 10))
    assert np.all(moved[codes == 0] == 0)
    assert moved[codes > 0].min() >= 0.1
    assert bins.atom.tolist() == [True] + [False] * 100
    assert len(np.unique(np.round(moved, 6))) > 1000


def test_rounded_numbers_are_no_oftener_values_of_the_rows_than_fresh_ones_are() -> None:
    column, fresh = np.random.default_rng(0).lognormal(3, 1, (2, 4_000)).round(2)
    bins = NumberBins.from_values(column, 256, 0.01)
    moved = bins.round(bins.moved(bins.codes(column), np.random.default_rng(1)))
    shares = [np.isin(part.round(2), column).mean() for part in (moved, fresh)]
    assert shares[0] < shares[1] + 0.1  # values of the rows themselves were in 68 %
    assert np.quantile(moved, [0.01, 0.5, 0.99]) == pytest.approx(
        np.quantile(column, [0.01, 0.5, 0.99]), rel=0.03
    )


def test_days_move_by_whole_weeks_to_days_that_are_there() -> None:
    days = np.array([d for d in range(700) if d % 7 < 5], dtype=float)
    bins = NumberBins.from_values(days, 20, 1.0, by_week=True)
    codes = np.tile(np.arange(len(days)), 20)
    moved = bins.moved(codes, np.random.default_rng(0))
    assert np.all(moved % 7 == days[codes] % 7)
    assert np.isin(moved, days).all()
    assert (moved != days[codes]).mean() > 0.3


def some_tree(n: int = 600) -> tuple[DonorTree, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    features = rng.normal(size=(n, 4)).astype(np.float32)
    labels = (features[:, 0] > 0).astype(np.int64) + 2 * (features[:, 1] * features[:, 2] > 0.2)
    tree, order = DonorTree.grow(features, labels, np.arange(n), 15, seed=7)
    return tree, order, features, labels


def test_rows_go_where_scikit_learn_sends_them() -> None:
    _, _, features, labels = some_tree()
    reference = DecisionTreeClassifier(
        criterion="entropy", min_samples_leaf=15, random_state=7
    ).fit(features, labels)
    tree = DonorTree.from_sklearn(reference.tree_)
    fresh = np.random.default_rng(4).normal(size=(2000, 4)).astype(np.float32)
    edges = np.tile(tree.threshold[np.isfinite(tree.threshold)][:, None], 4)
    for rows in (features, fresh, edges):
        assert tree.route(rows).tolist() == reference.apply(rows).tolist()
    assert tree.leaves.tolist() == np.sort(reference.apply(features)).tolist()
    whole, order = DonorTree.grow(features, labels, np.arange(600), 15, 7, slack=None)
    assert whole.leaves.tolist() == reference.apply(features)[order].tolist()
    assert len(whole.parent) > 15


def test_deep_trees_are_walked_to_the_end_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(5)
    features = rng.normal(size=(3_000, 5)).astype(np.float32)
    # Cut at random places, noise gives a tree of all depths.
    grown = ExtraTreeRegressor(random_state=0, max_features=1).fit(features, rng.normal(size=3_000))
    tree = DonorTree.from_sklearn(grown.tree_)
    assert grown.tree_.max_depth > 16
    expected = grown.tree_.apply(features)
    for rows_at_once in (32_768, 777):
        monkeypatch.setattr(_chain_routing, "ROWS_AT_ONCE", rows_at_once)
        assert (tree.route(features) == expected).all()
        assert (tree.route(np.asfortranarray(features)) == expected).all()
    assert tree.route(features[:0]).tolist() == []


def test_splits_that_find_nothing_are_taken_back() -> None:
    tree, order, features, labels = some_tree(4000)
    assert tree.size[0] == 4000
    assert tree.route(features)[order].tolist() == tree.leaves.tolist()
    # The third feature pair decides only together: both are looked at; the fourth never is.
    inner = tree.children[:, 0] != np.arange(len(tree.parent))
    assert set(tree.feature[inner].tolist()) == {0, 1, 2}
    noise = np.random.default_rng(9).integers(0, 4, 4000)
    assert len(DonorTree.grow(features, noise, np.arange(4000), 15, seed=7)[0].parent) == 1
    whole = DonorTree.grow(features, labels, np.arange(4000), 15, 7, slack=None)[0]
    some = DonorTree.grow(features, labels, np.arange(4000), 15, 7, slack=1)[0]
    assert len(tree.parent) < len(some.parent) < len(whole.parent)


def test_each_node_holds_the_donors_below_it() -> None:
    tree = some_tree()[0]
    for node, (left, right) in enumerate(tree.children):
        if left != node:
            assert tree.parent[left] == tree.parent[right] == node
            assert tree.start[left] == tree.start[node]
            assert tree.start[right] == tree.start[node] + tree.size[left]
            assert tree.size[node] == tree.size[left] + tree.size[right]


def three_nodes() -> DonorTree:
    """A root with 30 donors, a left leaf with 10 and a right one with 20."""
    return DonorTree(
        feature=np.zeros(3, dtype=np.int32),
        threshold=np.array([0, np.inf, np.inf], dtype=np.float32),
        children=np.array([[1, 2], [1, 1], [2, 2]], dtype=np.int32),
        parent=np.zeros(3, dtype=np.int32),
        start=np.array([0, 0, 10]),
        size=np.array([30, 10, 20]),
    )


def test_back_off_leaves_with_the_shrinkage_weight() -> None:
    tree, n = three_nodes(), 40_000
    at = tree.back_off(np.full(n, 2, dtype=np.int32), 10.0, np.random.default_rng(0))
    assert set(at.tolist()) == {0, 2}
    # Weight 1 / (1 + 10 / 30) = 3 / 4 for the leaf itself.
    assert (at == 2).mean() == pytest.approx(0.75, abs=0.01)
    assert tree.back_off(at, 0.0, np.random.default_rng(0)) is at


def test_picks_are_even_in_a_node_and_follow_weights() -> None:
    tree, rng = three_nodes(), np.random.default_rng(0)
    even = tree.pick(np.full(20_000, 2, dtype=np.int32), rng)
    assert set(even.tolist()) == set(range(10, 30))
    weight = np.zeros(30)
    weight[[12, 13]] = [1, 3]
    heavy = tree.pick(np.full(20_000, 2, dtype=np.int32), rng, weight)
    assert set(heavy.tolist()) == {12, 13}
    assert (heavy == 13).mean() == pytest.approx(0.75, abs=0.015)
    # The left leaf has no donor that weighs anything: its parent gives one.
    assert set(tree.pick(np.full(100, 1, dtype=np.int32), rng, weight).tolist()) == {12, 13}


def test_draws_of_a_group_are_spread_evenly_over_it() -> None:
    order, drawn = evenly_spread(np.array([0, 5, 0, 5, 5]), np.random.default_rng(0))
    assert np.sort(order[:2]).tolist() == [0, 2]
    assert np.sort(order[2:]).tolist() == [1, 3, 4]
    assert (2 * drawn[:2]).astype(int).tolist() == [0, 1]
    assert (3 * drawn[2:]).astype(int).tolist() == [0, 1, 2]


def test_ties_are_found_most_frequent_first() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 10_000, (2, 200)).astype(float)
    target = rng.integers(1, 10_000, 200).astype(float)
    target[:80] = a[:80]
    target[80:130] = a[80:130] - b[80:130]
    matrix = np.column_stack([a, b, target])
    ties, tie = find_ties(matrix, target, [0, 1], np.ones(200, dtype=bool), 0)
    assert ties == (Tie(0), Tie(0, 1, -1))
    assert tie.tolist() == [0] * 80 + [1] * 50 + [-1] * 70


def test_a_shared_atom_is_no_tie_but_a_law_covers_atoms() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (2, 100)).astype(float)
    matrix = np.column_stack([a, b, a + b])
    none = np.zeros(100, dtype=bool)
    ties, tie = find_ties(matrix, a + b, [0, 1], none, 0)
    assert ties == (Tie(0, 1, 1),)
    assert tie.tolist() == [0] * 100
    broken = a + b
    broken[0] += 1
    assert find_ties(matrix, broken, [0, 1], none, 0)[0] == ()


def test_a_law_needs_twenty_rows() -> None:
    a = np.arange(19.0)
    assert find_ties(a[:, None], a, [0], np.zeros(19, dtype=bool), 0)[0] == ()
    a = np.arange(20.0)
    assert find_ties(a[:, None], a, [0], np.zeros(20, dtype=bool), 0)[0] == (Tie(0),)


def test_sums_without_a_grid_are_known_to_nine_digits() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 50))
    matrix = np.column_stack([a, b])
    every = np.ones(50, dtype=bool)
    assert find_ties(matrix, a + b + 1e-12, [0, 1], every, None)[0] == (Tie(0, 1, 1),)
    assert find_ties(matrix, a + b + 1e-6, [0, 1], every, None)[0] == ()


def test_slopes_of_two_leaves_by_hand() -> None:
    # Leaf 1: target = 3 parent exactly; leaf 2: nothing to do with it.
    x = np.concatenate([np.arange(10.0), np.arange(10.0)])
    target = np.concatenate([3 * np.arange(10.0), np.tile([1.0, -1.0], 5)])
    leaves = np.repeat([1, 2], 10).astype(np.int32)
    matrix = x[:, None]
    slopes = LeafSlopes.fit(matrix, target, np.ones(20, dtype=bool), leaves, 3, [0])
    assert slopes is not None
    # r² = 1 needs no shrinking; alternation explains r² = 0.03 < 0.15.
    assert slopes.slope.tolist() == pytest.approx([0, 3, 0])
    assert (slopes.low[1], slopes.high[1]) == (0, 27)
    assert slopes.rest[:10] == pytest.approx(np.zeros(10))
    # A donor 6 (parent 2) goes along to parent 4.5: 13.5; to parent 11 would leave the leaf.
    donors, at = np.array([2, 2, 12]), np.array([1, 1, 2], dtype=np.int32)
    new = np.array([[4.5], [11.0], [5.0]])
    drawn = slopes.shift(target[donors], target[donors], donors, at, new)
    assert drawn.tolist() == pytest.approx([13.5, 6.0, 1.0])


def test_slopes_are_shrunk_by_what_chance_explains() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=20)
    target = x + 0.8 * rng.normal(size=20)
    leaves = np.zeros(20, dtype=np.int32)
    slopes = LeafSlopes.fit(x[:, None], target, np.ones(20, dtype=bool), leaves, 1, [0])
    r2 = np.corrcoef(x, target)[0, 1] ** 2
    honest = 1 - (1 - r2) * 19 / (18 - 2 * np.log(2))
    plain = np.polyfit(x, target, 1)[0]
    assert slopes is not None
    assert slopes.slope[0] == pytest.approx(plain * honest / r2)
    assert 0.3 < honest / r2 < 1


def test_levels_are_ranked_by_what_they_say_of_the_label() -> None:
    # Level 0 and 2 go with label 0, level 1 and 3 with label 1: alike levels stand side by side.
    codes = np.repeat([0, 1, 2, 3], 50)
    labels = np.repeat([0, 1, 0, 1], 50)
    labels[[0, 50]] = 1, 0
    ranks = correspondence_ranks(codes, 4, labels)[:, 0]
    assert sorted(ranks.tolist()) == [0, 1, 2, 3]
    assert {
        frozenset(np.argsort(ranks)[:2].tolist()),
        frozenset(np.argsort(ranks)[2:].tolist()),
    } == {
        frozenset({0, 2}),
        frozenset({1, 3}),
    }


def test_guard_knows_single_rows_and_how_many_copies_are_usual() -> None:
    singles = np.arange(60.0)[:, None]
    pairs = np.repeat(np.arange(100.0, 120.0), 2)[:, None]
    real = np.vstack([singles, pairs])  # 100 rows, 20 combinations seen twice: expected 0.4
    every = real.copy()
    guard = CopyGuard.from_rows(real, lambda n: every[:n])
    assert len(guard.single) == 60
    # 60 of 100 drawn rows are copies of single ones: 0.4 / 0.6 of them may stay.
    assert guard.kept_fraction == pytest.approx(2 / 3)
    assert guard.copies(np.array([[5.0], [100.0], [500.0]])).tolist() == [True, False, False]
    strict = CopyGuard(guard.single, 0.0)
    made = strict.redraw(singles.copy(), lambda n: np.full((n, 1), 7.5), np.random.default_rng(0))
    assert np.all(made == 7.5)
    stubborn = strict.redraw(singles.copy(), lambda n: np.ones((n, 1)), np.random.default_rng(0))
    assert np.all(stubborn == 1)


def test_hashes_tell_rows_apart_but_not_zeros() -> None:
    rows = np.random.default_rng(0).integers(0, 4, (500, 3)).astype(float)
    hashes = row_hashes(rows)
    assert len(np.unique(hashes)) == len(np.unique(rows, axis=0))
    assert row_hashes(np.array([[-0.0, 1.0]])) == row_hashes(np.array([[0.0, 1.0]]))


def order_of(table: pa.Table, first: tuple[str, ...] = ()) -> list[str]:
    chain = ChainTable.from_dataset(Dataset.from_arrow(table))
    matrix = chain.encode(Dataset.from_arrow(table))
    distinct = [len(np.unique(column)) for column in matrix.T]
    order = draw_order(chain, distinct, first, 16)
    assert sorted(order) == list(range(len(chain.variables)))
    return [f"{chain.variables[v].name}.{chain.variables[v].part}" for v in order]


def test_order_named_then_coarse_then_fine() -> None:
    n = 60
    table = pa.table(
        {
            "fine": np.arange(n) / 3,
            "finer": np.append(np.arange(n - 1.0), 0.5) + 0.1,
            "gap": pa.array(np.arange(n) % 5, mask=np.arange(n) % 7 == 0),
            "label": np.array(["a", "b", "c"])[np.arange(n) % 3],
            "two": np.array(["y", "n"])[np.arange(n) % 2],
        }
    )
    coarse = ["gap.missing", "two.value", "label.value", "gap.value"]
    assert order_of(table) == [*coarse, "fine.value", "finer.value"]
    assert order_of(table, ("gap",))[:2] == ["gap.missing", "gap.value"]
    assert order_of(table, ("finer",))[0] == "finer.value"


def test_order_of_dates_that_hang_on_one_another() -> None:
    start = np.arange(60) * 36 * 3600
    stop = start + 3600 * (1 + np.arange(60) % 9)
    table = pa.table({n: pa.array(v * 10**6).cast(pa.timestamp("us")) for n, v in
                      (("start", start), ("stop", stop))})  # fmt: skip
    assert order_of(table, ("stop",)) == ["start.day", "start.time", "stop.day", "stop.time"]


def settings(**changed: float) -> LinkSettings:
    return LinkSettings(**{"min_leaf": 5, "min_leaf_labels": 5, "back_off": 0, "n_bins": 8,
                           "n_cells": 16, **changed})  # fmt: skip


def test_low_temperatures_leave_every_node_a_donor() -> None:
    rng = np.random.default_rng(0)
    matrix = np.column_stack([rng.normal(size=400), rng.integers(0, 30, 400)])
    variables = (Variable("x", 0, "value"), Variable("c", 1, "value", n_levels=30))
    for position in (0, 1):
        link = fit_link(matrix, variables, position, [1 - position], np.arange(400),
                        settings(temperature=0.01), 0)  # fmt: skip
        assert link.weight is not None
        assert link.weight.min() > 0
        allowed = np.zeros(400, dtype=bool)
        allowed[17] = True
        drawn = link.draw(matrix, rng, 0.0, allowed)
        assert len(drawn) == 400
        assert np.isfinite(drawn).all()


def _priced() -> NumberBins:
    # One bin from 1.00 to 1.99: 1.00 and 1.95 in 30 rows each, every other price in one.
    prices = np.concatenate([np.full(30, 1.00), np.full(30, 1.95), np.arange(101, 200) / 100])
    return NumberBins.from_values(np.concatenate([prices, np.zeros(2_000)]), 4, 0.01)


def test_values_that_rows_share_come_as_often_as_in_the_source() -> None:
    bins = _priced()
    column = np.repeat(bins.values, bins.counts)
    codes = np.tile(bins.codes(column[column > 0]), 100)

    moved = np.round(bins.round(bins.moved(codes, np.random.default_rng(0))), 2)

    # 158 or 159 rows of 159 lie in the bin; 1.95 has 31 of them, the single prices share the rest.
    assert np.mean(moved == 1.00) == pytest.approx(30 / 159, abs=0.012)
    assert np.mean(moved == 1.95) == pytest.approx(31 / 159, abs=0.012)
    assert np.mean(moved == 1.50) == pytest.approx(1 / 159, abs=0.004)


def test_numbers_from_elsewhere_are_laid_on_shared_values() -> None:
    bins = _priced()
    spread = np.linspace(1.0, 1.989, 15_901)

    laid = np.round(bins.snap_to_shared(spread), 2)

    assert np.mean(laid == 1.00) == pytest.approx(30 / 159, abs=0.012)
    assert np.mean(laid == 1.95) == pytest.approx(31 / 159, abs=0.012)
    assert laid.min() >= 1.0
    assert laid.max() <= 1.99


def test_numbers_that_no_rows_share_stay_where_they_are() -> None:
    column = np.random.default_rng(0).normal(size=500)
    bins = NumberBins.from_values(column, 10, None)
    spread = np.linspace(-2, 2, 50)
    assert bins.snap_to_shared(spread).tolist() == spread.tolist()
