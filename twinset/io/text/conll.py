"""CoNLL, a token and its tag on each line with an empty line after each text, and CoNLL-U."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from twinset.core.errors import DataError
from twinset.io.faults import Faults
from twinset.io.text.rows import (
    RoundTrip,
    Row,
    Tagged,
    TextColumns,
    TextRows,
    TextWriter,
    check_label,
    read_utf8,
    rows_of_tags,
)
from twinset.io.text.tokens import (
    Scheme,
    fit_spans,
    gaps_of,
    joined,
    spans_of,
    split_tag,
    tags_of,
    tokens_of,
)

_HEAD = 1 << 16  # bytes that decide whether a .txt file has tags: some hundred lines
_NAMELESS = "row-"  # beginning of a `sent_id` that is only the number of the row
_NO_COLUMNS = ("text", "newdoc id", "newpar id", "global.columns")  # comments that become no column
_COMMENT = re.compile(r"#\s*([^=\t]*[^=\s])\s*=(?: ?)(.*)", re.DOTALL)
_SPACING = re.compile(r"Spaces?(After|Before)=([^|]*)")
_ENTITY = re.compile(r"(?:^|\|)NER=([^|]*)")

# White space inside a field of a line, written as UDPipe does in CoNLL-U.
_SHORT = {" ": r"\s", "\t": r"\t", "\n": r"\n", "\r": r"\r", "|": r"\p", "\\": r"\\"}
_LONG = {written: sign for sign, written in _SHORT.items()}
_WRITTEN = re.compile(r"\\u[0-9a-f]{4}|\\[strnp\\]")
_SIGN = re.compile(r"[\s|\\]")
_BREAK = re.compile(r"[^\S ]|\\|^ | $")


def escaped(text: str) -> str:
    """Return `text` without white space, bars and lone backslashes.

    Examples
    --------
    >>> print(escaped("a b|c"))
    a\\sb\\pc
    """
    return _SIGN.sub(_escape, text)


def escaped_line(text: str) -> str:
    """Return `text` as one line whose ends can be stripped; blanks and bars inside stay as they are."""
    return _BREAK.sub(_escape, text)


def unescaped(text: str) -> str:
    """Return the argument of `escaped` or `escaped_line`; a backslash of no escape stays."""
    return _WRITTEN.sub(lambda m: _LONG.get(m[0]) or chr(int(m[0][2:], 16)), text)


def _escape(found: re.Match[str]) -> str:
    return _SHORT.get(found[0]) or f"\\u{ord(found[0]):04x}"


@dataclass
class _Sentence:
    cells: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=lambda: [""])
    lines: list[int] = field(default_factory=list)
    line: int = 0
    comment_text: str = ""  # the text by its comment; used if there is no token
    has_end: bool = False  # whether the white space after the last token is known
    is_damaged: bool = False

    def add_comment(self, key: str, value: str) -> None:
        if key == "text":
            self.comment_text = value
        elif key not in _NO_COLUMNS and not (key == "sent_id" and value.startswith(_NAMELESS)):
            self.cells[key] = value

    def add_token(self, word: str, tag: str, misc: str, line: int) -> None:
        """Append a token; white space that is not stated is one blank."""
        spacing = dict(_SPACING.findall(misc))
        if "Before" in spacing:
            self.gaps[-1] = unescaped(spacing["Before"])
        after = spacing.get("After")
        self.has_end = after is not None
        self.gaps.append(" " if after is None else "" if after == "No" else unescaped(after))
        self.words.append(word)
        self.tags.append(tag)
        self.lines.append(line)

    def tagged(self, name: str) -> Tagged:
        """Return the row with its tokens and tags; `name` is that of the file."""
        text, places = joined(self.words, [*self.gaps[:-1], self.gaps[-1] * self.has_end])
        row = Row(text if self.words else self.comment_text, [], self.cells)
        line = [f"{name}, line {number}" for number in self.lines]
        return Tagged(row, places, self.tags, line.__getitem__, self.is_damaged)


def sniff_conll(path: Path) -> Path | None:
    """Return a text file whose first lines are tokens followed by tags."""
    with path.open("rb") as stream:
        head = stream.read(_HEAD).decode("utf-8", errors="replace")
    lines = [line.split() for line in re.split(r"\r?\n", head)[:-1] or [head]]
    lines = [columns for columns in lines if columns and columns[0] != "-DOCSTART-"][:20]
    tagged = [len(columns) > 1 and split_tag(columns[-1])[0] != "?" for columns in lines]
    return path if tagged and sum(tagged) > 0.9 * len(tagged) else None


def read_conll(path: Path, faults: Faults) -> TextRows:
    """Return the texts of a CoNLL file: its first column has tokens, its last one tags.

    IOB1, BIO, BILOU and BIOES are distinguished by the tags. Comments ``# key = value`` become cells.
    If no column states the white space (``SpaceAfter=No``), tokens are separated by one blank.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "a.conll")
    ...     _ = file.write_text("to O\\nNew B-city\\nYork I-city\\n")
    ...     row = read_conll(file, Faults()).rows[0]
    >>> row.text, row.spans[0]["value"]
    ('to New York', 'New York')
    """
    return _read(path, faults, is_conllu=False)


read_bilou = read_conll


def read_conllu(path: Path, faults: Faults) -> TextRows:
    """Return the texts of a file with the ten columns of CoNLL-U; tags are ``NER=`` in the last one."""
    return _read(path, faults, is_conllu=True)


def _read(path: Path, faults: Faults, *, is_conllu: bool) -> TextRows:
    sentences = _sentences(read_utf8(path), path.name, faults, is_conllu)
    return TextRows(rows_of_tags([one.tagged(path.name) for one in sentences], faults))


def _sentences(text: str, name: str, faults: Faults, is_conllu: bool) -> Iterator[_Sentence]:
    sentence, n_columns = _Sentence(), 0
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
        comment = _COMMENT.fullmatch(line) if not sentence.words and "\t" not in line else None
        if comment:
            sentence.add_comment(comment[1], unescaped(comment[2]))
        elif not (is_conllu and line.startswith("#")):
            try:
                n_columns = _add_line(sentence, line, number, is_conllu, n_columns)
            except DataError as error:
                sentence.is_damaged = True
                faults.add(f"{name}, line {number}", str(error))


def _add_line(sentence: _Sentence, line: str, number: int, is_conllu: bool, n_columns: int) -> int:
    """Append the token of a line; return its number of columns, that of all lines (0: the first)."""
    columns = line.split("\t") if "\t" in line else line.split()
    if is_conllu:
        if len(columns) != 10:
            raise DataError(f"it has {len(columns)} columns", allowed="10, separated by tabulators")
        if columns[0].isdecimal():  # neither a range of words (1-2) nor an empty node (1.1)
            found = _ENTITY.search(columns[9])
            tag = unescaped(found[1]) if found else "O"
            if not columns[1]:
                raise DataError("it has no token")
            sentence.add_token(columns[1], tag, columns[9], number)
        return len(columns)
    if len(columns) < 2 or not columns[0] or not columns[-1]:
        raise DataError("it has one column", allowed="a token, and a tag behind it")
    if len(columns) != (n_columns or len(columns)):
        raise DataError(
            f"it has {len(columns)} columns", allowed=f"{n_columns}, as lines before it"
        )
    misc = next((column for column in columns[1:-1] if _SPACING.match(column)), "")
    sentence.add_token(columns[0], columns[-1], misc, number)
    return len(columns)


class ConllWriter(TextWriter):
    """Writes CoNLL with tags in BIO or BILOU, or CoNLL-U with ``NER=`` in its last column.

    A line of CoNLL holds the token, its spacing (``_`` or ``SpaceAfter=No``) and the tag. Other columns
    precede each text as ``# column = value``.
    """

    def begin(self, columns: TextColumns) -> None:
        """Open the file; a column whose name cannot be that of a comment is left out."""
        self._stream = self.open(self.draft)
        self._keys = {name for name in columns.others if _is_key(name)}
        for name in columns.others:
            if name not in self._keys:
                self.losses.add_column(
                    f"the column '{name}' is left out: no comment can have its name"
                )

    def put(self, row: Row) -> RoundTrip:
        """Write one text."""
        tokens = tokens_of(row.text)
        fit = fit_spans(row.spans, tokens)
        for _, _, label in fit.runs:
            check_label(label, self.losses.format)
        scheme: Scheme = "BILOU" if self.losses.format == "bilou" else "BIO"
        tags = tags_of(fit.runs, len(tokens), scheme)
        is_conllu = self.losses.format == "conllu"
        cells = {key: value for key, value in row.cells.items() if key in self._keys}
        lines = [f"# {key} = {escaped_line(value)}" for key, value in cells.items()]
        if is_conllu and "sent_id" not in cells:
            lines.append(f"# sent_id = {_NAMELESS}{self.losses.n_rows}")
        if is_conllu or not tokens:
            lines.append(f"# text = {escaped_line(row.text)}")
        spacing = _spacing(gaps_of(row.text, tokens))
        for k, ((start, end), gaps, tag) in enumerate(zip(tokens, spacing, tags), start=1):
            word = row.text[start:end]
            if is_conllu:
                entity = [] if tag == "O" else [f"NER={escaped(tag)}"]
                misc = "|".join([*entity, *gaps]) or "_"
                lines.append("\t".join([str(k), word, *"_______", misc]))
            else:
                lines.append("\t".join([word, "|".join(gaps) or "_", tag]))
        self._stream.write("\n".join(lines) + "\n\n")
        spans = spans_of(row.text, tokens, fit.runs)
        return RoundTrip(Row(row.text, spans, cells), {"spans": fit.losses()})


BilouWriter = ConlluWriter = ConllWriter


def _is_key(name: str) -> bool:
    found = _COMMENT.fullmatch(f"# {name} = ")
    return found is not None and found[1] == name and name not in (*_NO_COLUMNS, "spans")


def _spacing(gaps: Sequence[str]) -> list[list[str]]:
    """Return for each token the fields of CoNLL-U for the white space after it, and before the first."""
    fields = []
    for k, after in enumerate(gaps[1:]):
        parts = [f"SpacesBefore={escaped(gaps[0])}"] if k == 0 and gaps[0] else []
        is_last = k == len(gaps) - 2
        if after and (is_last or after != " "):
            parts.append(f"SpacesAfter={escaped(after)}")
        elif not after and not is_last:
            parts.append("SpaceAfter=No")
        fields.append(parts)
    return fields
