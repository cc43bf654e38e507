"""Numbers and dates in a country's own spelling are told apart from labels."""

from __future__ import annotations

import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.ingest.locale_formats import local_format, local_notes

A_SPELLING_IS_KNOWN_BY_ITS_VALUES_CASES = [
    (["1.234,56", "853,09", "12", "-7,5"], "1.234,56"),
    (["1.234,56 €", "7,00 €"], "1.234,56"),
    (["1,234.56", "12,000"], "1,234.56"),
    (["31.12.2024", "1.2.24"], "31.12.2024"),
    (["31.12.2024 08:15", "01.02.2024 9:00:05"], "31.12.2024"),
    (["12/31/2024", "1/2/2024"], "31/12/2024"),
    (["a,b", "c"], None),
    (["10", "20", "30", "a"], None),
    (["3.1.2", "4.0.17"], None),
    ([None, None], None),
]


def test_a_spelling_is_known_by_its_values() -> None:
    for values, like in A_SPELLING_IS_KNOWN_BY_ITS_VALUES_CASES:
        found = local_format(
            Dataset.from_arrow(pa.table({"x": pa.array(values, pa.string())})), "x"
        )
        assert (found.like if found else None) == like


def test_a_note_tells_what_to_do_and_quotes_no_value() -> None:
    table = pa.table({"betrag": ["98.765,43", "7,00"], "n": [1, 2], "ort": ["Ulm", "Bonn"]})
    (note,) = local_notes(Dataset.from_arrow(table))
    assert "'betrag' holds numbers written like 1.234,56" in note
    assert "decimal=','" in note
    assert "98" not in note
