"""Write CoNLL in BIO or BILOU, and CoNLL-U that waits for its annotators."""

from __future__ import annotations

from collections.abc import Sequence

from twinset.io.text.conll import COMMENT, HELD_ELSEWHERE, NAMELESS
from twinset.io.text.escapes import escaped, escaped_line
from twinset.io.text.rows import Row, TextColumns, span_at
from twinset.io.text.tags import Scheme, fit_spans, tags_of
from twinset.io.text.tokens import gaps_of, tokens_of
from twinset.io.text.writer import RoundTrip, TextWriter, check_label


class ConllWriter(TextWriter):
    """CoNLL with tags in BIO or BILOU, or CoNLL-U with ``NER=`` in its last column.

    A line of CoNLL holds the token, how it is parted from its neighbours (``_`` or ``SpaceAfter=No``)
    and the tag. Other columns stand above each text as ``# column = value``.
    """

    def begin(self, columns: TextColumns) -> None:
        """Open the file; a column whose name no comment can hold is left out."""
        self._stream = self.open(self.place)
        self._held = {name for name in columns.others if _is_key(name)}
        for name in columns.others:
            if name not in self._held:
                self.losses.column(f"the column '{name}' is left out: no comment can have its name")

    def put(self, row: Row) -> RoundTrip:
        """Write one text."""
        tokens = tokens_of(row.text)
        fit = fit_spans(row.spans, tokens)
        for _, _, label in fit.runs:
            check_label(label, self.losses.format)
        scheme: Scheme = "BILOU" if self.losses.format == "bilou" else "BIO"
        tags = tags_of(fit.runs, len(tokens), scheme)
        is_conllu = self.losses.format == "conllu"
        cells = {key: value for key, value in row.cells.items() if key in self._held}
        lines = [f"# {key} = {escaped_line(value)}" for key, value in cells.items()]
        if is_conllu and "sent_id" not in cells:
            lines.append(f"# sent_id = {NAMELESS}{self.losses.n_rows}")
        if is_conllu or not tokens:
            lines.append(f"# text = {escaped_line(row.text)}")
        spacing = _spacing(gaps_of(row.text, tokens))
        for k, ((start, end), told, tag) in enumerate(zip(tokens, spacing, tags), start=1):
            word = row.text[start:end]
            if is_conllu:
                entity = [] if tag == "O" else [f"NER={escaped(tag)}"]
                misc = "|".join([*entity, *told]) or "_"
                lines.append("\t".join([str(k), word, *"_______", misc]))
            else:
                lines.append("\t".join([word, "|".join(told) or "_", tag]))
        self._stream.write("\n".join(lines) + "\n\n")
        places = [(tokens[a][0], tokens[b - 1][1], label) for a, b, label in fit.runs]
        spans = [span_at(row.text, *place) for place in places]
        return RoundTrip(Row(row.text, spans, cells), {"spans": fit.told()})


def _is_key(name: str) -> bool:
    found = COMMENT.fullmatch(f"# {name} = ")
    return found is not None and found[1] == name and name not in (*HELD_ELSEWHERE, "spans")


def _spacing(gaps: Sequence[str]) -> list[list[str]]:
    """Return for each token what CoNLL-U says about the white space behind it, and before the first."""
    told = []
    for k, after in enumerate(gaps[1:]):
        parts = [f"SpacesBefore={escaped(gaps[0])}"] if k == 0 and gaps[0] else []
        is_last = k == len(gaps) - 2
        if after and (is_last or after != " "):
            parts.append(f"SpacesAfter={escaped(after)}")
        elif not after and not is_last:
            parts.append("SpaceAfter=No")
        told.append(parts)
    return told
