"""Borderline-SMOTE: rows in danger, by hand and against scikit-learn."""

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FewRowsWarning, FitError, ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.minority._engine import borderline_rows
from twinset.generators.minority.borderline import Borderline


def labelled(table: pa.Table) -> Dataset:
    real = Dataset.from_arrow(table)
    return real.with_schema(real.schema.with_target("y"))


def two_clusters(rows: int, rare: int, *, seed: int = 0, distance: float = 2.0) -> pa.Table:
    """Return two overlapping clusters that six hidden numbers make."""
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=(6, 12))
    hidden = rng.normal(size=(rows, 6))
    hidden[:rare] = 0.6 * hidden[:rare] + np.eye(6)[0] * distance
    x = hidden @ mix + 0.5 * rng.normal(size=(rows, 12))
    columns = {f"x{i}": x[:, i] for i in range(12)}
    columns["c"] = np.array(["p", "q", "r"])[rng.integers(0, 3, rows)]
    columns["y"] = np.where(np.arange(rows) < rare, "rare", "many")
    order = rng.permutation(rows)
    return pa.table({name: values[order] for name, values in columns.items()})


def seeds(real: Dataset, n: int = 4000, **settings) -> set[int]:
    fitted = Borderline(**settings).fit(real, rng_for(0))
    return set(fitted.draw(n, rng_for(1), Where({"y": "rare"}))[1][:, 0].tolist())


def test_by_hand() -> None:
    """On a line, three neighbours each: 0 and 1 safe (one other), 4 in danger, 9 noise."""
    x = [0.0, 0.4, 0.9, 1.5, 4.0, 4.5, 5.25, 9.0, 8.5, 9.25, 9.75]
    y = ["rare"] * 5 + ["many"] * 2 + ["rare"] + ["many"] * 3
    real = labelled(pa.table({"x": x, "y": y}))
    assert seeds(real, k_neighbors=2, m_neighbors=3) == {4}


def test_as_scikit_learn_says() -> None:
    from sklearn.neighbors import NearestNeighbors

    table = two_clusters(3000, 150)
    is_rare = np.array(table["y"].to_pylist()) == "rare"
    x = np.column_stack([table[f"x{i}"].to_numpy() for i in range(12)])
    x = x / x[is_rare].std(axis=0)
    label = np.column_stack([np.array(table["c"].to_pylist()) == v for v in "pqr"]) / np.sqrt(2)
    points = np.hstack([x, label])
    near = NearestNeighbors(n_neighbors=11).fit(points).kneighbors(points[is_rare])[1][:, 1:]
    n_others = (~is_rare[near]).sum(axis=1)
    danger = np.flatnonzero(is_rare)[(n_others >= 5) & (n_others < 10)]
    assert 20 < len(danger) < 130
    assert seeds(labelled(table)) == set(danger.tolist())


@pytest.mark.parametrize("distance", [2.0, 3.0])
def test_near_regions_find_nearly_all_in_danger(
    distance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = labelled(two_clusters(30_000, 400, distance=distance))
    exact, sampled = seeds(real), seeds(real, danger="sampled")
    assert len(exact & sampled) >= 0.95 * len(exact)
    assert len(exact & sampled) >= 0.95 * len(sampled)
    order = np.random.default_rng(0).permutation(len(real))
    again = seeds(real.take(order), danger="sampled")
    assert {int(order[i]) for i in again} == sampled, "the order of rows matters"
    searched, improve = [], borderline_rows.Search._improve
    monkeypatch.setattr(
        borderline_rows.Search,
        "_improve",
        lambda self, tile, at, own: (
            searched.append(len(tile.right) * len(at)),
            improve(self, tile, at, own),
        ),
    )
    seeds(real, n=1, danger="sampled")
    assert sum(searched) < 0.5 * 400 * len(real)


def test_where_space_has_no_regions_all_rows_are_looked_at() -> None:
    """Thirty independent numbers: no share of the regions holds enough neighbours."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24_000, 30))
    x[:150] = 0.7 * x[:150] + 0.3
    columns = {f"x{i}": x[:, i] for i in range(30)}
    columns["y"] = np.where(np.arange(24_000) < 150, "rare", "many")
    real = labelled(pa.table(columns))
    assert seeds(real, danger="sampled") == seeds(real)


def test_a_class_that_lies_apart_is_said_and_made_all_the_same() -> None:
    table = pa.table(
        {"x": [0.0, 0.5, 0.25, *np.arange(90.0, 120.0)], "y": ["rare"] * 3 + ["m"] * 30}
    )
    with pytest.warns(FewRowsWarning, match="no row of a class is in danger"):
        assert seeds(labelled(table), k_neighbors=2, m_neighbors=2) == {0, 1, 2}


def test_each_class_at_its_share_and_missing_labels_are_a_class() -> None:
    table = two_clusters(600, 120)
    real = labelled(table.set_column(13, "y", pa.array(table["y"].to_pylist()[:-60] + [None] * 60)))
    made = Borderline().fit(real, rng_for(0)).sample(1000, rng_for(1))
    missing = made.is_null("y").sum()
    rare = (made.codes("y")[0] == 1).sum()
    assert missing == pytest.approx(100, abs=2)
    assert rare / 1000 == pytest.approx((real.codes("y")[0] == 1).mean(), abs=0.003)


def test_refusals() -> None:
    one = pa.table({"x": [0.5, 1.0, 1.5], "y": ["rare"] * 3})
    with pytest.raises(FitError, match="rows of one only"):
        Borderline().fit(labelled(one), rng_for(0))
    with pytest.raises(FitError, match="a label; got no target"):
        Borderline().fit(Dataset.from_arrow(one), rng_for(0))
    for wrong in ({"m_neighbors": 0}, {"k_neighbors": 0}, {"danger": "some"}, {"labels": "own"}):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            Borderline(**wrong)
