import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from twinset.core.contracts import Comparison
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import BLOB, Field, Schema
from twinset.core.findings import CopyCounts
from twinset.core.seeding import rng_for
from twinset.evaluation.privacy.exact_copies import (
    ExactCopies,
    are_rich,
    count_copies,
    row_keys,
)


def keys(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


def test_where_the_holdout_has_none_every_copy_counts() -> None:
    found = count_copies(keys(1, 2, 3, 3), keys(1, 3, 3, 9), keys(7, 8))
    assert found["excess"] == 0.75
    assert (found["copies"], found["unique_copies"], found["holdout_copies"]) == (3, 1, 0)


def test_agreement_as_frequent_as_in_the_holdout_is_chance() -> None:
    train = keys(*range(10))
    made = keys(*[0] * 11, *[99] * 89)
    holdout = keys(*[0] * 10, *[99] * 90)
    assert count_copies(train, made, holdout)["excess"] == 0


def test_more_than_chance_counts_by_its_excess() -> None:
    train = keys(*range(10))
    made, holdout = keys(*[0] * 60, *[99] * 40), keys(*[0] * 10, *[99] * 90)
    assert count_copies(train, made, holdout)["excess"] == pytest.approx(0.5)


def test_where_rows_can_agree_by_chance_so_can_a_copy_or_two() -> None:
    """300 pairs of 25 train and 12 synthetic rows, 595 pairs of 35 real ones, none equal."""
    train, holdout = keys(*range(25)), keys(*range(100, 110))
    share = 300 / (300 + 595)
    for copied in range(1, 8):
        made = keys(*range(copied), *range(200, 212 - copied))
        assert count_copies(train, made, holdout)["excess"] == pytest.approx(copied / 12)
        found = count_copies(train, made, holdout, is_rich=False)["excess"]
        assert (found > 0) == (share**copied < 0.001)
    # Two equal real rows: copies must be more.
    train = keys(*range(24), 0)
    made = keys(*range(5), *range(200, 207))
    assert count_copies(train, made, holdout, is_rich=False)["excess"] == 0


def test_rich_columns_make_every_copy_count(compare) -> None:
    rng = rng_for(1, "rich")

    def rows(n: int, width: int, digits: int) -> Dataset:
        columns = {f"x{i}": rng.normal(size=n).round(digits) for i in range(width)}
        return Dataset.from_arrow(pa.table(columns))

    for width, digits, counts in ((2, 16, True), (4, 4, True), (2, 4, False), (4, 1, False)):
        train, made, holdout = (rows(n, width, digits) for n in (200, 100, 100))
        made = Dataset.concat([made.take(range(99)), train.take([7])])
        found = ExactCopies().compute(compare(made, holdout, train), rng)
        assert (found.value > 0) == counts


def test_equal_amounts_in_many_columns_are_one_value_and_rows_entered_twice_are_chance() -> None:
    real = keys(1, 2, 3, 4)
    columns = [keys(11, 12, 13, 14), keys(21, 22, 23, 24), keys(31, 32, 33, 34)]
    assert are_rich(real, columns, keys(1, 99))
    assert not are_rich(real, columns[:1] * 5, keys(1, 99))
    assert not are_rich(real, columns, keys(98, 99))
    twice = [np.append(column, column[2]) for column in columns]
    assert not are_rich(keys(1, 2, 3, 4, 3), twice, keys(1, 99))


@given(st.integers(1, 30), st.integers(31, 60), st.integers(1, 20), st.integers(21, 60))
def test_the_excess_counts_exactly_when_fishers_test_says_so(
    copied: int, n: int, by_chance: int, n_holdout: int
) -> None:
    # Every train key twice, so that only the test over all rows speaks.
    made, holdout = keys(*[1] * copied, *[9] * n)[:n], keys(*[1] * by_chance, *[9] * n_holdout)
    holdout = holdout[:n_holdout]
    table = [[copied, n - copied], [by_chance, n_holdout - by_chance]]
    significant = fisher_exact(table, alternative="greater").pvalue < 0.001
    found = count_copies(keys(1, 1), made, holdout)["excess"]
    assert (found > 0) == significant


def test_a_few_isolated_rows_among_many_coincidences_are_found() -> None:
    rng = rng_for(1, "copies")
    common, rare = np.arange(20), np.arange(1000, 1300)
    train = np.concatenate([rng.choice(common, 2000), rare])
    holdout = np.concatenate([rng.choice(common, 950), np.arange(5000, 5050)])
    made = np.concatenate([rng.choice(common, 930), rare[:20], np.arange(7000, 7050)])
    found = count_copies(*(part.astype(np.uint64) for part in (train, made, holdout)))
    assert found["copies"] / 1000 == found["holdout_copies"] / 1000  # the plain shares see nothing
    assert found["excess"] == pytest.approx(0.02)


def test_keys_are_equal_exactly_where_delivered_rows_are() -> None:
    table = {
        "x": [1.25, 1.25000001, 1.26, -0.0, 0.0, None, 0.0],
        "c": ["a", "a", "a", "b", "b", "b", "b"],
    }
    schema = Schema((Field(name="x", kind="number", decimals=2), Field(name="c", kind="category")))
    found = row_keys(Dataset.from_arrow(pa.table(table), schema), ["x", "c"])
    assert found[0] == found[1]
    assert found[3] == found[4] == found[6]
    assert len(set(found.tolist())) == 4


def test_integers_agree_with_numbers_and_order_of_levels_does_not_matter() -> None:
    one = Dataset.from_arrow(pa.table({"n": [3, 5, 7], "c": ["a", "b", "c"]}))
    other = Dataset.from_arrow(pa.table({"n": [7.0, 3.0, 5.0], "c": ["c", "a", "b"]}))
    names = ["n", "c"]
    assert row_keys(one, names)[[2, 0, 1]].tolist() == row_keys(other, names).tolist()


def test_a_copy_of_train_is_caught_and_fresh_rows_are_not(people, compare, rng) -> None:
    train, holdout, fresh = people(300, 1), people(300, 2), people(300, 3)
    caught = ExactCopies().compute(compare(train, holdout, train), rng)
    assert caught.value == 1.0
    assert caught.finding(CopyCounts).n_copies == caught.finding(CopyCounts).n_synthetic == 300
    assert ExactCopies().compute(compare(fresh, holdout, train), rng).value == 0
    assert len(caught.replicates) == 0  # every row was looked at


def test_copied_images_and_texts_are_found_beside_fresh_numbers(compare, rng) -> None:
    def pages(start: int, image: int) -> Dataset:
        blobs = [{"bytes": bytes([image + i]), "path": f"{start + i}.png"} for i in range(3)]
        texts = [f"text {start + i}" for i in range(3)]
        fields = (Field(name="image", kind="image"), Field(name="text", kind="text"))
        table = pa.table({"image": blobs, "text": texts, "x": [start + 0.5, 1.5, 2.5]})
        return Dataset.from_arrow(table, Schema((*fields, Field(name="x", kind="number"))))

    found = ExactCopies().compute(compare(pages(30, 1), pages(60, 50), pages(0, 0)), rng)
    assert found.value == pytest.approx(2 / 3)
    assert found.facts["parts"]["image 'image'"]["copies"] == 2
    assert found.facts["parts"]["text 'text'"]["excess"] == 0


def test_a_label_beside_texts_is_no_row_to_copy() -> None:
    def part(salt: str) -> Dataset:
        texts = pa.array([f"{salt} says {i}" for i in range(40)])
        labels = pa.array(["spam", "ham"] * 20).dictionary_encode()
        fields = (
            Field(name="text", kind="text", stored="string"),
            Field(name="label", kind="category", stored="string", levels=("ham", "spam")),
        )
        return Dataset.from_arrow(pa.table({"text": texts, "label": labels}), Schema(fields))

    comparison = Comparison(part("bob"), part("eve"), part("ann"))
    found = ExactCopies().compute(comparison, rng_for(0))

    assert list(found.facts["parts"]) == ["text 'text'"]


def test_where_a_tile_lies_is_no_copy_but_its_image_is(rng) -> None:
    def tiles(pictures: list[bytes], image: str) -> Dataset:
        n = len(pictures)
        places = {"tile_of": [image] * n, "tile_x": [64 * k for k in range(n)], "tile_y": [0] * n}
        blobs = [{"bytes": picture, "path": None} for picture in pictures]
        sizes = {"tile_of_width": [640] * n, "tile_of_height": [64] * n}
        fields = [Field(name="image", kind="image"), Field(name="tile_of", kind="category")]
        fields += [Field(name=name, kind="integer") for name in (*list(places)[1:], *sizes)]
        return Dataset.from_arrow(
            pa.table({"image": pa.array(blobs, BLOB), **places, **sizes}), Schema(tuple(fields))
        )

    def found(made: list[bytes]) -> float:
        train = tiles([b"a%d" % k for k in range(9)], "s1")
        held = tiles([b"b%d" % k for k in range(9)], "s2")
        comparison = Comparison(train=train, reference=held, synthetic=tiles(made, "s1"))
        return ExactCopies().compute(comparison, rng).value

    assert found([b"c%d" % k for k in range(9)]) == 0
    assert found([b"a%d" % k for k in range(9)]) == 1
