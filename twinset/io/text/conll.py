"""Read CoNLL, a token and its tag a line with an empty line behind each text, and CoNLL-U."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from twinset.io.text.escapes import unescaped
from twinset.io.text.rows import Row, span_at
from twinset.io.text.tags import Scheme, runs_of, scheme_of
from twinset.io.text.tokens import joined
from twinset.io.vision.faults import Faults

NAMELESS = "row-"
"""Beginning of a `sent_id` that stands for nothing but the number of the row."""

HELD_ELSEWHERE = ("text", "newdoc id", "newpar id", "global.columns")
"""Comments that are no column of the set."""

COMMENT = re.compile(r"#\s*([^=\t]*[^=\s])\s*=(?: ?)(.*)", re.DOTALL)
_SPACING = re.compile(r"Spaces?(After|Before)=([^|]*)")
_ENTITY = re.compile(r"(?:^|\|)NER=([^|]*)")


@dataclass
class _Sentence:
    cells: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=lambda: [""])
    lines: list[int] = field(default_factory=list)
    line: int = 0
    alone: str = ""  # what the comment says that the text is; it counts where there is no token
    end_is_told: bool = False
    is_cut: bool = False

    def tell(self, key: str, value: str) -> None:
        """Take a comment."""
        if key == "text":
            self.alone = value
        elif key not in HELD_ELSEWHERE and not (key == "sent_id" and value.startswith(NAMELESS)):
            self.cells[key] = value

    def add(self, word: str, tag: str, misc: str, line: int) -> None:
        """Take a token; what nobody tells about white space is one blank."""
        told = dict(_SPACING.findall(misc))
        if "Before" in told:
            self.gaps[-1] = unescaped(told["Before"])
        after = told.get("After")
        self.end_is_told = after is not None
        self.gaps.append(" " if after is None else "" if after == "No" else unescaped(after))
        self.words.append(word)
        self.tags.append(tag)
        self.lines.append(line)

    def row(self, scheme: Scheme) -> tuple[Row, list[tuple[int, str]]]:
        """Return the row and the faults of its tags, by token."""
        if not self.words:
            return Row(self.alone, [], self.cells, self.line), []
        text, places = joined(self.words, [*self.gaps[:-1], self.gaps[-1] * self.end_is_told])
        runs, faults = runs_of(self.tags, scheme)
        spans = [span_at(text, places[a][0], places[b - 1][1], label) for a, b, label in runs]
        return Row(text, spans, self.cells, self.line), faults


def read_conll(text: str, name: str, faults: Faults, *, is_conllu: bool = False) -> list[Row]:
    """Return the texts of a CoNLL file: its first column are tokens, its last one tags.

    IOB1, BIO, BILOU and BIOES are told apart by the tags. Comments ``# key = value`` become cells.
    Where no column tells the white space (``SpaceAfter=No``), tokens stand one blank apart.

    Parameters
    ----------
    text : str
        Content of the file.
    name : str
        Its name, for faults.
    faults : Faults
        Takes what cannot be used, with file and line.
    is_conllu : bool
        Whether it has the ten columns of CoNLL-U; tags then stand as ``NER=`` in the last one.

    Examples
    --------
    >>> row = read_conll("to O\\nNew B-city\\nYork I-city\\n", "a.conll", Faults())[0]
    >>> row.text, row.spans[0]["value"]
    ('to New York', 'New York')
    """
    sentences = list(_sentences(text, name, faults, is_conllu))
    scheme = scheme_of(sentence.tags for sentence in sentences)
    rows = []
    for sentence in sentences:
        row, wrong = sentence.row(scheme)
        for k, what in wrong:
            faults.add(f"{name}, line {sentence.lines[k]}", what)
        if not wrong and not sentence.is_cut:
            rows.append(row)
    return rows


def _sentences(text: str, name: str, faults: Faults, is_conllu: bool) -> Iterator[_Sentence]:
    sentence = _Sentence()
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        line = line.removesuffix("\r")
        if not line.strip():
            if sentence.line:
                yield sentence
            sentence = _Sentence()
            continue
        if line.startswith("-DOCSTART-"):
            continue
        sentence.line = sentence.line or number
        comment = COMMENT.fullmatch(line) if not sentence.words and "\t" not in line else None
        if comment:
            sentence.tell(comment[1], unescaped(comment[2]))
        elif not (is_conllu and line.startswith("#")):
            fault = _add_line(sentence, line, number, is_conllu)
            if fault:
                sentence.is_cut = True
                faults.add(f"{name}, line {number}", fault)


def _add_line(sentence: _Sentence, line: str, number: int, is_conllu: bool) -> str:
    """Take the token of a line; return what is wrong with the line."""
    columns = line.split("\t") if "\t" in line else line.split()
    if is_conllu:
        if len(columns) != 10:
            return f"it has {len(columns)} columns; allowed: 10, parted by tabulators"
        if columns[0].isdecimal():  # neither a range of words (1-2) nor an empty node (1.1)
            found = _ENTITY.search(columns[9])
            tag = unescaped(found[1]) if found else "O"
            sentence.add(columns[1], tag, columns[9], number)
        return ""
    if len(columns) < 2 or not columns[0] or not columns[-1]:
        return "it has one column; allowed: a token, and a tag behind it"
    misc = next((column for column in columns[1:-1] if _SPACING.match(column)), "")
    sentence.add(columns[0], columns[-1], misc, number)
    return ""
