"""The conditional GAN: states, layout, batches, losses, margins, conditions, checkpoints."""

import gzip
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import FitError, MissingExtraError, ParameterError, SchemaError
from twinset.core.seeding import rng_for
from twinset.generators.tabular._gan.layout import StateTable
from twinset.generators.tabular.gan import Gan

INSTALLED = importlib.util.find_spec("torch") is not None
needs_torch = pytest.mark.skipif(not INSTALLED, reason="the extra 'torch' is not installed")
QUICK = {"steps": 60, "width": 32, "noise": 8, "batch_rows": 100}


def mixed(n: int = 400) -> Dataset:
    """A label, an amount that goes with it, a heap at 0, a number that is sometimes missing, a day."""
    rng = np.random.default_rng(0)
    label = rng.random(n) < 0.3
    amount = np.round(np.exp(rng.normal(size=n) + label), 2)
    heap = np.where(rng.random(n) < 0.6, 0.0, rng.normal(size=n) + 5)
    colour = rng.choice(["red", "green", "blue"], n, p=[0.6, 0.3, 0.1])
    table = pa.table(
        {
            "label": pa.array(np.where(label, "yes", "no")),
            "amount": amount,
            "heap": heap,
            "gap": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.25),
            "colour": pa.array(colour, mask=rng.random(n) < 0.1),
            "ok": rng.random(n) < 0.5,
            "day": pa.array(rng.integers(0, 900, n) * 86_400_000_000).cast(pa.timestamp("us")),
            "one": ["same"] * n,
        }
    )
    real = Dataset.from_arrow(table)
    return real.with_schema(real.schema.with_target("label"))


def shares(data: Dataset, name: str) -> dict[str, float]:
    codes, levels = data.codes(name)
    counts = np.bincount(codes + 1, minlength=len(levels) + 1) / len(codes)
    return dict(zip(("", *levels), counts, strict=True))


def test_settings_and_sizes_are_checked() -> None:
    with pytest.raises(ParameterError, match="steps"):
        Gan(steps=0)
    with pytest.raises(ParameterError, match="pack"):
        Gan(pack=0)
    with pytest.raises(ParameterError, match="auto, cpu, cuda"):
        Gan(device="tpu")
    with pytest.raises(FitError, match="9 rows"):
        Gan().fit(mixed(9), rng_for(0))


@pytest.mark.skipif(INSTALLED, reason="the extra 'torch' is installed")
def test_the_extra_is_named() -> None:
    with pytest.raises(MissingExtraError, match=r"twinset\[torch\]"):
        Gan().fit(mixed(), rng_for(0))


def test_few_numbers_are_states_of_their_own() -> None:
    table, matrix = StateTable.from_dataset(
        Dataset.from_arrow(pa.table({"x": [3.0, 1.0, None, 3.0, 1.0, 1.0]})),
        n_modes=10,
        max_levels=9,
    )
    column = table.columns[0]
    assert column.atoms.tolist() == [1.0, 3.0]
    assert (column.n_intervals, column.other, column.missing, column.n_states) == (0, None, 2, 3)
    states, positions = table.encode(matrix, rng_for(0))
    assert states[:, 0].tolist() == [1, 0, 2, 1, 0, 0]
    assert not positions.any()
    # 1 holds the lower three fifths of the ranks from -1 to 1, 3 the rest.
    centres, halves = column.centres(np.array([3, 2, 1]))
    assert centres.tolist() == pytest.approx([-0.4, 0.6, 0.0])
    assert halves.tolist() == [0.0, 0.0, 0.0]


def test_ties_are_atoms_and_intervals_are_even() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([np.zeros(600), rng.exponential(size=400)])
    table, matrix = StateTable.from_dataset(
        Dataset.from_arrow(pa.table({"x": x})), n_modes=10, max_levels=9
    )
    column = table.columns[0]
    assert column.atoms.tolist() == [0.0]
    assert column.n_intervals == 10
    states, positions = table.encode(matrix, rng_for(0))
    counts = np.bincount(states[:, 0])
    assert counts.tolist() == [600, *[40] * 10]
    inside = positions[states[:, 0] == 4, 0]
    assert np.sort(inside) == pytest.approx(2 * (np.arange(40) + 0.5) / 40 - 1)
    order = np.argsort(x[600:])
    assert np.all(np.diff(states[600:, 0][order]) >= 0)
    centres, halves = column.centres(counts)
    assert centres[0] == pytest.approx(-0.4)  # 0 is the smallest number and holds 60 %
    assert np.all(np.diff(centres) > 0)
    assert halves[1:] == pytest.approx(0.04)


