import numpy as np
import pyarrow as pa
import pytest

from tests.core.features.test_embedders import pictures
from twinset.core.contracts import Comparison, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError
from twinset.core.model_findings import ModelComparison
from twinset.core.seeding import rng_for
from twinset.evaluation.utility._holdout_scores import bootstrap_models
from twinset.evaluation.utility.image_classes import (
    AUGMENTATIONS,
    Augmentation,
    ImageArrays,
    ImageClasses,
    recall_scorer,
)

pytest.importorskip("cv2")
pytest.importorskip("torch")
QUICK = ImageClasses(steps=25, seeds=2, side=16, replicates=50, device="cpu")


def with_labels(data: Dataset, labels: list[str]) -> Dataset:
    records = data.records.set_column(1, "size", pa.array(labels).dictionary_encode())
    return Dataset.from_arrow(records, data.schema)


def test_mean_recall_by_hand() -> None:
    # Class 0: 3 of 4 right over two networks; class 1: 0 of 2.
    classes = np.array([0, 0, 1])
    scorers = [recall_scorer(np.array(h), classes) for h in ([1, 1, 0], [1, 0, 0])]
    values, _ = bootstrap_models({"real": scorers}, classes, 2, rng_for(1, "b"))
    assert values["real"][0] == pytest.approx((3 / 4 + 0) / 2)


def test_equal_networks_have_the_spread_of_a_share_and_no_difference() -> None:
    hits = (rng_for(1, "hits").random(400) < 0.8).astype(float)
    classes = np.zeros(400, dtype=np.int64)
    same = [recall_scorer(hits, classes)] * 2
    _, drawn = bootstrap_models({"real": same, "mixed": same}, classes, 600, rng_for(3, "draw"))
    assert drawn["real"].std() == pytest.approx(np.sqrt(0.8 * 0.2 / 400), rel=0.15)
    assert np.array_equal(drawn["real"], drawn["mixed"])


def test_augmentation_by_hand() -> None:
    picture = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4) / 16
    many = np.repeat(np.repeat(picture, 3, axis=1), 64, axis=0)
    same = Augmentation("none").apply(many, rng_for(1, "a"))
    assert np.array_equal(same, many)
    turned = Augmentation("mirrored", mirrored=True).apply(many, rng_for(1, "a"))
    ways = {tuple(one[0, 0]) for one in turned}
    assert ways == {(0, 1 / 16, 2 / 16, 3 / 16), (3 / 16, 2 / 16, 1 / 16, 0)}
    moved = Augmentation("moved", shift=1).apply(many, rng_for(1, "a"))
    # A pixel comes from itself or from one of its eight neighbours.
    assert {float(one[0, 1, 1]) * 16 for one in moved} == {0, 1, 2, 4, 5, 6, 8, 9, 10}
    assert AUGMENTATIONS[0] == Augmentation("none")


def test_images_without_a_class_or_pixels_are_left_out() -> None:
    data = pictures(6)
    cells = [*data.records.column("photo").to_pylist()[:5], {"bytes": b"damaged", "path": ""}]
    column = pa.chunked_array([pa.array(cells, data.records.column("photo").type)])
    found = ImageArrays.from_column(column, np.array([0, 1, -1, 1, 0, 1]), 16)
    assert found.classes.tolist() == [0, 1, 1, 0]
    assert found.pixels.shape == (4, 3, 16, 16)


def test_good_images_serve_and_wrong_labels_hurt() -> None:
    train, made, holdout = pictures(80, 1), pictures(80, 2), pictures(60, 3)
    turned = with_labels(made, ["large", "small"] * 40)
    found, cache = {}, {}
    for name, candidate in (("good", made), ("turned", turned)):
        compared = Comparison(train, candidate, holdout, target="size", cache=cache)
        found[name] = QUICK.compute(compared, rng_for(4, "m"))
    assert found["good"].value > 0.9
    assert found["turned"].value < 0.1
    turned_models = found["turned"].finding(ModelComparison)
    assert [turned_models.trained_on(k).effect for k in ("mixed", "synthetic")] == ["hurts"] * 2
    rows = {m.data: m.n_rows for m in found["good"].finding(ModelComparison).models}
    assert rows == {"real": 80, "mixed": 160, "synthetic": 80}


def test_the_baseline_is_the_net_of_real_images_and_the_cache_changes_nothing() -> None:
    train, holdout = pictures(60, 1), pictures(60, 3)
    compared = Comparison(train, train, holdout, target="size")
    first = QUICK.compute(compared, rng_for(4, "m"))
    assert first.finding(ModelComparison).decides == "real"
    mixed = Comparison(train, pictures(60, 2), holdout, target="size", cache=compared.cache)
    again = QUICK.compute(mixed, rng_for(4, "m"))
    assert again.finding(ModelComparison).score("mean recall", "real").value == first.value


def test_what_is_lacking_is_said() -> None:
    data = pictures(60)
    for compared, why in (
        (Comparison(data, data, data), "no target"),
        (Comparison(data.select(["size"]), data, data, target="size"), "no image column"),
        (Comparison(data, data, data.slice(0, 10), target="size"), "at least 20 real images"),
        (Comparison(data, data.slice(0, 5), data, target="size"), "synthetic images"),
        (Comparison(data.take(np.arange(0, 60, 2)), data, data, target="size"), "two classes"),
    ):
        with pytest.raises(NotMeasurable, match=why):
            QUICK.compute(compared, rng_for(1, "m"))
    with pytest.raises(ParameterError):
        ImageClasses(seeds=1)
