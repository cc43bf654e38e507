"""Options of reading are the same in Python, recipes and on the command line."""

from __future__ import annotations

import pytest

from twinset.core.errors import ParameterError
from twinset.io.reading.options import ReadOptions, read_options


def test_all_forms_give_the_same_options() -> None:
    expected = ReadOptions(header=False, skip=2, delimiter="\t", decimal=",", text=("a", "b"))
    pairs = ["header=no", "skip=2", "delimiter=tab", "decimal=,", "text=a", "text=b"]
    assert read_options(pairs) == expected
    mapping = {"header": False, "skip": 2, "delimiter": "tab", "decimal": ",", "text": ["a", "b"]}
    assert read_options(mapping) == read_options(expected) == expected


@pytest.mark.parametrize(
    "pair",
    [
        *("skip=1.5", "skip=-1", "skip=１", "header=maybe", "delimiter=ab", 'delimiter="'),
        *("decimal=;", "dates=us", "txt=a", "decimal", "decimal="),
    ],
)
def test_what_cannot_be_used_is_refused(pair: str) -> None:
    with pytest.raises(ParameterError):
        read_options([pair])


def test_a_column_has_one_kind() -> None:
    with pytest.raises(ParameterError, match="one of text, number and category"):
        read_options(["text=a", "number=a"])
