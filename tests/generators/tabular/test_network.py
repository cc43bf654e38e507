"""The any-order network: what it learns, conditions, gaps, likelihoods, checkpoints."""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import TableEncoding
from twinset.core.data.schema import Field, Schema
from twinset.core.data.where import Where
from twinset.core.errors import DataError, FitError, MissingExtraError, ParameterError
from twinset.core.seeding import rng_for
from twinset.generators.tabular._network import model as _network_drawing
from twinset.generators.tabular._network.cells import ColumnCells, TableCells
from twinset.generators.tabular.network import Network
from twinset.io.checkpoint import write_checkpoint

torch = pytest.importorskip("torch")

QUICK = {"width": 48, "blocks": 2, "batch_rows": 128, "learning_rate": 5e-3}


def mixed(n: int = 2500, seed: int = 0) -> Dataset:
    """x and y rise together; the label, a whole number, a date and a gap depend on x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    table = pa.table(
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
            "one": np.full(n, "same"),
        }
    )
    return Dataset.from_arrow(table)


@pytest.fixture(scope="module")
def real() -> Dataset:
    return mixed()


@pytest.fixture(scope="module")
def fitted(real: Dataset):
    return Network(epochs=15, **QUICK).fit(real, rng_for(0, "fit"))


def cells_of(values: list, kind: str = "number") -> ColumnCells:
    data = Dataset.from_arrow(pa.table({"v": values}), Schema((Field(name="v", kind=kind),)))
    return ColumnCells.from_column(data, TableEncoding.from_dataset(data).columns[0], 64)


def test_repeated_numbers_have_cells_of_their_own() -> None:
    cells = cells_of([*[0.0] * 50, *np.linspace(1, 2, 50).tolist(), None])
    assert cells.has_missing
    assert cells.knots[0].tolist() == [0.0] * 9
    # 101 rows make 5 bins: the heap at 0 and one for each 20 of the others.
    assert cells.mass[0] == 50
    assert cells.mass[1:-1].min() >= 5
    # The lowest value of a cell reaches half of the gap to its nearer neighbour, not to the heap.
    assert cells.knots[1, 0] == pytest.approx(1 - 1 / 98)
    assert cells.knots[-1, -1] == 2.0


def test_a_draw_from_its_own_cell_codes_as_that_cell(real: Dataset) -> None:
    table = TableCells.from_dataset(real, 64)
    codes = table.encode(real)
    again = table.encode(table.decode(table.draw(codes, rng_for(0, "x")), codes))
    assert np.mean(again == codes) > 0.999
    assert (table.encode(mixed(50, seed=1)) >= 0).all()


def test_alphabetical_neighbours_share_a_token_and_cost_grows_as_the_root() -> None:
    often = np.random.default_rng(0).integers(0, 99, 20_000)
    texts = [f"L{i:05d}" for i in np.append(np.arange(20_000), often)]
    cells = cells_of(texts, "category")
    n_coarse, n_fine = cells.coarse.max() + 1, cells.fine.max() + 1
    assert len(cells.coarse) == 20_000
    assert n_coarse + n_fine < 128 + 3 * np.sqrt(20_000)
    assert len(set(zip(cells.coarse.tolist(), cells.fine.tolist(), strict=True))) == 20_000
    assert abs(cells.coarse[15_000] - cells.coarse[15_001]) <= 1


def test_hidden_cells_do_not_matter_and_visible_ones_do(fitted) -> None:
    """The promise that everything rests on: the network sees the visible cells alone."""
    net, weights = fitted.drawer.net, fitted.drawer.weights
    rng = np.random.default_rng(0)
    sizes = [len(cells.coarse) for cells in fitted.layout.cells]
    codes = torch.tensor(rng.integers(0, sizes, (64, len(sizes))))
    other = torch.tensor(rng.integers(0, sizes, (64, len(sizes))))
    visible = torch.tensor(rng.random((64, len(sizes))) < 0.5)
    first = net.hidden(weights, codes, visible)
    second = net.hidden(weights, torch.where(visible, codes, other), visible)
    assert torch.equal(first, second)
    assert not torch.allclose(first, net.hidden(weights, other, visible))


def test_inputs_add_up_column_by_column(fitted) -> None:
    net, weights = fitted.drawer.net, fitted.drawer.weights
    codes = torch.tensor(fitted.table.encode(mixed(40, seed=2))[:, fitted.layout.columns])
    visible = torch.zeros_like(codes, dtype=torch.bool)
    sums = net.inputs(weights, codes, visible)
    for p in range(fitted.layout.n_columns):
        sums = sums + net.input_of(weights, p, codes[:, p])
    assert torch.allclose(sums, net.inputs(weights, codes, ~visible), atol=1e-4)


def test_a_column_decided_by_two_others_is_learnt_in_every_direction() -> None:
    x = np.random.default_rng(0).integers(0, 2, (1500, 2)).astype(bool)
    table = pa.table({"a": x[:, 0], "b": x[:, 1], "differ": x[:, 0] ^ x[:, 1]})
    network = Network(epochs=40, **QUICK)
    fitted = network.fit(Dataset.from_arrow(table), rng_for(0, "fit"))
    for where in (None, {"differ": True}, {"b": False, "differ": True}):
        made = fitted.sample(600, rng_for(1, "draw"), Where.from_value(where))
        a, b, differ = (made.values(name) for name in ("a", "b", "differ"))
        assert np.mean((a != b) == differ) > 0.97
    assert np.mean(a) > 0.97


def test_probabilities_of_all_rows_sum_to_one() -> None:
    rng = np.random.default_rng(0)
    columns = {"a": rng.choice(["p", "q"], 300), "b": rng.choice(["r", "s", "t"], 300)}
    columns["n"] = rng.choice([1, 2, 5], 300)
    real = Dataset.from_arrow(pa.table(columns))
    fitted = Network(epochs=3, **QUICK).fit(real, rng_for(0, "fit"))
    rows = list(itertools.product("pq", "rst", [1, 2, 5]))
    every = pa.table({name: list(part) for name, part in zip("abn", zip(*rows), strict=True)})
    logs = fitted.log_likelihood(Dataset.from_arrow(every, real.schema))
    assert np.exp(logs).sum() == pytest.approx(1, abs=1e-5)
    strange = Dataset.from_arrow(pa.table({"a": ["z"], "b": ["r"], "n": [1]}), real.schema)
    assert fitted.log_likelihood(strange).tolist() == [-np.inf]


def test_real_rows_are_likelier_than_shuffled_ones(fitted) -> None:
    fresh = mixed(800, seed=5)
    rng = np.random.default_rng(0)
    names = fresh.schema.names
    parts = [fresh.take(rng.permutation(800)).records.column(name) for name in names]
    shuffled = Dataset(pa.table(parts, names=list(names)), fresh.schema)
    logs = fitted.log_likelihood(fresh)
    assert np.isfinite(logs).all()
    assert logs.mean() > fitted.log_likelihood(shuffled).mean() + 2


def test_answering_once_for_equal_rows_changes_nothing(fitted, monkeypatch) -> None:
    fresh = mixed(300, seed=3)
    shared = fitted.log_likelihood(fresh)
    monkeypatch.setattr(_network_drawing, "_SHARING_LIMIT", 0.0)
    assert fitted.log_likelihood(fresh) == pytest.approx(shared, abs=1e-3)


def test_margins_and_dependence_come_back(real: Dataset, fitted) -> None:
    made = fitted.sample(4000, rng_for(2, "draw"))
    from scipy.stats import ks_2samp

    for name in ("x", "y", "count", "when"):
        assert ks_2samp(real.values(name), made.values(name)).statistic < 0.05, name
    found, wanted = (np.corrcoef(d.values("x"), d.values("y"))[0, 1] for d in (made, real))
    assert found == pytest.approx(wanted, abs=0.05)
    for data in (real, made):
        assert np.mean(data.values("x")[data.is_null("gap")] > 0.5) > 0.95
    assert np.array_equal(np.round(made.values("y"), 2), made.values("y"))
    assert not np.any(made.values("when") % 86_400e6)
    assert not np.isin(made.values("x"), real.values("x")).any()


@pytest.mark.parametrize(
    "where",
    [
        {"label": "yes"},
        {"x": {"ge": 0.5, "lt": 0.51}},
        {"y": 0.25},
        {"gap": None},
        {"gap": {"not": None}, "label": "no", "count": [1, 3]},
        {"x": {"gt": 2}, "when": {"ge": "1970-07-25"}, "y": {"lt": 2.5}},
        {"label": {"not": "no"}, "gap": {"not": {"ge": 10}}},
        {"when": {"le": "1970-07-20"}, "flag": True, "one": "same"},
        {},
    ],
)
def test_conditions_are_met_exactly(fitted, where: dict) -> None:
    for n in (0, 1, 300):
        made = fitted.sample(n, rng_for(3, "draw"), Where(where))
        assert len(made) == n
        assert made.mask(Where(where)).all()


def random_conditions(real: Dataset, rng: np.random.Generator) -> dict:
    """Draw conditions of any form, on one to four columns, that some real row meets."""
    row = real.take([int(rng.integers(len(real)))]).records.to_pylist()[0]
    found: dict = {}
    for name in rng.permutation(real.schema.names)[: rng.integers(1, 5)].tolist():
        value, kind = row[name], real.schema[name].kind
        if value is None:
            found[name] = None
        elif kind in ("category", "boolean"):
            found[name] = [value, [value, "none such"], {"not": None}][rng.integers(3)]
            found[name] = value if kind == "boolean" else found[name]
        else:
            forms = [value, {"ge": value}, {"le": value}, {"not": {"gt": value}}, [value]]
            found[name] = forms[rng.integers(5)]
    return found


def test_random_condition_sets_are_met_exactly(real: Dataset, fitted) -> None:
    rng = np.random.default_rng(11)
    for _ in range(60):
        where = Where(random_conditions(real, rng))
        made = fitted.sample(12, rng, where)
        assert len(made) == 12
        assert made.mask(where).all(), where


def test_two_open_conditions_are_weighed_together(real: Dataset, fitted) -> None:
    """Drawn one after the other, x > 0 alone would miss that y > 1.5 asks for a large x."""
    where = Where({"x": {"gt": 0}, "y": {"gt": 1.5}})
    made = fitted.sample(3000, rng_for(4, "draw"), where)
    wanted = mixed(40_000, seed=9).where(where).values("x").mean()
    assert real.where(Where({"x": {"gt": 0}})).values("x").mean() < wanted - 0.4
    assert made.values("x").mean() == pytest.approx(wanted, abs=0.2)


def test_impossible_conditions_name_the_column(fitted) -> None:
    for name, condition in (("y", {"lt": -99}), ("label", "no such"), ("one", None)):
        with pytest.raises(ParameterError, match=f"'{name}'"):
            fitted.sample(5, rng_for(0, "draw"), Where({name: condition}))


def holes(data: Dataset, names: tuple[str, ...], seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    records = data.records
    for name in names:
        gone = rng.random(len(data)) < 0.4
        old = records.column(name).combine_chunks()
        new = old.take(pa.array(np.arange(len(data)), mask=gone))
        records = records.set_column(records.schema.get_field_index(name), name, new)
    return Dataset(records, data.schema, data.card)


def test_gaps_are_filled_better_than_by_median_and_mode(real: Dataset, fitted) -> None:
    true = mixed(1500, seed=7)
    given = holes(true, ("x", "y", "label", "when"))
    filled = fitted.complete(given, rng_for(0, "fill"), most_likely=True)
    for name in ("x", "y", "when"):
        gone = given.is_null(name)
        error = np.abs(filled.values(name) - true.values(name))[gone].mean()
        plain = np.abs(np.median(real.values(name)) - true.values(name))[gone].mean()
        assert error < 0.65 * plain, name
        assert np.array_equal(filled.values(name)[~gone], true.values(name)[~gone])
    gone = given.is_null("label")
    labels = [np.array(d.records.column("label").to_pylist())[gone] for d in (filled, true)]
    assert np.mean(labels[0] != labels[1]) < 0.7 * np.mean(labels[1] == "yes")
    assert not filled.is_null("gap").any()
    drawn = fitted.complete(given, rng_for(0, "fill"))
    # Draws keep the spread that likeliest values lose.
    gone = given.is_null("y")
    spread = [d.values("y")[gone].std() for d in (drawn, true, filled)]
    assert spread[0] == pytest.approx(spread[1], rel=0.1)
    assert spread[2] < spread[0]


def test_a_checkpoint_gives_the_same_bytes_in_a_fresh_process(fitted, tmp_path: Path) -> None:
    write_checkpoint(tmp_path, *fitted.to_arrays(resumable=False))
    code = f"""
