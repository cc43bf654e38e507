import numpy as np
import pyarrow as pa
import pytest

from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field, Schema
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.text_labels import TextLabels
from twinset.measurement.harness import measure
from twinset.registry import default_metrics

SCHEMA = Schema((Field(name="said", kind="text"), Field(name="about", kind="category")))
WORDS = {"rain": ["wet", "cloud", "umbrella"], "song": ["band", "tune", "drum"]}


def sentences(n: int, seed: int, flipped: float = 0.0) -> Dataset:
    """Draw three words about rain or songs and one about nothing; some labels are flipped."""
    rng = rng_for(seed, "text labels")
    about = np.array(["rain", "song"])[rng.integers(0, 2, n)]
    said = [" ".join([*rng.choice(WORDS[label], 3), f"x{rng.integers(50)}"]) for label in about]
    wrong = rng.random(n) < flipped
    label = np.where(wrong, np.where(about == "rain", "song", "rain"), about)
    return Dataset.from_arrow(pa.table({"said": said, "about": label}), SCHEMA)


def test_the_share_of_labels_that_look_drawn_at_random_is_found(rng) -> None:
    train = sentences(1500, 1)
    for flipped in (0.0, 0.05, 0.2):
        told = Comparison(train, sentences(3000, 2, flipped), train)
        found = TextLabels(replicates=20).compute(told, rng)
        # A label drawn at random is right half of the time: twice as many stray as are flipped.
        assert found.value == pytest.approx(2 * flipped, abs=0.02)
        assert found.components.names == ("about",)


def test_flipped_labels_are_different_and_fresh_ones_are_not() -> None:
    def verdict(flipped: float) -> str:
        (score,) = measure(
            train=sentences(1500, 1),
            synthetic=sentences(1500, 2, flipped),
            holdout=sentences(3000, 3),
            metrics=[("gap.text_labels", TextLabels())],
            target="about",
        )
        return score.verdict

    assert verdict(0.03) == "different"
    assert verdict(0.0) == "as good as real"


def test_labels_that_real_texts_lack_stray_and_missing_ones_do_not(rng) -> None:
    train, made = sentences(400, 1), sentences(400, 2)
    texts, labels = made.to_arrow().column("said"), made.to_arrow().column("about").to_pylist()

    def value(change: object) -> float:
        some = [change if i % 4 == 0 else label for i, label in enumerate(labels)]
        rows = Dataset.from_arrow(pa.table({"said": texts, "about": pa.array(some)}), SCHEMA)
        return TextLabels(replicates=2).compute(Comparison(train, rows, train), rng).value

    assert value("other") > 0.2
    assert value(None) < 0.02


def test_what_it_needs_is_said(rng) -> None:
    rows = sentences(60, 1)
    with pytest.raises(NotMeasurable, match="no label beside the texts"):
        TextLabels().compute(Comparison(*[rows.select(["said"])] * 3), rng)
    with pytest.raises(NotMeasurable, match="at least 50 texts"):
        TextLabels().compute(Comparison(*[rows.slice(0, 20)] * 3), rng)


def test_it_is_measured_where_there_are_texts_only() -> None:
    names = [name for name, _ in default_metrics({"category", "number"})]
    assert "gap.text_labels" not in names
    assert "utility.entity_labelling" not in names
    assert "gap.text_labels" in [name for name, _ in default_metrics({"category", "text"})]


def test_a_column_of_keys_is_no_label(rng) -> None:
    train, made = sentences(90, 1), sentences(400, 2)
    schema = Schema((*SCHEMA.fields, Field(name="key", kind="category")))

    def keyed(rows: Dataset) -> Dataset:
        keys = [f"k{i % 30}" if i % 3 else None for i in range(len(rows))]
        return Dataset.from_arrow(rows.to_arrow().append_column("key", pa.array(keys)), schema)

    found = TextLabels(replicates=2, max_levels=50).compute(
        Comparison(keyed(train), keyed(made), keyed(train)), rng
    )
    assert found.components.names == ("about",)
