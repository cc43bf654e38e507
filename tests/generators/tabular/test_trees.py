"""The chain of trees: what it learns, its knobs, gaps filled, checkpoints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import DataError, FitError, ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.tabular._trees.refinement import CopyGuard
from twinset.generators.tabular.trees import Trees
from twinset.io.checkpoint import read_checkpoint, write_checkpoint


def mixed(n: int = 2000, seed: int = 0) -> Dataset:
    """x and y rise together; the label, a whole number, a date and a gap depend on x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    return Dataset.from_arrow(
        pa.table(
            {
                "x": x,
                "y": np.round(x + 0.5 * rng.normal(size=n), 2),
                "count": rng.poisson(np.exp(0.5 * x) + 1),
                "label": np.where(x + 0.3 * rng.normal(size=n) > 1, "yes", "no"),
                "gap": pa.array(10 + rng.normal(size=n), mask=x > 0.8),
                "when": pa.array((86_400e6 * (200 + np.floor(10 * x))).astype("int64")).cast(
                    pa.timestamp("us")
                ),
                "flag": rng.random(n) < 0.3,
            }
        )
    )


@pytest.fixture(scope="module")
def real() -> Dataset:
    return mixed()


@pytest.fixture(scope="module")
def fitted(real: Dataset):
    return Trees().fit(real, rng_for(0, "fit"))


def labels(data: Dataset, name: str) -> np.ndarray:
    return np.array(data.records.column(name).to_pylist(), dtype=object)


def test_shapes_and_dependence_are_kept(real: Dataset, fitted) -> None:
    made = fitted.sample(6000, rng_for(0, "draw"))
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    for name in ("x", "y", "count"):
        far = np.quantile(made.values(name), levels) - np.quantile(real.values(name), levels)
        assert np.abs(far).max() < 0.2
    pairs = [np.corrcoef(d.values("x"), d.values("y"))[0, 1] for d in (real, made)]
    assert pairs[1] == pytest.approx(pairs[0], abs=0.03)
    means = [d.values("x")[labels(d, "label") == "yes"].mean() for d in (real, made)]
    assert means[1] == pytest.approx(means[0], abs=0.12)
    assert made.is_null("gap").mean() == pytest.approx(real.is_null("gap").mean(), abs=0.03)


def test_the_same_stream_gives_the_same_bytes_in_any_thread(real: Dataset, fitted) -> None:
    again = Trees().fit(real, rng_for(0, "fit"))
    wheres = [None, Where({"label": "yes"}), Where({"y": {"ge": 1}}), Where({"gap": None})] * 3
    alone = [fitted.sample(200, rng_for(0, "draw"), where).records for where in wheres]
    with ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda where: again.sample(200, rng_for(0, "draw"), where), wheres)
        assert all(one.equals(other.records) for one, other in zip(alone, made, strict=True))


def test_temperature_varies_entropy() -> None:
    rng = np.random.default_rng(0)
    real = Dataset.from_arrow(
        pa.table({"c": rng.choice(["a", "b", "c"], 2000, p=[0.7, 0.25, 0.05]),
                  "x": rng.normal(size=2000)})
    )  # fmt: skip
    entropies = []
    for temperature in (0.3, 1.0, 3.0):
        fitted = Trees(temperature=temperature).fit(real, rng_for(0, "fit"))
        made = labels(fitted.sample(4000, rng_for(0, "draw")), "c")
        share = np.array([(made == level).mean() for level in "abc"])
        entropies.append(-(share * np.log(np.maximum(share, 1e-9))).sum())
        # One leaf: shares are raised to the power 1 / temperature.
        expected = np.array([0.7, 0.25, 0.05]) ** (1 / temperature)
        assert share == pytest.approx(expected / expected.sum(), abs=0.05)
    assert entropies[0] < entropies[1] < entropies[2]


def test_rare_levels_are_never_drawn() -> None:
    rng = np.random.default_rng(0)
    kind = np.array(["a", "b", "rare"])[np.append(rng.integers(0, 2, 996), [2] * 4)]
    real = Dataset.from_arrow(
        pa.table({"kind": kind, "x": rng.normal(size=1000),
                  "gap": pa.array(kind, mask=rng.random(1000) < 0.1)})
    )  # fmt: skip
    for private in (False, True):
        fitted = Trees(min_repeats=5, private=private).fit(real, rng_for(0, "fit"))
        for where in (None, Where({"x": {"ge": 0}}), Where({"kind": ["a", "rare"]}),
                      Where({"kind": {"not": "a"}})):  # fmt: skip
            made = fitted.sample(3000, rng_for(0, "draw"), where)
            assert "rare" not in set(labels(made, "kind")) | set(labels(made, "gap"))
        with pytest.raises(ParameterError, match="no row with"):
            fitted.sample(3, rng_for(0, "draw"), Where({"kind": "rare"}))
        gone = real.slice(0, 1000).records.set_column(0, "kind", pa.nulls(1000, pa.string()))
        filled = fitted.complete(
            Dataset(gone, real.schema, real.card).with_schema(real.schema), rng_for(0, "fill")
        )
        assert "rare" not in set(labels(filled, "kind"))
    assert "rare" in set(labels(Trees().fit(real, rng_for(0, "fit")).sample(3000, rng_for(0, "d")),
                                "kind"))  # fmt: skip