from pathlib import Path
from twinset.core.seeding import rng_for
from twinset.core.data.where import Where
from twinset.generators.tabular.network import Network
from twinset.io.checkpoint import read_checkpoint
fitted = Network().from_arrays(*read_checkpoint(Path({str(tmp_path)!r})))
print(fitted.sample(50, rng_for(8, "draw"), Where({{"x": {{"gt": 0}}}})).digest)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    made = fitted.sample(50, rng_for(8, "draw"), Where({"x": {"gt": 0}}))
    assert said.stdout.strip() == made.digest


def test_training_goes_on_as_if_it_had_never_stopped() -> None:
    real = mixed(400)
    whole = Network(epochs=4, **QUICK).fit(real, rng_for(0, "fit"))
    begun = Network(epochs=4, max_seconds=0.0, **QUICK).fit(real, rng_for(0, "fit"))
    assert (len(whole.losses), len(begun.losses)) == (4, 1)
    arrays, meta = begun.to_arrays()
    again = Network().from_arrays(arrays, json.loads(json.dumps(meta)))
    resumed = Network(epochs=4, **QUICK).fit(real, rng_for(1, "other"), resume=again)
    assert resumed.losses == whole.losses
    assert resumed.sample(40, rng_for(0, "d")).digest == whole.sample(40, rng_for(0, "d")).digest
    assert begun.sample(40, rng_for(0, "d")).digest != whole.sample(40, rng_for(0, "d")).digest


