"""Edits by hand, and marks that hold under any edits of any texts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinset.augment.text._annotated import AnnotatedTexts, Edits, codes_of, text_of
from twinset.augment.text._graphemes import cluster_starts
from twinset.core.errors import DataError


def edits(*changes: tuple[int, int, str]) -> Edits:
    starts, ends, texts = zip(*changes)
    return Edits.from_texts(np.array(starts), np.array(ends), list(texts))


def edited(text: str, mark: tuple[int, int], *changes: tuple[int, int, str]) -> tuple[str, str]:
    made = AnnotatedTexts.from_texts([text], [mark[0]], [mark[1]], [0]).edited(edits(*changes))
    return made.texts()[0], made.surfaces()[0]


def test_a_mark_moves_along() -> None:
    for changes, text, marked in [
        ([(0, 4, "Ring")], "Ring Zoë now", "Zoë"),
        ([(0, 5, "")], "Zoë now", "Zoë"),
        ([(5, 5, "our ")], "Call our Zoë now", "Zoë"),
        ([(8, 8, ",")], "Call Zoë, now", "Zoë"),
        ([(6, 6, "h")], "Call Zhoë now", "Zhoë"),
        ([(5, 6, "ZZ")], "Call ZZoë now", "ZZoë"),
        ([(7, 8, "e")], "Call Zoe now", "Zoe"),
        ([(5, 8, "Ann-Marie")], "Call Ann-Marie now", "Ann-Marie"),
        ([(5, 7, "")], "Call ë now", "ë"),
        ([(5, 5, "x"), (5, 6, "S"), (8, 8, "y"), (12, 12, "!")], "Call xSoëy now!", "Soë"),
        ([(4, 5, "  "), (8, 9, "  ")], "Call  Zoë  now", "Zoë"),
    ]:
        assert edited("Call Zoë now", (5, 8), *changes) == (text, marked)


def test_texts_do_not_run_into_each_other() -> None:
    texts = AnnotatedTexts.from_texts(["ab", "", "c"], [1, 0], [2, 1], [0, 2])
    made = texts.edited(edits((2, 2, "X"), (3, 3, "Y"), (4, 4, "Z"), (5, 5, "W")))
    assert made.texts() == ["abX", "Y", "ZcW"]
    assert made.surfaces() == ["b", "c"]
    assert [places.tolist() for places in made.places()] == [[1, 1], [2, 2]]


def test_nested_marks_move_each_by_itself() -> None:
    texts = AnnotatedTexts.from_texts(["to New York City"], [3, 3, 12], [16, 11, 16], [0, 0, 0])
    made = texts.edited(edits((3, 4, "n"), (11, 12, ""), (13, 14, "")))
    assert made.surfaces() == ["new YorkCty", "new York", "Cty"]


def test_harmful_edits_are_refused() -> None:
    for change, words in [
        ((3, 6, "x"), "crosses the border of a span"),
        ((6, 9, ""), "crosses the border of a span"),
        ((4, 9, "x"), "crosses the border of a span"),
        ((5, 8, ""), "takes a whole span away"),
        ((2, 40, ""), "does not lie in the texts"),
        ((-1, 2, ""), "does not lie in the texts"),
        ((11, 13, ""), "from one text into the next"),
        ((9, 10, ""), "splits a grapheme cluster"),
        ((10, 10, "x"), "splits a grapheme cluster"),
    ]:
        texts = AnnotatedTexts.from_texts(["Call Zoë 👍🏽", "b"], [5], [8], [0])
        with pytest.raises(DataError, match=words):
            texts.edited(edits(change))


def test_overlapping_edits_are_refused() -> None:
    with pytest.raises(DataError, match="overlap"):
        AnnotatedTexts.from_texts(["abcd"]).edited(edits((0, 2, "x"), (1, 3, "y")))


@pytest.mark.parametrize("mark", [(2, 2), (3, 1), (-1, 2), (0, 5)])
def test_spans_outside_their_text_are_refused(mark: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="row 1 does not lie in its text"):
        AnnotatedTexts.from_texts(["x", "abcd"], [mark[0]], [mark[1]], [1])


def test_surrogates_and_far_characters_come_back() -> None:
    assert text_of(codes_of("a\ud800🍵\0")) == "a\ud800🍵\0"
    assert AnnotatedTexts.from_texts(["a\0", "\ud800"]).texts() == ["a\0", "\ud800"]


PIECES = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        st.sampled_from(["e\u0301", "👩‍👧‍👦", "🇩🇪", "👍🏽", "שָׁלוֹם", " ", "Zoë", "क्षि", "\r\n"]),
    ),
    max_size=8,
)


@settings(max_examples=120, deadline=None)
@given(st.lists(PIECES, min_size=1, max_size=3), st.data())
def test_marks_hold_under_any_edits(pieces: list[list[str]], data: st.DataObject) -> None:
    texts = ["".join(parts) for parts in pieces]
    marks = [
        (row, a, b)
        for row, text in enumerate(texts)
        for a in range(len(text))
        for b in range(a + 1, len(text) + 1)
    ]
    chosen = data.draw(st.lists(st.sampled_from(marks), max_size=4)) if marks else []
    rows, starts, ends = ([m[k] for m in chosen] for k in (0, 1, 2))
    given_texts = AnnotatedTexts.from_texts(texts, starts, ends, rows)
    changes, expected = _some_edits(given_texts, data)
    if not changes:
        return
    made = given_texts.edited(edits(*changes))
    assert made.texts() == expected
    assert all(made.surfaces())
    for mark, surface in zip(chosen, made.surfaces()):
        assert surface == _replayed(given_texts, mark, changes)
    assert len(made.starts) == len(chosen)


def _some_edits(
    texts: AnnotatedTexts, data: st.DataObject
) -> tuple[list[tuple[int, int, str]], list[str]]:
    """Draw edits that keep clusters and marks whole, and what the texts then are, piece by piece."""
    changes: list[tuple[int, int, str]] = []
    expected = []
    for row, text in enumerate(texts.texts()):
        low = int(texts.bounds[row])
        cuts = [p for p in range(low, low + len(text) + 1) if texts.cluster_borders[p]]
        made, at = "", low
        while at <= low + len(text):
            if at in cuts:
                new = data.draw(st.sampled_from(["", "", "x", "yy 🍵", "é"]))
                later = [
                    p for p in cuts if at < p <= at + 4 and not texts.borders[at + 1 : p].any()
                ]
                to = data.draw(st.sampled_from([at, *later]))
                if new == "" and (to == at or _empties(texts, at, to)):
                    to = at
                elif (at, to, new) != (at, at, ""):
                    changes.append((at, to, new))
                    made += new
                    if to > at:
                        at = to
                        continue
            if at < low + len(text):
                made += text[at - low]
            at += 1
        expected.append(made)
    return changes, expected


def _empties(texts: AnnotatedTexts, start: int, end: int) -> bool:
    """Whether a deletion may rob a mark of its first character, which is more than is refused."""
    return bool(np.isin(texts.starts, np.arange(start, end)).any())


def _replayed(
    texts: AnnotatedTexts, mark: tuple[int, int, int], changes: list[tuple[int, int, str]]
) -> str:
    """What a mark holds, found character by character: insertions at its borders are not its own."""
    row, a, b = mark
    low = int(texts.bounds[row])
    text, out = texts.texts()[row], ""
    for place in range(low + a, low + b + 1):
        for start, end, new in changes:
            is_inside = low + a < place < low + b
            if start == place < low + b and (end > start or is_inside):
                out += new
        gone = any(start <= place < end for start, end, _ in changes)
        if place < low + b and not gone:
            out += text[place - low]
    return out


def test_clusters_stay_whole_where_nothing_is_inserted() -> None:
    texts = AnnotatedTexts.from_texts(["a👩‍👧e\u0301b"])
    made = texts.edited(edits((0, 1, "A"), (6, 7, "B")))
    assert np.flatnonzero(cluster_starts(codes_of(made.texts()[0]))).tolist() == [0, 1, 4, 6, 7]
