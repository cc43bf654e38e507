"""Whether each column follows from the others, by the surprise of forests."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.evaluation.gap._labels import labeller
from twinset.evaluation.gap.conditionals import Conditionals, log_losses


def staff(n: int, seed: int) -> dict[str, np.ndarray]:
    """Pay follows age and grade, grade follows age; shoe follows nothing."""
    rng = rng_for(seed, "staff")
    age = rng.uniform(20, 60, n)
    grade = np.where(age + 8 * rng.normal(size=n) > 40, "senior", "junior")
    pay = 1000 + 20 * age + 300 * (grade == "senior") + 60 * rng.normal(size=n)
    return {"age": age, "grade": grade, "pay": pay, "shoe": rng.normal(42, 3, n)}


def table(columns: dict[str, np.ndarray]) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


def measured(synthetic: Dataset, reference: Dataset, rng: np.random.Generator):
    return Conditionals().compute(Comparison(reference, synthetic, reference), rng)


@pytest.mark.parametrize("name", ["age", "grade", "pay"])
def test_a_shuffled_column_surprises_most(name: str, rng: np.random.Generator) -> None:
    columns = staff(2000, 1)
    quiet = measured(table(columns), table(staff(2000, 2)), rng_for(0, "m"))
    columns[name] = rng_for(0, "shuffle").permutation(columns[name])
    found = measured(table(columns), table(staff(2000, 2)), rng_for(0, "m"))
    # Pay follows from each of the others, so it is as surprising once they no longer tell it.
    assert next(iter(found.details["log_losses"])) in {name, "pay"}
    assert found.value > 0.2 > 0.03 > quiet.value
    assert found.details["log_losses"]["shoe"] < 0.03


def test_rows_that_are_too_neat_differ_too() -> None:
    columns = staff(2000, 1)
    columns["pay"] = 1000 + 20 * columns["age"] + 300 * (columns["grade"] == "senior")
    found = measured(table(columns), table(staff(2000, 2)), rng_for(0, "m"))
    assert found.details["log_losses"]["pay"] > 0.1


def test_losses_are_not_said_to_be_distances() -> None:
    found = measured(table(staff(200, 1)), table(staff(200, 2)), rng_for(0, "m"))
    # Reports read "columns" as distances between 0 and 1.
    assert "columns" not in found.details
    assert set(found.details["log_losses"]) == set(staff(1, 1))


def test_flipped_labels_are_seen() -> None:
    columns = staff(4000, 1)
    flip = rng_for(0, "flip").random(4000) < 0.1
    other = np.where(columns["grade"] == "senior", "junior", "senior")
    columns["grade"] = np.where(flip, other, columns["grade"])
    found = measured(table(columns), table(staff(4000, 2)), rng_for(0, "m"))
    assert found.details["log_losses"]["grade"] > 0.05
    error = found.parts.replicates.std(axis=0)[found.parts.names.index("grade")]
    assert 0.005 < error < 0.05


def test_the_interval_is_as_wide_as_repeats_are() -> None:
    values, claimed = [], []
    for seed in range(25):
        found = measured(table(staff(600, 100 + seed)), table(staff(600, 2)), rng_for(seed, "m"))
        parts = found.parts
        at = parts.names.index("pay")
        values.append(parts.values[at])
        claimed.append(parts.replicates[:, at].std())
    assert np.std(values) < 1.6 * np.median(claimed)
    assert np.std(values) > 0.3 * np.median(claimed)


def test_a_loss_is_that_of_the_half_that_has_not_seen_the_row() -> None:
    """Labels are noise: forests of the row itself would forecast them better than others do."""
    x = rng_for(0, "x").normal(size=(400, 3)).astype(np.float32)
    y = rng_for(0, "y").integers(0, 2, 400)
    own, other = log_losses(x, y, 2, x, y, 0)
    assert own.mean() > other.mean() + 0.008  # of these, one of two forests has seen each row


def test_a_label_never_seen_costs_much_but_not_everything() -> None:
    x = np.zeros((40, 1), dtype=np.float32)
    y = np.zeros(40, dtype=np.int64)
    _, other = log_losses(x, y, 3, x[:1], np.array([2]), 0)
    # 2 % of the forecast are the shares, of which a label seen 0 times in 20 rows has 0.5 / 21.5.
    assert other == pytest.approx([-np.log(0.02 * 0.5 / 21.5)])


def test_labels_are_cut_by_the_real_rows() -> None:
    real = table({"x": np.arange(16.0), "c": np.array(list("aaaabbbccdefghij"))})
    made = Dataset.from_arrow(
        pa.table({"x": [-5.0, 1.0, 2.0, 99.0, None], "c": ["a", "j", "new", "b", None]})
    )
    assert labeller(real, "x")(made)[0].tolist() == [0, 0, 1, 7, 8]
    labels, n_labels = labeller(real, "c")(made)
    assert labels.tolist() == [0, 8, 8, 1, 9]
    assert n_labels == 10


def test_forests_are_shared_by_the_computes_of_one_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Comparison(*[table(staff(200, seed)) for seed in (0, 1, 2)])
    first = Conditionals().compute(given, rng_for(0, "m"))
    monkeypatch.setattr("sklearn.ensemble.ExtraTreesClassifier.fit", None)
    again = Conditionals().compute(replace(given, synthetic=given.train), rng_for(0, "m"))
    assert again.value != first.value


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"x": np.arange(100.0)}, "needs two"),
        ({"x": np.arange(20.0), "y": np.arange(20.0)}, "at least 40 rows"),
    ],
)
def test_too_little_to_measure(columns: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(NotMeasurable, match=words):
        measured(table(columns), table(columns), rng_for(0, "m"))