def test_what_cannot_be_gone_on_with_is_refused(fitted) -> None:
    arrays, meta = fitted.to_arrays(resumable=False)
    bare = Network().from_arrays(arrays, meta)
    with pytest.raises(FitError, match="without the state"):
        Network().fit(mixed(100), rng_for(0, "x"), resume=bare)
    with pytest.raises(FitError, match="other columns"):
        Network().fit(mixed(100).select(["x", "y"]), rng_for(0, "x"), resume=fitted)
    with pytest.raises(DataError, match="no checkpoint"):
        Network().from_arrays(arrays, {**meta, "format": 99})
    with pytest.raises(DataError, match="do not fit"):
        Network().from_arrays({**arrays, "network/best": np.zeros(3)}, meta)


def test_training_stops_when_held_out_rows_say_so() -> None:
    noise = np.random.default_rng(0).integers(0, 30, (300, 6)).astype(str)
    real = Dataset.from_arrow(pa.table({f"c{j}": noise[:, j] for j in range(6)}))
    fitted = Network(epochs=500, patience=3, **QUICK).fit(real, rng_for(0, "fit"))
    assert len(fitted.losses) < 100
    assert fitted.state.best_epoch == len(fitted.losses) - 3


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    real, found, before = mixed(300), [], torch.get_num_threads()
    try:
        for n in (1, 3):
            torch.set_num_threads(n)
            fitted = Network(epochs=2, **QUICK).fit(real, rng_for(0, "fit"))
            found.append(fitted.sample(100, rng_for(0, "draw")).digest)
            assert torch.get_num_threads() == n
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_many_levels_cost_little_and_stay_legal() -> None:
    rng = np.random.default_rng(0)
    codes = np.minimum((20_000 * rng.random(6000) ** 3).astype(int), 19_999)
    table = pa.table({"code": [f"K{c:05d}" for c in codes], "early": codes < 2000})
    fields = (Field(name="code", kind="category"), Field(name="early", kind="boolean"))
    real = Dataset.from_arrow(table, Schema(fields))
    fitted = Network(epochs=6, **QUICK).fit(real, rng_for(0, "fit"))
    assert fitted.state.best.size < 300_000
    made = fitted.sample(500, rng_for(0, "draw"))
    assert set(made.codes("code")[1]) <= set(real.codes("code")[1])
    early = np.array([int(code[1:]) < 2000 for code in made.records.column("code").to_pylist()])
    assert np.mean(early == (made.values("early") == 1)) > 0.9
    name = table["code"][17].as_py()
    only = fitted.sample(3, rng_for(0, "draw"), Where({"code": name}))
    assert only.records.column("code").to_pylist() == [name] * 3


