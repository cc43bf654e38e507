from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import OBJECT, Field, Schema
from twinset.core.features.encoder import FeatureEncoder, drawn_in, robust_scale
from twinset.core.seeding import rng_for


def distance(features: np.ndarray, i: int, j: int) -> float:
    return float(np.linalg.norm(features[i] - features[j]))


def test_numbers_are_centred_on_the_median_with_unit_spread() -> None:
    values = rng_for(1, "x").normal(50, 7, size=4000)
    data = Dataset.from_arrow(pa.table({"x": values}))
    features = FeatureEncoder.fit(data).transform(data)
    assert features.dtype == np.float32
    assert features.shape == (4000, 1)
    assert np.median(features) == pytest.approx(0, abs=1e-6)
    assert features.std() == pytest.approx(1, abs=0.05)


def test_tails_are_drawn_in_but_never_reordered() -> None:
    values = np.sort(rng_for(2, "x").standard_cauchy(size=1000)) * 100
    drawn = drawn_in(values)
    assert (np.diff(drawn) > 0).all()
    assert np.abs(drawn).max() < 3 + np.log1p(np.abs(values).max())


def test_a_column_of_mostly_one_value_is_scaled_by_its_standard_deviation() -> None:
    values = np.zeros(1000)
    values[:10] = 5.0
    assert robust_scale(values) == (0.0, pytest.approx(values.std()))


def test_two_different_levels_lie_at_distance_1_also_when_unseen_or_missing() -> None:
    train = Dataset.from_arrow(pa.table({"c": ["a", "b", "a", "b"]}))
    other = Dataset.from_arrow(pa.table({"c": ["a", "b", "new", None]}), train.schema)
    features = FeatureEncoder.fit(train).transform(other)
    for i in range(4):
        for j in range(i):
            assert distance(features, i, j) == pytest.approx(1.0)


def test_a_missing_number_has_a_column_of_its_own_that_says_so() -> None:
    train = Dataset.from_arrow(pa.table({"x": [1.0, 2.0, None, 3.0]}))
    features = FeatureEncoder.fit(train).transform(train)
    assert features[:, 1].tolist() == [0, 0, 1, 0]
    assert features[2, 0] == 0


def test_a_missing_number_that_train_never_had_is_separate() -> None:
    encoder = FeatureEncoder.fit(Dataset.from_arrow(pa.table({"x": [1.0, 2.0, 3.0]})))
    odd = Dataset.from_arrow(pa.table({"x": pa.array([2.0, None])}))
    assert encoder.transform(odd)[:, 0].tolist() == [0.0, 4.0]


def test_ids_and_columns_for_the_split_are_passed_over() -> None:
    data = Dataset.from_arrow(pa.table({"x": [1.5, 2.5], "key": ["k1", "k2"], "part": [0.5, 1.5]}))
    fields = [data.schema["x"], replace(data.schema["key"], kind="id")]
    fields.append(replace(data.schema["part"], role="split"))
    data = Dataset.from_arrow(data.to_arrow(), Schema(tuple(fields)))
    assert FeatureEncoder.fit(data).names == ("x",)


def test_constant_and_empty_columns_give_finite_features() -> None:
    table = pa.table({"x": [2.0] * 5, "y": pa.array([None] * 5, pa.float64()), "z": pa.nulls(5)})
    data = Dataset.from_arrow(table)
    assert np.isfinite(FeatureEncoder.fit(data).transform(data)).all()


def test_no_rows_keep_their_columns() -> None:
    data = Dataset.from_arrow(pa.table({"x": [1.0, 2.0], "c": ["a", "b"]}))
    encoder = FeatureEncoder.fit(data)
    assert encoder.transform(data.slice(0, 0)).shape == (0, encoder.transform(data).shape[1])


def test_texts_of_one_theme_are_nearer_than_texts_of_two() -> None:
    themes = ["card was stolen in the shop", "please reset my password now"]
    texts = [f"{themes[i % 2]} {i // 2}" for i in range(40)]
    schema = Schema((Field(name="t", kind="text"),))
    data = Dataset.from_arrow(pa.table({"t": [*texts, None]}), schema)
    features = FeatureEncoder.fit(data).transform(data)
    assert np.isfinite(features).all()
    assert distance(features, 0, 2) < 0.5 * distance(features, 0, 1)


def test_images_of_one_kind_are_nearer_than_images_of_two() -> None:
    pytest.importorskip("cv2")
    from twinset.core.image.codec import encode_png

    rng = rng_for(3, "images")
    cells = []
    for i in range(20):
        noise = rng.integers(0, 20, size=(24, 30, 3))
        ground = np.full((24, 30, 3), 200 if i % 2 else 30)
        cells.append({"bytes": encode_png((ground + noise).astype(np.uint8)), "path": f"{i}.png"})
    cells.append({"bytes": encode_png(np.zeros((1, 1), np.uint8)), "path": "tiny.png"})
    cells.append({"bytes": b"no image", "path": "bad.png"})
    schema = Schema((Field(name="image", kind="image"),))
    data = Dataset.from_arrow(pa.table({"image": cells}), schema)
    features = FeatureEncoder.fit(data).transform(data)
    assert features.shape[1] <= 32
    assert np.isfinite(features).all()
    assert distance(features, 0, 2) < 0.5 * distance(features, 0, 1)


def test_boxes_become_counts_of_their_labels() -> None:
    def box(label: str) -> dict[str, object]:
        return {"id": 1, "category": label, "box": [0.0, 0.0, 1.0, 1.0], "area": 1.0}

    rows = [[box("cat"), box("cat"), box("dog")], [], None]
    schema = Schema((Field(name="objects", kind="boxes"),))
    table = pa.table({"objects": pa.array(rows, pa.list_(OBJECT))})
    data = Dataset.from_arrow(table, schema)
    features = FeatureEncoder.fit(data).transform(data)
    assert np.expm1(features).round(4).tolist() == [[2, 1], [0, 0], [0, 0]]
