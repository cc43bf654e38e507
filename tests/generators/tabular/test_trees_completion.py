"""Filling gaps with the chain of trees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import TableEncoding
from twinset.core.seeding import rng_for
from twinset.generators.tabular.trees import Trees

from .test_trees import labels, mixed
from .test_trees_conditions import adult


@pytest.fixture(scope="module")
def real() -> Dataset:
    return mixed()


@pytest.fixture(scope="module")
def fitted(real: Dataset):
    return Trees().fit(real, rng_for(0, "fit"))


def holes(data: Dataset, share: float, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    table = data.records
    for at, name in enumerate(data.schema.names):
        column = table.column(name)
        plain = (
            column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        )
        null = pa.scalar(None, plain.type)
        table = table.set_column(
            at,
            name,
            pc.if_else(pa.array(rng.random(len(data)) < share), null, plain).cast(column.type),
        )
    return Dataset(table, data.schema, data.card)


def test_gaps_are_filled_and_values_stay(real: Dataset, fitted) -> None:
    fresh = mixed(400, seed=1)
    given = holes(fresh, 0.2)
    for most_likely in (False, True):
        filled = fitted.complete(given, rng_for(0, "fill"), most_likely=most_likely)
        again = fitted.complete(given, rng_for(0, "fill"), most_likely=most_likely)
        assert filled.records.equals(again.records)
        assert filled.schema == real.schema
        for name in real.schema.names:
            there = ~given.is_null(name)
            assert not filled.is_null(name).any()
            assert np.array_equal(labels(filled, name)[there], labels(given, name)[there])
    gone = given.is_null("x") & ~given.is_null("y")
    error = np.sqrt(np.mean((filled.values("x") - fresh.values("x"))[gone] ** 2))
    assert error < 0.6


def test_a_label_that_was_not_learnt_stays(fitted) -> None:
    rows = mixed(50, seed=2)
    table = rows.records.set_column(
        rows.schema.names.index("label"), "label",
        pa.array(["new", None] * 25).dictionary_encode(),
    )  # fmt: skip
    filled = fitted.complete(
        Dataset(holes(rows, 0.2).records, rows.schema, rows.card), rng_for(0, "fill")
    )
    assert not filled.is_null("label").any()
    strange = Dataset.from_arrow(table)
    filled = fitted.complete(strange, rng_for(0, "fill"))
    assert labels(filled, "label")[::2].tolist() == ["new"] * 25
    assert set(labels(filled, "label")[1::2]) <= {"yes", "no"}


def errors(truth: Dataset, made: Dataset, given: Dataset, encoding: TableEncoding) -> np.ndarray:
    """Return the mean normalised error of numbers and the mean error rate of labels."""
    numbers, rates = [], []
    for column in encoding.columns:
        name = column.field.name
        gone = given.is_null(name) & ~truth.is_null(name)
        if column.is_nominal:
            rates.append((labels(truth, name)[gone] != labels(made, name)[gone]).mean())
        else:
            square = (truth.values(name)[gone] - made.values(name)[gone]) ** 2
            numbers.append(np.sqrt(square.mean()) / np.nanstd(truth.values(name)))
    return np.array([np.mean(numbers), np.mean(rates)])


def test_filled_cells_beat_the_median_and_neighbours(shared_data: Path) -> None:
    """On Adult, a fifth of the cells gone: nearer than 20 nearest neighbours, and than the mode."""
    from sklearn.impute import KNNImputer

    data = adult(shared_data)
    data = data.take(np.random.default_rng(0).permutation(len(data))[:2500])
    train, fresh = data.slice(0, 2000), data.slice(2000, 500)
    fresh = fresh.with_schema(train.schema)
    given = holes(fresh, 0.2)
    encoding = TableEncoding.from_dataset(data)
    fitted = Trees().fit(train, rng_for(0, "fit"))
    made = fitted.complete(given, rng_for(0, "fill"), most_likely=True)
    ours = errors(fresh, made, given, encoding)

    full, part = encoding.encode(train), encoding.encode(fresh)
    plain, blocks, asked = part.copy(), [], []
    for column in encoding.columns:
        at, gone = column.value, given.is_null(column.field.name)
        known = full[:, at]
        plain[:, at] = (
            np.bincount(known.astype(int)).argmax() if column.is_nominal else np.median(known)
        )
        if column.is_nominal:
            one, other = (np.eye(len(column.levels))[m[:, at].astype(int)] / np.sqrt(2)
                          for m in (full, part))  # fmt: skip
        else:
            one, other = ((m[:, [at]] - known.mean()) / known.std() for m in (full, part))
        other[gone] = np.nan
        blocks.append(one)
        asked.append(other)
    near = KNNImputer(n_neighbors=20).fit(np.hstack(blocks)).transform(np.hstack(asked))
    neighbours, at = part.copy(), 0
    for column, block in zip(encoding.columns, blocks, strict=True):
        found = near[:, at : at + block.shape[1]]
        known = full[:, column.value]
        neighbours[:, column.value] = (
            found.argmax(1) if column.is_nominal else found[:, 0] * known.std() + known.mean()
        )
        at += block.shape[1]
    for matrix in (plain, neighbours):
        for column in encoding.columns:
            if column.missing is not None:
                matrix[:, column.missing] = 0
    median = errors(fresh, encoding.decode(plain), given, encoding)
    nearest = errors(fresh, encoding.decode(neighbours), given, encoding)
    assert ours[0] < 0.93 * median[0]
    assert ours[1] < 0.7 * median[1]
    assert np.all(ours < 1.03 * nearest)