def test_rare_levels_share_a_state() -> None:
    labels = ["a"] * 5 + ["b"] * 4 + ["c"] * 2 + ["d"]
    table, matrix = StateTable.from_dataset(
        Dataset.from_arrow(pa.table({"c": labels})), n_modes=10, max_levels=2
    )
    column = table.columns[0]
    assert column.other == 2
    assert table.encode(matrix, rng_for(0))[0][:, 0].tolist() == [0] * 5 + [1] * 4 + [2] * 3
    assert column.rest.tolist() == [[2.0, 3.0], [pytest.approx(2 / 3), 1.0]]


@needs_torch
def test_layout_works_span_by_span() -> None:
    import torch

    from twinset.generators.tabular._gan.layout import SlotLayout

    table, _ = StateTable.from_dataset(mixed(), n_modes=5, max_levels=9)
    layout = SlotLayout.from_table(table)
    assert [table.columns[i].column.field.name for i in layout.spans][:2] == ["label", "ok"]
    assert 7 not in layout.spans  # the column "one"
    assert list(layout.widths) == sorted(layout.widths)
    scores = torch.randn(6, layout.n_slots, generator=torch.Generator().manual_seed(0))
    soft, chosen = layout.softmax(scores), layout.choose(scores)
    for s, (start, width) in enumerate(zip(layout.starts, layout.widths, strict=True)):
        part = scores[:, start : start + width]
        assert torch.allclose(soft[:, start : start + width], torch.softmax(part, 1))
        assert torch.equal(chosen[:, s], part.argmax(1) + int(start))


@needs_torch
def test_batches_have_the_asked_state_and_moments_are_their_means() -> None:
    import torch

    real = real_rows(mixed())
    random = torch.Generator().manual_seed(0)
    asked, rows = real.batch(40_000, random)
    assert torch.all(rows.gather(1, asked[:, None]) == 1)
    found = torch.bincount(asked, minlength=len(real.chances)) / len(asked)
    assert torch.allclose(found.double(), real.chances, atol=0.01)
    assert float(real.chances.sum()) == pytest.approx(1)
    # Labels "no" and "yes" of the first span: by the logarithm of their counts.
    first = torch.log1p(real.counts[:2].double())
    assert torch.allclose(real.chances[:2], first / first.sum() / len(real.slots[0]))
    brute = rows.T @ rows / len(rows)
    assert torch.allclose(real.moments(), brute, atol=0.03)
    assert torch.allclose(real.mean_squares(), real.moments().diagonal(), atol=1e-5)


@needs_torch
def test_generated_rows_are_one_hot_and_hold_the_condition() -> None:
    import torch

    from twinset.generators.tabular._gan.networks import new_generator
    from twinset.generators.tabular.gan import draw_rows

    real = real_rows(mixed())
    features, random = real.features, torch.Generator().manual_seed(0)
    layout = features.layout
    weights = new_generator(4, 16, layout.n_slots, len(features.interval_slots), random)
    slots, _ = real.batch(50, random)
    options = Gan(noise=4)
    rows = draw_rows(weights, features, slots, options, random)
    assert torch.all(rows.gather(1, slots[:, None]) == 1)
    for start, width in zip(layout.starts, layout.widths, strict=True):
        own = rows[:, start : start + width]
        assert torch.allclose(own.sum(1), torch.ones(50))
        assert torch.all((own - own.round()).abs() < 1e-6)
    assert not rows[:, : layout.n_slots][:, ~features.used].any()
    assert torch.all(rows[:, layout.n_slots :].abs() <= 1)


