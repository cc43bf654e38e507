"""Rows in disguise and fingerprints, in tables that are drawn here."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.disclosure import DisguisedRows, Fingerprints
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.partial_copies import PartialCopies

N = 600
Columns = dict[str, np.ndarray]


def patients(n: int, seed: int) -> Columns:
    """Draw rows of four numbers and four categories, linked by age."""
    rng = rng_for(seed, "patients")
    age = rng.integers(18, 90, n)
    return {
        "age": age,
        "height": np.rint(rng.normal(170, 10, n)).astype(int),
        "pressure": np.rint(90 + 0.6 * age + rng.normal(0, 12, n)).astype(int),
        "glucose": np.rint(80 + 0.2 * age + rng.gamma(2, 12, n)).astype(int),
        "sex": rng.choice(["Male", "Female"], n),
        "town": rng.choice(["Bern", "Lyon", "Graz", "Pisa", "Cork", "Vigo"], n),
        "blood": rng.choice(["0", "A", "B", "AB"], n, p=[0.4, 0.4, 0.13, 0.07]),
        "smoker": rng.choice(["yes", "no"], n, p=[0.3, 0.7]),
    }


def read(columns: Columns) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


def measure(candidate: Columns, n_unseen: int = N, seed: int = 0) -> Measurement:
    train, unseen = patients(N, 100 + seed), patients(n_unseen, 200 + seed)
    sets = Comparison(train=read(train), synthetic=read(candidate), reference=read(unseen))
    return PartialCopies().compute(sets, rng_for(seed, "metric"))


def fresh(seed: int = 0) -> Columns:
    return patients(N, 300 + seed)


def with_copies(k: int, seed: int = 0, change: tuple[str, ...] = ()) -> Columns:
    """Return fresh rows of which the first k are train rows, with these columns fresh."""
    train, made = patients(N, 100 + seed), fresh(seed)
    for name in made:
        if name not in change:
            made[name][:k] = train[name][:k]
    return made


@pytest.mark.parametrize("seed", range(4))
def test_fresh_rows_are_no_copies(seed: int) -> None:
    found = measure(fresh(seed), seed=seed)
    assert found.value == 0
    assert not len(found.replicates)
    finding = found.finding(DisguisedRows)
    assert finding is not None
    assert finding.found_nothing


@pytest.mark.parametrize("change", [("age",), ("glucose", "town"), ("sex", "blood")])
def test_copies_with_changed_columns_are_counted(change: tuple[str, ...]) -> None:
    found = measure(with_copies(60, change=change))
    finding = found.finding(DisguisedRows)
    assert finding is not None
    assert finding.interval is not None
    assert finding.interval[0] < 0.1 < finding.interval[1]
    assert 30 < finding.n_people < 90
    assert found.value >= 0.05


def test_copies_with_every_number_moved_are_found_in_their_group() -> None:
    train, made = patients(N, 100), fresh()
    rows = np.flatnonzero(train["town"] == "Pisa")
    for name in made:
        moved = 2 if train[name].dtype.kind == "i" else None
        made[name][: len(rows)] = train[name][rows] + moved if moved else train[name][rows]
    finding = measure(made).finding(DisguisedRows)
    assert finding is not None
    assert finding.n_people > len(rows) / 2
    assert finding.group in ("", "town = Pisa")


def rescaled(columns: Columns) -> Columns:
    return columns | {name: columns[name] * 1000 for name in ("height", "glucose", "pressure")}


def recoded(columns: Columns) -> Columns:
    truth = np.where(columns["smoker"] == "yes", "1", "0")
    towns = np.char.upper(columns["town"])
    return columns | {
        "sex": np.char.lower(columns["sex"].astype("U1")),
        "smoker": truth,
        "town": towns,
    }


def renamed(columns: Columns) -> Columns:
    """Return levels under new names, numbers after a monotone map."""
    names = {"0": "zero", "A": "first", "B": "second", "AB": "both"}
    blood = np.array([names[level] for level in columns["blood"]])
    return columns | {
        "blood": blood,
        "age": np.exp(columns["age"] / 30),
        "height": -columns["height"],
    }


@pytest.mark.parametrize("disguise", [rescaled, recoded, renamed])
def test_a_new_unit_or_coding_hides_no_copy(disguise) -> None:
    assert measure(disguise(patients(N, 100))).value > 0.8
    assert measure(disguise(fresh())).value == 0


def test_three_columns_of_one_person_are_a_fingerprint() -> None:
    train, made = patients(N, 100), fresh()
    for name in ("height", "pressure", "glucose"):
        made[name] = train[name]
    finding = measure(made).finding(Fingerprints)
    assert finding is not None
    assert set(finding.columns) == {"height", "pressure", "glucose"}
    assert finding.n_people > 0.8 * N
    assert finding.n_unseen_matched < 0.1 * N


def test_a_small_holdout_shows_nothing_and_a_later_one_cannot() -> None:
    found = measure(fresh(), n_unseen=12)
    assert (found.value, len(found.replicates)) == (0, 2)  # the verdict is "cannot tell"
    older = patients(N, 200)
    older["age"] = older["age"] + 60
    sets = Comparison(train=read(patients(N, 100)), synthetic=read(fresh()), reference=read(older))
    with pytest.raises(NotMeasurable, match="differ in age"):
        PartialCopies().compute(sets, rng_for(0, "metric"))


def test_sizes_of_the_sets_are_adjusted() -> None:
    assert measure(fresh(), n_unseen=200).value == 0
    assert measure(with_copies(90, change=("town",)), n_unseen=200).value > 0.08


def test_several_rows_of_one_person_are_one_person() -> None:
    parts = [patients(200, seed) for seed in (100, 200)]
    train, unseen = ({name: np.repeat(v, 3) for name, v in part.items()} for part in parts)
    made = {name: np.append(v[:150], patients(450, 300)[name]) for name, v in train.items()}
    made["age"] = made["age"] + 1
    sets = []
    for i, part in enumerate((train, unseen)):
        who = np.repeat([f"p{i}{k}" for k in range(200)], 3)
        found = Dataset.from_arrow(pa.table({**part, "who": pa.array(who).dictionary_encode()}))
        group = replace(found.schema["who"], role="group")
        sets.append(replace(found, schema=found.schema.with_field(group)))
    candidate = Dataset.from_arrow(pa.table({**made, "who": pa.array(["x"] * N)}), sets[0].schema)
    found = PartialCopies().compute(
        Comparison(train=sets[0], synthetic=candidate, reference=sets[1]), rng_for(0, "metric")
    )
    finding = found.finding(DisguisedRows)
    assert finding is not None
    assert finding.n_train == 200
    assert 35 < finding.n_people <= 60
