import itertools
from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.report.figures.samples import mark_spans, row_samples, spread_rows, text_samples

TEXTS = Schema((Field(name="said", kind="text"), Field(name="spans", kind="spans")))


def texts(values, spans=None):
    cuts = pa.array(spans or [[]] * len(values), pa.list_(SPAN))
    return Dataset.from_arrow(pa.table({"said": values, "spans": cuts}), TEXTS)


def test_spans_are_half_open_and_in_code_points():
    text = "né 👩 Zoë!"
    cut = mark_spans(text, [{"start": 5, "end": 8, "label": "name"}])
    assert cut == (("né 👩 ", ""), ("Zoë", "name"), ("!", ""))


def test_overlapping_empty_and_overlong_spans_are_harmless():
    spans = [
        {"start": 2, "end": 4, "label": "late"},
        {"start": 0, "end": 3, "label": "early"},
        {"start": 4, "end": 4, "label": "empty"},
        {"start": 4, "end": 99, "label": "long"},
    ]
    assert mark_spans("abcdef", spans) == (("abc", "early"), ("d", ""), ("ef", "long"))


@given(
    st.text(max_size=30),
    st.lists(
        st.builds(
            lambda start, length: {"start": start, "end": start + length, "label": "x"},
            st.integers(0, 40),
            st.integers(0, 10),
        ),
        max_size=6,
    ),
)
def test_marking_keeps_every_character(text, spans):
    assert "".join(piece for piece, _ in mark_spans(text, spans)) == text


def test_a_text_that_stands_in_a_real_set_is_not_shown():
    shown = text_samples(texts(["secret", "made up"]), [texts(["secret", "other"])], None)
    assert [sample.pieces for sample in shown] == [(("made up", ""),)]


def test_missing_texts_are_passed_over():
    assert [s.pieces for s in text_samples(texts([None, "a"]), [], None)] == [(("a", ""),)]
    assert text_samples(texts([]), [], None) == ()


@given(st.integers(1, 3000))
def test_rows_are_spread_without_repeats(n):
    rows = spread_rows(n)
    assert len(set(rows)) == len(rows) == min(n, 240)
    assert set(rows) <= set(range(n))
    assert max(rows[:24]) - min(rows[:24]) >= 0.49 * (n - 1)


def test_rows_become_short_texts():
    dataset = Dataset.from_arrow(pa.table({"a": [1.23456789, None], "b": ["x" * 99, "y"]}))
    (sample,) = row_samples({"real": dataset}, limit=2)
    assert sample.rows[0][0] == "1.23457"
    assert len(sample.rows[0][1]) == 60
    assert sample.rows[1] == ("", "y")


def test_texts_of_all_labels_are_shown_where_labels_alternate():
    for n, period in itertools.product((600, 2391, 3000), range(2, 6)):
        shown = Counter(row % period for row in spread_rows(n)[:20])
        assert len(shown) == period
        assert max(shown.values()) <= 20 * (1 / period + 0.3)