@needs_torch
def test_gradient_penalty_of_a_linear_critic() -> None:
    """A critic with slope 3 everywhere pays (3 - 1)^2 times the weight."""
    import torch

    from twinset.generators.tabular import gan as _gan_training

    rows = torch.randn(8, 1, generator=torch.Generator().manual_seed(0))
    slots = torch.zeros(8, dtype=torch.int64)
    # leaky_relu is linear on positive numbers: shift far up, keep the slope.
    critic = {
        "condition": torch.zeros(1, 1),
        "w0": torch.full((1, 1), 3.0),
        "b0": torch.full((1,), 100.0),
        "w1": torch.ones(1, 1),
        "b1": torch.zeros(1),
        "w2": torch.ones(1, 1),
        "b2": torch.zeros(1),
        "w3": torch.ones(1, 1),
    }
    random = torch.Generator().manual_seed(0)
    loss = _gan_training.critic_loss(critic, rows, rows + 1, slots, 1, 10.0, random)
    assert loss.item() == pytest.approx(3.0 + 10.0 * 4.0, rel=1e-4)
    plain = _gan_training.critic_loss(critic, rows, rows + 1, slots, 1, 0.0, random)
    assert plain.item() == pytest.approx(3.0, rel=1e-4)


@needs_torch
@pytest.mark.parametrize("max_features", [1024, 6], ids=["all features", "some at a time"])
def test_moment_distance_is_unbiased_and_sees_dependence(
    max_features: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from twinset.generators.tabular import gan as _gan_training

    monkeypatch.setattr(_gan_training, "_MAX_FEATURES", max_features)
    x = np.random.default_rng(0).random(4000) < 0.5
    real = real_rows(Dataset.from_arrow(pa.table({"a": x, "b": x, "c": x})))
    match = _gan_training.PairMoments(real)
    random = torch.Generator().manual_seed(0)
    found = []
    for mix in (False, True):
        distances = []
        for _ in range(200):
            _, rows = real.batch(200, random)
            _, other = real.batch(200, random)
            made = torch.cat([other[:, :4], rows[:, 4:]], 1) if mix else other
            distances.append(match.distance(made, rows, random).item())
        error = np.std(distances) / np.sqrt(len(distances))
        found.append((np.mean(distances), error))
    assert abs(found[0][0]) < 4 * found[0][1]
    # Two columns against one: 16 cells are off by a quarter, weighed by 1 / sqrt(share) twice.
    expected = 16 * 0.25**2 / 0.5
    assert found[1][0] == pytest.approx(expected, abs=4 * found[1][1] + 0.02)


@needs_torch
def test_settled_normalisation_gives_the_same_rows() -> None:
    import torch

    from twinset.generators.tabular._gan.networks import (
        fix_normalization,
        generate_scores,
        new_generator,
    )

    random = torch.Generator().manual_seed(0)
    weights = new_generator(4, 16, 10, 3, random)
    noise, slots = (
        torch.randn(500, 4, generator=random),
        torch.randint(10, (500,), generator=random),
    )
    fixed = fix_normalization(weights, noise, slots)
    assert torch.allclose(
        generate_scores(fixed, noise, slots), generate_scores(weights, noise, slots), atol=1e-4
    )
    assert torch.allclose(
        generate_scores(fixed, noise[:1], slots[:1]), generate_scores(weights, noise, slots)[:1]
    )


@needs_torch
def test_margins_are_those_of_the_source_even_without_training() -> None:
    real = mixed(2000)
    made = Gan(steps=1, width=32, noise=8).fit(real, rng_for(0)).sample(4000, rng_for(1))
    for name in ("label", "colour", "ok"):
        for level, share in shares(real, name).items():
            assert shares(made, name)[level] == pytest.approx(share, abs=0.03), (name, level)
    assert np.mean(made.values("heap") == 0) == pytest.approx(0.6, abs=0.03)
    assert np.mean(made.is_null("gap")) == pytest.approx(np.mean(real.is_null("gap")), abs=0.03)
    for q in (0.1, 0.5, 0.9):
        wanted, found = (np.quantile(d.values("amount"), q) for d in (real, made))
        assert found == pytest.approx(wanted, rel=0.15)
    assert not np.any(made.values("day") % 86_400e6)
    assert np.array_equal(np.round(made.values("amount"), 2), made.values("amount"))
    gap = made.values("gap")
    assert not np.isin(gap[~np.isnan(gap)], real.values("gap")).any()


@needs_torch
def test_dependence_is_learnt() -> None:
    rng = np.random.default_rng(0)
    kind = rng.choice(["a", "b", "c"], 1500)
    x = np.where(kind == "a", -3.0, np.where(kind == "b", 0.0, 3.0)) + rng.normal(size=1500)
    real = Dataset.from_arrow(
        pa.table(
            {"kind": kind, "twin": np.char.add(kind, "2"), "x": x, "y": x + rng.normal(size=1500)}
        )
    )
    made = (
        Gan(steps=250, width=48, noise=8, batch_rows=200)
        .fit(real, rng_for(0))
        .sample(2000, rng_for(1))
    )
    assert np.mean(made.codes("kind")[0] == made.codes("twin")[0]) > 0.9
    by_kind = [made.values("x")[made.codes("kind")[0] == k].mean() for k in range(3)]
    assert by_kind == pytest.approx([-3, 0, 3], abs=0.5)
    wanted, found = (np.corrcoef(d.values("x"), d.values("y"))[0, 1] for d in (real, made))
    assert found > wanted - 0.2


@needs_torch
def test_what_no_pair_of_columns_shows_is_learnt_by_the_predictor() -> None:
    """Of an exclusive or, any two columns are independent."""
    a, b = np.random.default_rng(0).random((2, 1000)) < 0.5
    real = Dataset.from_arrow(pa.table({"a": a, "b": b, "y": a ^ b}))
    real = real.with_schema(real.schema.with_target("y"))
    right = []
    for downstream in (0.0, 3.0):
        gan = Gan(steps=150, width=32, noise=8, batch_rows=200, downstream=downstream)
        made = gan.fit(real, rng_for(0)).sample(2000, rng_for(1))
        a_, b_, y = (made.values(name) == 1 for name in "aby")
        right.append(np.mean((a_ ^ b_) == y))
    assert right[1] > 0.75
    assert right[1] > right[0] + 0.1


@pytest.fixture(scope="module")
def fitted():  # type: ignore[no-untyped-def]
    if not INSTALLED:
        pytest.skip("the extra 'torch' is not installed")
    return Gan(**QUICK, max_levels=2).fit(mixed(), rng_for(0, "fit"))


@pytest.mark.parametrize(
    "where",
    [
        {"label": "yes"},
        {"colour": "blue"},  # beyond max_levels: inside the shared state
        {"colour": None, "ok": True},
        {"heap": 0, "label": ["no", "maybe"]},
        {"heap": {"gt": 6.0}, "amount": {"ge": 5.0}, "gap": {"not": None}},
        {"amount": {"ge": 1.0, "lt": 1.05}},
        {"amount": 2.34},
        {"gap": {"gt": 0.0, "lt": 0.001}, "label": "yes", "colour": {"not": "red"}},
        {"day": {"ge": "1971-01-01", "lt": "1971-01-03"}},
        {"one": "same"},
        {},
    ],
    ids=str,
)
def test_conditions_are_met_exactly(fitted, where: dict) -> None:  # type: ignore[no-untyped-def]
    for n in (0, 1, 150):
        made = fitted.sample(n, rng_for(0, "draw"), Where(where))
        assert len(made) == n
        assert made.mask(Where(where)).all()
    assert made.digest == fitted.sample(n, rng_for(0, "draw"), Where(where)).digest


def test_impossible_conditions_name_the_column(fitted) -> None:  # type: ignore[no-untyped-def]
    for where, error in (
        ({"label": "maybe"}, ParameterError),
        ({"amount": {"lt": 0}}, ParameterError),
        ({"one": {"not": "same"}}, ParameterError),
        ({"label": None}, ParameterError),
        ({"nothing": 1}, SchemaError),
        ({"amount": "dear"}, SchemaError),
    ):
        with pytest.raises(error, match=next(iter(where))):
            fitted.sample(5, rng_for(0), Where(where))


def test_a_checkpoint_gives_the_same_rows(fitted) -> None:  # type: ignore[no-untyped-def]
    arrays, meta = fitted.to_arrays()
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    loaded = np.load(file, allow_pickle=False)
    again = type(fitted).from_arrays(
        {name: loaded[name] for name in loaded.files}, json.loads(json.dumps(meta)), device="cpu"
    )
    assert again.schema == fitted.schema
    assert again.sample(99, rng_for(3)).digest == fitted.sample(99, rng_for(3)).digest
    where = Where({"colour": "blue", "amount": {"gt": 2}})
    assert again.sample(9, rng_for(3), where).digest == fitted.sample(9, rng_for(3), where).digest


@needs_torch
def test_progress_is_reported_and_threads_are_given_back() -> None:
    import torch

    told: list[tuple[str, int, int]] = []
    before = torch.get_num_threads()
    settings = {**QUICK, "steps": 25}
    Gan(**settings).fit(mixed(60), rng_for(0), lambda *step: told.append(step))
    assert told[-1] == ("train", 25, 25)
    assert torch.get_num_threads() == before


@needs_torch
def test_two_rows_of_a_kind_and_many_columns() -> None:
    rng = np.random.default_rng(0)
    wide = Dataset.from_arrow(
        pa.table(
            {f"x{i}": rng.normal(size=20) for i in range(40)} | {"flag": [True] * 19 + [False]}
        )
    )
    made = (
        Gan(steps=3, width=16, noise=4, batch_rows=20).fit(wide, rng_for(0)).sample(30, rng_for(0))
    )
    assert made.schema == wide.schema
    assert len(made) == 30


@needs_torch
def test_a_graphics_card_gives_what_the_processor_gives() -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("torch sees no graphics card")
    real = mixed(2000)
    for device in ("cpu", "cuda"):
        made = Gan(steps=200, device=device).fit(real, rng_for(0)).sample(4000, rng_for(1))
        yes = made.codes("label")[0] == 1
        assert np.median(made.values("amount")[yes]) > 1.5 * np.median(made.values("amount")[~yes])


def real_rows(data: Dataset):  # type: ignore[no-untyped-def]
    from twinset.generators.tabular._gan.layout import RealRows, SlotLayout, StateFeatures

    table, matrix = StateTable.from_dataset(data, n_modes=5, max_levels=9)
    layout = SlotLayout.from_table(table)
    states, positions = table.encode(matrix, rng_for(0))
    slots = states[:, list(layout.spans)] + layout.starts
    counts = np.bincount(slots.ravel(), minlength=layout.n_slots)
    features = StateFeatures.from_layout(layout, layout.rank_weights(table, counts), "cpu")
    return RealRows(features, slots, positions[:, [layout.spans[i] for i in layout.numbers]])


@needs_torch
@pytest.mark.slow
def test_adult_is_learnt_better_than_independent_columns(shared_data: Path) -> None:
    packed = (shared_data / "tabular/adult/adult.data.gz").read_bytes()
    lines = gzip.decompress(packed).decode().replace(", ", ",").split("\n")[:5_000]
    names = "age work weight school years marital job relation race sex gain loss hours land income"
    table = pa.csv.read_csv(
        pa.BufferReader("\n".join(lines).encode()),
        pa.csv.ReadOptions(column_names=names.split()),
    )
    real = Dataset.from_arrow(table)
    real = real.with_schema(real.schema.with_target("income"))
    made = Gan(steps=110).fit(real, rng_for(0)).sample(5_000, rng_for(1))
    for first, second in (("relation", "sex"), ("marital", "income")):
        joint = [_joint(data, first, second) for data in (real, made)]
        alone = np.outer(joint[0].sum(1), joint[0].sum(0))
        wanted = np.abs(joint[0] - alone).sum() / 2
        assert wanted > 0.1
        assert np.abs(joint[0] - joint[1]).sum() / 2 < 0.5 * wanted
    assert np.mean(made.values("gain") == 0) == pytest.approx(
        np.mean(real.values("gain") == 0), abs=0.01
    )


def _joint(data: Dataset, first: str, second: str) -> np.ndarray:
    codes, other = data.codes(first)[0], data.codes(second)[0]
    table = np.zeros((codes.max() + 1, other.max() + 1))
    np.add.at(table, (codes, other), 1 / len(data))
    return table