def test_every_level_too_rare_is_an_error() -> None:
    few = Dataset.from_arrow(pa.table({"c": ["a", "b", "c"], "x": [1.0, 2.0, 3.0]}))
    with pytest.raises(FitError, match="too rare"):
        Trees(min_repeats=2).fit(few, rng_for(0, "fit"))


def test_shares_are_hit_also_under_conditions(real: Dataset) -> None:
    shares = {"label": {"yes": 0.5, "no": 0.5}, "flag": {"true": 0.8, "false": 0.2}}
    fitted = Trees(shares=shares).fit(real, rng_for(0, "fit"))
    n = 4000
    for where in (None, Where({"y": {"ge": 0.5}})):
        made = fitted.sample(n, rng_for(0, "draw"), where)
        assert len(made) == n
        assert where is None or made.mask(where).all()
        for name, level, share in (("label", "yes", 0.5), ("flag", True, 0.8)):
            error = 4 * np.sqrt(share * (1 - share) / n)
            assert (labels(made, name) == level).mean() == pytest.approx(share, abs=error)
    asked = fitted.sample(500, rng_for(0, "draw"), Where({"label": "no"}))
    assert set(labels(asked, "label")) == {"no"}
    meant = [d.values("x")[labels(d, "label") == "yes"].mean() for d in (made, real.where(where))]
    assert meant[0] == pytest.approx(meant[1], abs=0.2)


def test_wrong_settings_name_their_range(real: Dataset) -> None:
    for shares, message in (
        ({"x": {"1": 1.0}}, "no levels"),
        ({"label": {"yes": 0.5, "no": 0.6}}, "no shares"),
        ({"label": {"maybe": 1.0}}, "no row with"),
    ):
        with pytest.raises(ParameterError, match=message):
            Trees(shares=shares).fit(real, rng_for(0, "fit"))
    for name, value in (
        ("min_leaf", -1), ("n_bins", 1), ("temperature", 0.0), ("temperature", float("nan")),
        ("back_off", -1), ("max_rows", 1), ("min_repeats", -1),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=f"'{name}' is out of its range"):
            Trees(**{name: value})


def test_pinned_ranges_hold_the_extremes(real: Dataset) -> None:
    made = Trees(pin_range=True).fit(real, rng_for(0, "fit")).sample(50, rng_for(0, "draw"))
    for name in ("x", "y", "count", "gap"):
        own, other = real.values(name), made.values(name)
        assert np.nanmin(other) == np.nanmin(own)
        assert np.nanmax(other) == np.nanmax(own)


@pytest.fixture(scope="module")
def private(real: Dataset):
    return Trees(private=True).fit(real, rng_for(0, "fit"))


def test_a_private_chain_holds_no_real_row(real: Dataset, fitted, private) -> None:
    open_chain = fitted.to_arrays()[0]
    arrays, meta = private.to_arrays()
    rows = {row.tobytes() for row in open_chain["chain/matrix"]}
    assert len(rows) == len(real)
    assert not any(row.tobytes() in rows for row in arrays["chain/matrix"])
    assert all(not len(v) for k, v in arrays.items() if k.endswith("/rows"))
    # No array lists a column's values in the order of the rows, as a tree of one leaf would.
    for position, column in enumerate(open_chain["chain/matrix"].T):
        for name, array in arrays.items():
            if name.endswith(("donors", "rest")) and len(array) == len(column) > 1:
                link = name.split("/")[2]
                values = arrays.get(f"chain/links/{link}/bins/values")
                if name.endswith("donors") and values is not None:
                    array = values[array]
                assert len(np.unique(column)) < 50 or (array == column).mean() < 0.05, position
    for where in (None, Where({"label": "yes", "y": {"ge": 1}}), Where({"gap": None})):
        made = private.sample(300, rng_for(0, "draw"), where)
        assert where is None or made.mask(where).all()
    pairs = [np.corrcoef(d.values("x"), d.values("y"))[0, 1]
             for d in (real, private.sample(4000, rng_for(0, "draw")))]  # fmt: skip
    assert pairs[1] == pytest.approx(pairs[0], abs=0.04)
    assert meta["private"]


def walks(n: int, steps: int, stay: float, seed: int) -> Dataset:
    """Levels that mostly repeat the column before: all are frequent, whole rows are not."""
    rng = np.random.default_rng(seed)
    columns = {"c0": rng.integers(0, 5, n)}
    for i in range(1, steps):
        columns[f"c{i}"] = np.where(
            rng.random(n) < stay, columns[f"c{i - 1}"], rng.integers(0, 5, n)
        )
    return Dataset.from_arrow(pa.table(columns))


