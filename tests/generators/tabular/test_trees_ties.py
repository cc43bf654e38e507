"""Numbers laid upon real ones of the same rank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from scipy.stats import ks_2samp

from twinset.core.data.dataset import Dataset
from twinset.generators.tabular._fitted import pack, unpack
from twinset.generators.tabular._trees.chain import Chain, add_quantile_mapping
from twinset.generators.tabular._trees.table import NumberBins, QuantileMapping
from twinset.generators.tabular.trees import Trees


def test_a_rank_takes_the_real_number_there_by_hand() -> None:
    real = np.array([1.0, 1.0, 2.0, 3.0])
    bins = NumberBins.from_values(real, 256, 1.0)
    way = QuantileMapping.from_numbers(np.array([10.0, 20.0, 30.0, 40.0]), bins.codes(real))
    drawn = np.array([40.0, 10.0, 30.0, 20.0, 5.0, 99.0])
    laid = way.apply(drawn, bins, np.random.default_rng(0))
    assert laid.tolist() == [3, 1, 2, 1, 1, 3]


def test_equal_numbers_share_their_ranks_out() -> None:
    real = np.arange(10.0)
    bins = NumberBins.from_values(real, 256, 1.0)
    way = QuantileMapping.from_numbers(np.array([0.0] * 5 + [1.0] * 5), bins.codes(real))
    laid = way.apply(np.repeat([0.0, 1.0], 500), bins, np.random.default_rng(0))
    assert sorted(set(laid[:500])) == [0, 1, 2, 3, 4]
    assert sorted(set(laid[500:])) == [5, 6, 7, 8, 9]
    assert np.bincount(laid.astype(int)).min() > 60


def _rows(n: int, rng: np.random.Generator) -> Dataset:
    parent = rng.normal(size=n)
    price = np.round(np.exp(parent) * 10, 2)  # a third of the rows at round prices
    number = np.where(rng.random(n) < 0.3, 5.0 * np.round(price / 5), price)
    return Dataset.from_arrow(pa.table({"parent": parent, "number": number}))


def test_a_number_is_laid_where_parents_lead_it_astray() -> None:
    rows = _rows(6_000, np.random.default_rng(0))
    chain = Trees().fit(rows, np.random.default_rng(1))._chain
    number = next(i for i, v in enumerate(chain.table.variables) if v.name == "number")
    link = next(link for link in chain.links if link.position == number)
    assert link.view.parents == (1 - number,)
    real = chain.matrix[:, number]
    as_real = link.draw(chain.matrix, np.random.default_rng(2), 20.0)
    assert add_quantile_mapping(link, real, as_real).mapping is None

    astray = chain.matrix.copy()
    astray[:, 1 - number] += 0.3
    drawn = link.draw(astray, np.random.default_rng(2), 20.0)
    mended = add_quantile_mapping(link, real, drawn)
    assert mended.mapping is not None
    again = mended.draw(astray, np.random.default_rng(3), 20.0)
    assert ks_2samp(drawn, real).statistic > 0.05
    assert ks_2samp(again, real).statistic < 0.02
    assert np.isin(again, real).mean() > 0.5, "round prices stay round prices"

    links = tuple(mended if one is link else one for one in chain.links)
    changed = replace(chain, links=links)
    arrays: dict[str, np.ndarray] = {}
    loaded = unpack(Chain, pack(changed, "chain", arrays), arrays)
    first, second = (c.draw(500, np.random.default_rng(4)) for c in (changed, loaded))
    assert np.array_equal(first, second)
