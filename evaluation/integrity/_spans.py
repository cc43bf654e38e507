"""Faults of spans: edges, overlaps, and marks that the words contradict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .._bootstrap_metric import Bools, Floats, Ints
from ._label_model import LabelModel, frequent_labels
from ._sequence_model import look_up
from ._text_arrays import BLANK, SYMBOL, WORD, Hashes, TextArrays, chain, scramble

# Words that real texts nearly always mark, and words that they hardly ever mark: uses, share marked.
_MENTION, _PLAIN = (3, 0.9), (10, 0.02)


@dataclass(frozen=True)
class SpanArrays:
    """The spans of a column in flat arrays, beside their texts."""

    texts: TextArrays
    row: Ints  # text of each span, shape (s,)
    start: Ints  # ends in characters of the text, half-open, shape (s,)
    end: Ints
    labels: tuple[str, ...]  # of each span
    values: pa.Array  # the words of each span as the set states them, missing where it does not

    @classmethod
    def from_column(cls, texts: TextArrays, column: pa.ChunkedArray) -> SpanArrays:
        """Return the spans of a column of these texts."""
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        flat = pc.list_flatten(column)
        flat = flat.combine_chunks() if isinstance(flat, pa.ChunkedArray) else flat
        start, end = (
            pc.fill_null(pc.struct_field(flat, name), -1).to_numpy(zero_copy_only=False)
            for name in ("start", "end")
        )
        labels = pc.fill_null(pc.struct_field(flat, "label"), "").to_pylist()
        values = pc.struct_field(flat, "value")
        row = np.repeat(np.arange(len(texts)), lengths)
        return cls(texts, row, start.astype(np.int64), end.astype(np.int64), tuple(labels), values)

    @cached_property
    def is_inside(self) -> Bools:
        """Whether each span lies within its text and holds a character, shape (s,)."""
        length = (self.texts.ends - self.texts.starts)[self.row]
        return np.asarray((self.start >= 0) & (self.start < self.end) & (self.end <= length))

    @cached_property
    def places(self) -> tuple[Ints, Ints]:
        """Positions among the characters of all texts, of the spans that are inside."""
        first = self.texts.starts[self.row[self.is_inside]]
        return first + self.start[self.is_inside], first + self.end[self.is_inside]

    def rows_with(self, hits: Bools, of_span: Bools | None = None) -> Bools:
        """Return which texts have a span that is a hit, shape (n,)."""
        row = self.row if of_span is None else self.row[of_span]
        return np.bincount(row[hits], minlength=len(self.texts)) > 0

    def largest(self, values: Floats) -> Floats:
        """Return the largest number of the spans of each text, NaN without a span, shape (n,)."""
        found = np.full(len(self.texts), np.nan)
        np.fmax.at(found, self.row, values)
        return found

    def measure(self) -> dict[str, Floats]:
        """Return the number of spans of each text, and the lengths of the longest and the shortest."""
        first, last = self.places
        length = np.full(len(self.row), np.nan)
        starts = self.texts.tokens[0]
        length[self.is_inside] = np.searchsorted(starts, last) - np.searchsorted(starts, first)
        number = np.bincount(self.row, minlength=len(self.texts)).astype(float)
        return {
            "more spans": number,
            "fewer spans": -number,
            "a longer span": self.largest(length),
            "a shorter span": self.largest(-length),
        }

    def find_faults(self) -> dict[str, Bools]:
        """Return which texts have a span with each fault, and which have none at all."""
        inside, classes = self.is_inside, self.texts.classes
        first, last = self.places
        cuts = [(classes[edge - 1] == WORD) & (classes[edge] == WORD) for edge in (first, last)]
        outer = [classes[first], classes[last - 1]]
        return {
            "a span outside of its text": self.rows_with(~inside),
            "an edge of a span within a word": self.rows_with(cuts[0] | cuts[1], inside),
            "a blank at an edge of a span": self.rows_with(
                (outer[0] == BLANK) | (outer[1] == BLANK), inside
            ),
            "a mark at the start of a span": self.rows_with(outer[0] == SYMBOL, inside),
            "a mark at the end of a span": self.rows_with(outer[1] == SYMBOL, inside),
            "spans that overlap": self._overlaps(),
            "a span that contradicts its value": self._contradicts_value(),
            "no span": np.bincount(self.row, minlength=len(self.texts)) == 0,
        }

    def _overlaps(self) -> Bools:
        order = np.lexsort((self.end, self.start, self.row))
        row, start, end = self.row[order], self.start[order], self.end[order]
        # Ends are compared within a text: each has its own range of numbers.
        offset = row * (int(np.abs(end).max(initial=0)) + 1)
        reach = np.maximum.accumulate(end + offset)
        hits = np.zeros(len(row), dtype=bool)
        hits[1:] = (row[1:] == row[:-1]) & (start[1:] + offset[1:] < reach[:-1])
        return np.bincount(row[hits], minlength=len(self.texts)) > 0

    def _contradicts_value(self) -> Bools:
        stated = np.asarray(pc.is_valid(self.values))[self.is_inside]
        values = [v or "" for v in self.values.to_pylist()]
        stated_texts = TextArrays.from_texts([v for v, own in zip(values, self.is_inside) if own])
        stated &= stated_texts.ends > stated_texts.starts
        own = self.texts.hash_ranges(*self.places)
        said = stated_texts.hash_ranges(stated_texts.starts, stated_texts.ends)
        return self.rows_with((own != said) & stated, self.is_inside)

    @cached_property
    def marked(self) -> Bools:
        """Whether each token of the texts lies in a span, in whole or in part, shape (t,)."""
        steps = np.zeros(len(self.texts.raw) + 1, dtype=np.int32)
        np.add.at(steps, self.places[0], 1)
        np.add.at(steps, self.places[1], -1)
        return self.texts.count_in(np.cumsum(steps[:-1]) > 0) > 0

    @cached_property
    def clues(self) -> tuple[Hashes, Ints]:
        """Words in and beside each span as hashes, and the span that each speaks for."""
        first_token, last_token = self.texts.tokens
        first, last = self.places
        begin = np.searchsorted(last_token, first, side="right")
        finish = np.searchsorted(first_token, last, side="left")
        spans = np.flatnonzero(self.is_inside)
        sizes = np.maximum(finish - begin, 0)
        within = np.repeat(begin - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        words = self.texts.words
        padded = np.concatenate([words, np.zeros(1, np.uint64)])
        row = self.texts.owner
        own_row = self.row[self.is_inside]
        before = np.where(
            (begin > 0) & (row[np.maximum(begin - 1, 0)] == own_row), padded[begin - 1], 0
        )
        follows = (finish < len(words)) & (row[np.minimum(finish, len(words) - 1)] == own_row)
        after = np.where(follows, padded[np.minimum(finish, len(words))], 0)
        beside = [scramble(one + np.uint64(k)) for k, one in enumerate((before, after), start=1)]
        keys = [words[within + np.arange(len(within))], *beside]
        return np.concatenate(keys), np.concatenate([np.repeat(spans, sizes), spans, spans])


@dataclass(frozen=True)
class SpanModel:
    """Marks of real train texts: labels, and words that are nearly always or hardly ever marked."""

    labels: LabelModel
    known: Hashes  # words, sorted
    uses: Ints
    marked: Ints
    frequent: tuple[str, ...]  # labels with the most spans
    values: Hashes  # labels together with their words, sorted

    @classmethod
    def fit(cls, spans: SpanArrays) -> SpanModel:
        """Return what real train texts mark."""
        known, place = np.unique(spans.texts.words, return_inverse=True)
        uses = np.bincount(place, minlength=len(known))
        marked = np.bincount(place[spans.marked], minlength=len(known))
        frequent = frequent_labels(spans.labels)
        labels = LabelModel.fit(*spans.clues, spans.labels)
        return cls(labels, known, uses, marked, frequent, np.unique(_values(spans)))

    def find_faults(self, spans: SpanArrays) -> dict[str, Bools]:
        """Return which texts have a label or a mark that real train texts do not have."""
        uses, marked = (
            look_up(spans.texts.words, self.known, one) for one in (self.uses, self.marked)
        )
        is_mention = (uses >= _MENTION[0]) & (marked >= _MENTION[1] * uses)
        is_plain = (uses >= _PLAIN[0]) & (marked <= _PLAIN[1] * uses) & spans.texts.is_word
        return {
            "an unknown label of a span": spans.rows_with(~self.labels.is_known(spans.labels)),
            "a mention without its span": spans.texts.any_in(is_mention & ~spans.marked),
            "a span over words never marked": spans.texts.any_in(is_plain & spans.marked),
        }

    def contradictions(self, spans: SpanArrays) -> dict[str, Floats]:
        """Return by how much words speak against a span's label, the worst of each text, by label."""
        odds = self.labels.contradictions(*spans.clues, spans.labels)
        labels = np.array(spans.labels, dtype=object)
        return {
            "": spans.largest(odds),
            **{one: spans.largest(np.where(labels == one, odds, np.nan)) for one in self.frequent},
        }

    def find_unknown_values(self, spans: SpanArrays) -> dict[str, Bools]:
        """Return which texts have a value of a label that no train text has for it, by label."""
        labels = np.array(spans.labels, dtype=object)[spans.is_inside]
        is_known = np.isin(_values(spans), self.values)
        return {
            one: spans.rows_with((labels == one) & ~is_known, spans.is_inside)
            for one in self.frequent
        }


def _values(spans: SpanArrays) -> Hashes:
    """Return one hash for the label and the words of each span that is inside."""
    labels = [one for one, own in zip(spans.labels, spans.is_inside) if own]
    arrays = TextArrays.from_texts(labels)
    return chain(
        arrays.hash_ranges(arrays.starts, arrays.ends), spans.texts.hash_ranges(*spans.places)
    )
