"""spaCy's DocBin: one file of annotated texts, for training its pipelines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twinset.core.errors import DataError, without_values
from twinset.core.extras import optional
from twinset.core.untrusted import parse_json
from twinset.io.faults import Faults
from twinset.io.text.rows import RoundTrip, Row, TextColumns, TextRows, TextWriter, check_label
from twinset.io.text.spans import LABEL, span_at
from twinset.io.text.tokens import Place, Run, fit_spans, gaps_of, spans_of, tokens_of
from twinset.io.unpacking import check_expansion

_GROUP = "sc"  # the group that spaCy's own categoriser of spans reads
_CELLS = "twinset"


def read_spacy(file: Path, faults: Faults) -> TextRows:
    """Return the texts of a DocBin; the category of a text with exactly one is its class."""
    spacy = _spacy()
    rows, label = list[Row](), ""
    try:
        check_expansion(file)
        docs = spacy.tokens.DocBin().from_bytes(file.read_bytes())
        for doc in docs.get_docs(spacy.vocab.Vocab()):
            row, name = _row(doc)
            rows.append(row)
            label = name or label
    except (ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise DataError(
            f"'{file.name}' cannot be read as a DocBin", got=type(error).__name__
        ) from without_values(error)
    return TextRows(rows, label=label)


def _row(doc: Any) -> tuple[Row, str]:
    """Return the row of a document, and the name of its class if it has one."""
    spans = doc.spans.get(_GROUP, doc.ents)
    stored = parse_json(doc.user_data.get(_CELLS, "{}"))
    cells, name = dict(stored.get("cells", {})), stored.get("label") or LABEL
    chosen = [key for key, value in doc.cats.items() if value >= 0.5]
    if len(chosen) == 1:
        cells[name] = chosen[0]
    places = [span_at(doc.text, s.start_char, s.end_char, s.label_) for s in spans]
    return Row(doc.text, places, cells), name if len(chosen) == 1 else ""


class SpacyWriter(TextWriter):
    """Writes texts with entities, spans that share tokens in the group ``sc``, and classes as categories.

    All documents are in memory until the end, as the file is written at once.
    """

    def begin(self, columns: TextColumns) -> None:
        """Create an empty bin."""
        spacy = _spacy()
        self._doc, self._span = spacy.tokens.Doc, spacy.tokens.Span
        self._vocab = spacy.vocab.Vocab()
        self._bin = spacy.tokens.DocBin(store_user_data=True)
        self._label = columns.label
        self._classes: dict[str, None] = {}
        self._docs: list[tuple[Any, str | None]] = []

    def put(self, row: Row) -> RoundTrip:
        """Append one text."""
        places, spaces = _words(row.text)
        fit = fit_spans(row.spans, places)
        words = [row.text[a:b] for a, b in places]
        doc = self._doc(self._vocab, words=words, spaces=spaces)
        doc.ents = self._spans(doc, fit.runs)
        every = sorted([*fit.runs, *fit.overlapping])
        if fit.overlapping:
            doc.spans[_GROUP] = self._spans(doc, every)
        chosen = row.cells.get(self._label) if self._label else None
        if chosen is not None:
            self._classes[chosen] = None
        cells = {key: value for key, value in row.cells.items() if key != self._label}
        stored = {"label": self._label, "cells": cells}
        doc.user_data[_CELLS] = json.dumps(stored, ensure_ascii=False, sort_keys=True)
        self._docs.append((doc, chosen))
        back = spans_of(doc.text, places, every)
        reasons = {"spans": fit.losses(holds_overlapping=True)}
        return RoundTrip(Row(doc.text, back, row.cells), reasons)

    def _spans(self, doc: Any, runs: Sequence[Run]) -> list[Any]:
        return [self._span(doc, a, b, label=check_label(label, "spacy")) for a, b, label in runs]

    def finish(self) -> None:
        """Write the file; every text gets a value for every category of the set, as spaCy requires."""
        for doc, chosen in self._docs:
            if chosen is not None:
                doc.cats = {name: float(name == chosen) for name in sorted(self._classes)}
            self._bin.add(doc)
        self.draft.write_bytes(self._bin.to_bytes())


def _words(text: str) -> tuple[list[Place], list[bool]]:
    """Return tokens, and which are followed by a blank; other white space is a token, as in spaCy."""
    tokens = tokens_of(text)
    places, spaces = list[Place](), list[bool]()
    at = 0
    for gap, token in zip(gaps_of(text, tokens), [*tokens, None]):
        if gap.startswith(" ") and places:
            spaces[-1] = True
            gap, at = gap[1:], at + 1
        if gap:
            places.append((at, at + len(gap)))
            spaces.append(False)
        if token is not None:
            places.append(token)
            spaces.append(False)
            at = token[1]
    return places, spaces


def _spacy() -> Any:
    optional("spacy.tokens")
    optional("spacy.vocab")
    return optional("spacy")
