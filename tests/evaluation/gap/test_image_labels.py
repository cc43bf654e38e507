import pyarrow as pa
import pytest

from tests.core.features.test_embedders import pictures
from twinset.core.contracts import NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.seeding import rng_for
from twinset.evaluation.gap.image_labels import ImageLabels

pytest.importorskip("cv2")


def with_flips(data: Dataset, every: int) -> Dataset:
    labels = ["small", "large"] * (len(data) // 2)
    for i in range(0, len(data), every):
        labels[i] = "large" if labels[i] == "small" else "small"
    records = data.records.set_column(1, "size", pa.array(labels).dictionary_encode())
    return Dataset.from_arrow(records, data.schema)


def test_flipped_labels_are_counted_and_named(compare) -> None:
    real, made = pictures(200, 1), pictures(200, 2)
    clean = ImageLabels().compute(compare(made, real), rng_for(1, "m"))
    assert clean.value <= 0.01
    found = ImageLabels().compute(compare(with_flips(made, 10), real), rng_for(1, "m"))
    # Every tenth of 200, all of them small ones that are called large.
    assert found.value == pytest.approx(0.1, abs=0.01)
    assert found.facts["label_that_looks_like"]["size"] == {
        "large that looks like small": pytest.approx(0.1, abs=0.01)
    }


def test_labels_that_real_images_never_have_are_not_contradicted(compare) -> None:
    real, made = pictures(100, 1), pictures(100, 2)
    labels = pa.array(["unknown"] * 100).dictionary_encode()
    strange = Dataset.from_arrow(made.records.set_column(1, "size", labels), made.schema)
    assert ImageLabels().compute(compare(strange, real), rng_for(1, "m")).value == 0.0


def test_images_without_labels_are_not_measurable(compare, rng) -> None:
    only = pictures(60).select(["photo"])
    with pytest.raises(NotMeasurable, match="no column has two labels"):
        ImageLabels().compute(compare(only, only), rng)
    with pytest.raises(NotMeasurable, match="at least 40"):
        ImageLabels().compute(compare(pictures(10), pictures(60)), rng)
    table = Dataset.from_arrow(pa.table({"c": ["a", "b"] * 30}))
    with pytest.raises(NotMeasurable, match="no image column"):
        ImageLabels().compute(compare(table, table), rng)