def copies(data: Dataset, of: Dataset) -> float:
    """Return the share of rows that equal a row of `of` that occurs once."""
    known = Counter(tuple(row.values()) for row in of.records.to_pylist())
    return float(np.mean([known[tuple(row.values())] == 1 for row in data.records.to_pylist()]))


def guarded(real: Dataset, fresh: Dataset) -> tuple[float, float]:
    """Return the share of copies before and after the guard, of a generator that copies one in five."""
    rng = np.random.default_rng(0)
    known, unseen = (
        np.column_stack([d.values(name) for name in d.schema.names]).astype(float)
        for d in (real, fresh)
    )

    def draw(n: int) -> np.ndarray:
        rows = unseen[rng.integers(0, len(unseen), n)]
        copied = np.flatnonzero(rng.random(n) < 0.2)
        rows[copied] = known[rng.integers(0, len(known), len(copied))]
        return rows

    guard = CopyGuard.from_rows(known, draw)
    made = draw(3000)
    before = guard.copies(made).mean()
    return float(before), float(guard.copies(guard.redraw(made, draw, rng)).mean())


@pytest.fixture(scope="module")
def guarded_walks():
    return Trees(min_leaf_labels=10).fit(walks(800, 9, 0.6, 0), rng_for(0, "fit"))


def test_copies_of_individuals_are_as_rare_as_among_fresh_rows(guarded_walks) -> None:
    real, fresh = walks(800, 9, 0.6, 0), walks(8000, 9, 0.6, 1)
    usual = copies(fresh, real)
    made = guarded_walks.sample(3000, rng_for(0, "draw"))
    assert copies(made, real) == pytest.approx(usual, abs=0.03)
    before, after = guarded(real, fresh)
    assert before > usual + 0.04
    assert after == pytest.approx(usual, abs=0.03)


def test_no_copies_where_fresh_rows_are_none() -> None:
    real, fresh = walks(800, 16, 0.5, 0), walks(3000, 16, 0.5, 1)
    assert copies(fresh, real) < 0.01
    made = Trees(min_leaf_labels=3).fit(real, rng_for(0, "fit")).sample(3000, rng_for(0, "draw"))
    assert copies(made, real) == 0
    before, after = guarded(real, fresh)
    assert before > 0.01
    assert after == 0


def test_without_the_guard_copies_stay(guarded_walks) -> None:
    real = walks(800, 9, 0.6, 0)
    settings = {"min_leaf_labels": 10, "guard_copies": False}
    fitted = Trees(**settings).fit(real, rng_for(0, "fit"))
    loose, made = (f.sample(3000, rng_for(0, "draw")) for f in (fitted, guarded_walks))
    assert copies(loose, real) > copies(made, real)


SCRIPT = """
import json, sys
from pathlib import Path
from twinset.core.seeding import rng_for
from twinset.core.data.where import Where
from twinset.generators.tabular.trees import Trees
from twinset.io.checkpoint import read_checkpoint
wheres, *folders = sys.argv[1:]
for folder in folders:
    fitted = Trees().from_arrays(*read_checkpoint(Path(folder)))
    made = [fitted.sample(100, rng_for(0, "draw"), Where.from_value(w)) for w in json.loads(wheres)]
    made.append(fitted.complete(made[1], rng_for(0, "fill")))
    print(json.dumps([str(data.records.to_pylist()) for data in made]))
"""


def test_a_checkpoint_gives_the_same_bytes_elsewhere(
    tmp_path: Path, real: Dataset, fitted, private
) -> None:
    wheres = [None, {"gap": None}, {"y": {"ge": 1}, "flag": True}, {"when": {"ge": "1970-08-01"}}]
    shares = {"label": {"yes": 0.3, "no": 0.7}}
    expected, folders = [], []
    hot = Trees(temperature=2.0, min_leaf=40, shares=shares).fit(real, rng_for(0, "fit"))
    for one in (fitted, private, hot):
        made = [one.sample(100, rng_for(0, "draw"), Where.from_value(w)) for w in wheres]
        made.append(one.complete(made[1], rng_for(0, "fill")))
        expected.append([str(data.records.to_pylist()) for data in made])
        folders.append(str(tmp_path / str(len(folders))))
        write_checkpoint(Path(folders[-1]), *one.to_arrays())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(wheres), *folders],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected


def test_checkpoints_of_others_are_refused(tmp_path: Path, fitted) -> None:
    arrays, meta = fitted.to_arrays()
    write_checkpoint(tmp_path, arrays, meta | {"component": "tabular.network"})
    with pytest.raises(DataError, match=r"no checkpoint of tabular\.trees"):
        Trees().from_arrays(*read_checkpoint(tmp_path))
    with pytest.raises(DataError, match=r"no checkpoint of tabular\.trees"):
        Trees().from_arrays(arrays, meta | {"format": 99})