def test_small_and_wide_tables_work() -> None:
    rng = np.random.default_rng(0)
    base = rng.normal(size=(60, 1))
    wide = {f"n{j}": (base + rng.normal(size=(60, 120)))[:, j] for j in range(120)}
    wide["empty"] = pa.nulls(60, pa.float64())
    wide["label"] = np.where(base[:, 0] > 0, "up", "down")
    real = Dataset.from_arrow(pa.table(wide))
    fitted = Network(epochs=2, **QUICK).fit(real, rng_for(0, "fit"))
    made = fitted.sample(30, rng_for(0, "draw"), Where({"label": "up", "n5": {"gt": 0}}))
    assert len(made) == 30
    assert made.is_null("empty").all()


def test_settings_outside_their_ranges_and_too_few_rows_are_refused() -> None:
    for wrong in ({"epochs": 0}, {"width": 4}, {"learning_rate": 0.0}, {"max_seconds": -1.0}):
        with pytest.raises(ParameterError):
            Network(**wrong)
    with pytest.raises(ParameterError, match="device"):
        Network(device="tpu")
    with pytest.raises(FitError, match="so few rows"):
        Network().fit(mixed(9), rng_for(0, "fit"))


def test_a_missing_torch_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"twinset\[torch\]"):
        Network().fit(mixed(50), rng_for(0, "fit"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no graphics card here")
def test_a_graphics_card_learns_the_same_table(real: Dataset, fitted) -> None:
    on_card = Network(epochs=15, device="cuda", **QUICK).fit(real, rng_for(0, "fit"))
    assert min(on_card.losses) == pytest.approx(min(fitted.losses), abs=0.3)
    where = Where({"x": {"gt": 0}, "label": "yes"})
    made = on_card.sample(200, rng_for(0, "draw"), where)
    assert made.mask(where).all()
    assert made.digest == on_card.sample(200, rng_for(0, "draw"), where).digest


ADULT = [
    "age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation",
    "relationship", "race", "sex", "capital-gain", "capital-loss", "hours-per-week",
    "native-country", "income",
]  # fmt: skip


@pytest.mark.slow
def test_adult_margins_and_gaps(shared_data: Path) -> None:
    with gzip.open(shared_data / "tabular" / "adult" / "adult.data.gz") as file:
        options = pa.csv.ReadOptions(column_names=ADULT)
        adult = Dataset.from_arrow(pa.csv.read_csv(file, read_options=options))
    rows = np.random.default_rng(0).permutation(len(adult))
    train, fresh = adult.take(rows[:5_000]), adult.take(rows[10_000:12_000])
    fitted = Network(epochs=10, width=96).fit(train, rng_for(0, "fit"))
    made = fitted.sample(5_000, rng_for(0, "draw"))
    for name in ("education", "occupation", "income", "sex"):
        shares = []
        for data in (train, made):
            labels, counts = np.unique(data.records.column(name).to_pylist(), return_counts=True)
            shares.append(dict(zip(labels.tolist(), counts / 5_000, strict=True)))
        gap = sum(abs(shares[0][k] - shares[1].get(k, 0.0)) for k in shares[0]) / 2
        assert gap < 0.06, name
    given = holes(fresh, ("age", "education-num", "relationship", "income"))
    filled = fitted.complete(given, rng_for(0, "fill"), most_likely=True)
    for name in ("relationship", "income"):
        gone = given.is_null(name)
        true, own = (np.array(d.records.column(name).to_pylist())[gone] for d in (fresh, filled))
        commonest = np.unique(train.records.column(name).to_pylist(), return_counts=True)
        mode = commonest[0][commonest[1].argmax()]
        assert np.mean(own != true) < 0.8 * np.mean(mode != true), name
    gone = given.is_null("education-num")
    error = np.abs(filled.values("education-num") - fresh.values("education-num"))[gone].mean()
    plain = np.abs(10 - fresh.values("education-num"))[gone].mean()
    assert error < 0.1 * plain
