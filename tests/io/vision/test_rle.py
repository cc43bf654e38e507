import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from twinset.core.errors import DataError
from twinset.io.vision.rle import compress, decompress, pixels_of_runs, run_lengths


def mask_of_runs(lengths: list[int], shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[pixels_of_runs(lengths, shape)] = True
    return mask


MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


def test_runs_go_down_the_columns_and_begin_outside():
    mask = np.array([[1, 0], [1, 0], [0, 1]], bool)
    assert run_lengths(mask) == [0, 2, 3, 1]
    assert run_lengths(np.zeros((2, 2), bool)) == [4]
    assert run_lengths(np.ones((2, 2), bool)) == [0, 4]


@pytest.mark.parametrize(
    ("lengths", "text"),
    [
        # What pycocotools 2.0 writes; the last one, with a difference below 0, also by hand.
        ([6, 1, 40, 4, 5, 4, 5, 4, 21], "61X13mN000`0"),
        ([0, 4], "04"),
        ([1000], "Xo0"),
        ([5, 100, 3, 1], "5T33mL"),
    ],
)
def test_the_compressed_text_is_that_of_cocos_own_tools(lengths, text):
    assert compress(lengths) == text
    assert decompress(text) == lengths


@given(MASKS)
def test_every_mask_comes_back(mask):
    text = compress(run_lengths(mask))
    np.testing.assert_array_equal(mask_of_runs(decompress(text), mask.shape), mask)


@given(st.lists(st.integers(0, 10**7), max_size=12))
def test_every_length_comes_back(lengths):
    assert decompress(compress(lengths)) == lengths


@pytest.mark.parametrize("text", ["~", "5 4", "o", "5o"])
def test_damaged_texts_are_refused(text):
    with pytest.raises(DataError, match="cannot be read"):
        decompress(text)


@pytest.mark.parametrize("lengths", [[], [3], [5, -1], [2, 3]])
def test_lengths_must_fill_the_image(lengths):
    with pytest.raises(DataError, match="2 x 2 = 4"):
        mask_of_runs(lengths, (2, 2))


def test_lengths_whose_sum_wraps_round_are_refused() -> None:
    with pytest.raises(DataError, match="do not fill"):
        mask_of_runs([2**62, 2**62, 2**62, 2**62, 6], (2, 3))
