"""The layout of a CSV file: its encoding, delimiter, header and quotes, found before it is parsed."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.reading import Reason, Remark
from twinset.core.errors import DataError
from twinset.io.reading.options import ReadOptions
from twinset.io.unpacking import check_expansion

_HEAD_BYTES = 1 << 20  # a header longer than this is no table of columns
_SNIFFED_BYTES = 1 << 16  # enough for a hundred rows of most tables, read in a millisecond
_SNIFFED_RECORDS = 100  # rows whose cells are counted; more do not change the choice
_SCANNED_AT_ONCE = 1 << 24  # bytes that are scanned at once: the masks of more would fill caches
_MARGIN = 3  # characters before a digit that may be a border, a space and a sign
_MIN_REGULAR = 3  # rows that must agree before one column is taken for several
_MAX_CONTROLS = (
    0.3  # share of control characters: a text may hold some, binary data are full of them
)
_YEARS = range(1900, 2101)  # a name that is a number is one of these, or counts
UNNAMED = "(column "  # begins the name that a column without one gets, before its number
_QUOTE, _ZERO, _NINE, _NEWLINE = b'"09\n'
_DELIMITERS = ",\t;|"
_ALL = 2  # score of a delimiter that cuts all rows and the header into as many cells
_BLANKS = ("  ", " ")  # several, or one
_RARE_DELIMITERS = ("^", "~", ":", "\x1f", "\x01", *_BLANKS)
_FILES = {  # first bytes -> what they begin
    b"%PDF": "a PDF document",
    b"%!PS": "a PostScript document",
    b"version https://git-lfs": "a pointer of Git LFS in place of the file",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"PK\x05\x06": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook or Word document",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"PAR1": "a Parquet file",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite database",
    b"{\\rtf": "an RTF document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
    b"\x80\x04": "a pickle",
    b"\x80\x05": "a pickle",
}
# Other tags count where their line ends in a tag or has no delimiter: a header may begin with "<".
_MARKUP = re.compile(
    rb"\s*<(!doctype|!--|\?xml|html|head|body|svg"
    rb"|[a-z][a-z0-9:-]*[\s/>]([^\r\n]*>[ \t]*|[^\r\n,;|\t]*)(?=[\r\n]|\Z))",
    re.I,
)
_JSON = re.compile(rb'\s*(\{\s*"|\{\s*\}|\[\s*[\[{"\]]|\[\s*-?[0-9.eE+-]+\s*,)')
_NOT_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1e\x7f]")
_NUMBER = re.compile(r"\s*[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_DATE = re.compile(r"\s*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T]\d{1,2}:\d\d.*)?\s*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the lines of a CSV file are to be parsed."""

    delimiter: str
    names: tuple[str, ...]  # of the columns
    header: bool  # whether they are the first line
    skip: int  # lines before the header
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class RawText:
    """The bytes of a text file, unpacked."""

    path: Path
    data: pa.Buffer
    encoding: str = ""  # that it was converted from; empty for UTF-8

    def in_utf8(self) -> RawText:
        """Return the text in UTF-8, converted where it is in UTF-16 or else in Windows-1252."""
        given = memoryview(self.data)
        try:
            str(given, "utf-8")
            wide = _wide_encoding(self.head)
            if not wide:
                return self
        except UnicodeDecodeError:
            wide = _wide_encoding(self.head)
        name = wide or "Windows-1252"
        # Five bytes have no sign in Windows-1252; such text is in another encoding, and kept readable.
        text = str(given, wide or "cp1252", "replace")
        return replace(self, data=pa.py_buffer(text.removeprefix("\ufeff").encode()), encoding=name)

    @classmethod
    def from_file(cls, path: Path) -> RawText:
        """Return the bytes of a file; a plain file is mapped, not read."""
        if path.suffix == ".gz":
            check_expansion(path)
            with pa.input_stream(str(path), compression="gzip") as stream:
                return cls(path, pa.py_buffer(stream.read()))
        with pa.memory_map(str(path)) as file:
            return cls(path, file.read_buffer())

    @property
    def head(self) -> bytes:
        """The first bytes."""
        return bytes(self.data.slice(0, min(_HEAD_BYTES, self.data.size)).to_pybytes())

    def scan(self, delimiter: str) -> BytesFound:
        """Return which bytes occur that need a closer look."""
        found = BytesFound()
        whole = np.frombuffer(self.data, np.uint8)
        for start in range(0, len(whole), _SCANNED_AT_ONCE):
            own = whole[start : start + _SCANNED_AT_ONCE]
            found.n_quotes += int(np.count_nonzero(own == _QUOTE))
            found.has_null |= not own.all()
            # A few bytes more, so that neighbours across the border are seen.
            block = whole[max(start - _MARGIN, 0) : start + _SCANNED_AT_ONCE + 1]
            found.has_codes |= _has_leading_zero(block, delimiter, _MARGIN if start else 0)
        return found


@dataclass
class BytesFound:
    """Bytes of a file that need a closer look."""

    n_quotes: int = 0
    has_null: bool = False
    has_codes: bool = False  # a cell of digits after a zero


def _has_leading_zero(
    block: npt.NDArray[np.uint8],
    delimiter: str,
    first: int = 0,  # position that is looked at first
) -> bool:
    """Return whether a cell may begin with a zero and another digit, or be hexadecimal."""
    zero = np.flatnonzero(block[first:-1] == _ZERO) + first
    after = block[zero + 1]
    zero = zero[(after >= _ZERO) & (after <= _NINE) | (after == b"x"[0]) | (after == b"X"[0])]
    # A sign and a space may stand before it. What lies before the block counts as a border.
    for skipped in (b"+-", b" \t"):
        before = np.where(zero > 0, block[zero - 1], _NEWLINE)
        zero = np.where(np.isin(before, np.frombuffer(skipped, np.uint8)), zero - 1, zero)
    before = np.where(zero > 0, block[zero - 1], _NEWLINE)
    borders = np.frombuffer(b'\n\r"' + delimiter.encode()[:1], np.uint8)
    return bool(np.isin(before, borders).any())


def find_layout(raw: RawText, options: ReadOptions, *, may_be_unnamed: bool = False) -> Layout:
    """Return the layout of a CSV file; columns without a name are refused, or numbered.

    Raises
    ------
    DataError
        The file is no text in UTF-8, or no table.
    """
    path, head = raw.path, raw.head
    refuse_other_files(path, head, "csv")
    text = _as_text(path, head)
    skip = options.skip
    if not skip and (
        line_of_excel := re.match(r"sep=(.)\n", text)
    ):  # a line that Excel reads and hides
        skip, options = 1, replace(options, delimiter=options.delimiter or line_of_excel[1])
    if skip:
        text = "\n".join(text.split("\n")[skip:])
    if not text.strip():
        raise DataError(f"the file '{path}' is empty", todo="give a file with a header and rows")
    sample = text[:_SNIFFED_BYTES]
    is_whole = len(text) <= _SNIFFED_BYTES and raw.data.size <= _HEAD_BYTES
    remarks: list[Remark] = []
    delimiter = options.delimiter or _find_delimiter(path, sample, is_whole, remarks)
    records = _records(sample, delimiter, is_whole)
    _refuse_preamble(path, records, options)
    first = _first_record(text, delimiter)
    names = tuple(first)
    has_header = options.header is not False
    if not has_header:
        names = tuple(f"column_{k}" for k in range(1, len(first) + 1))
        remarks.append(Remark(reason=Reason.HEADER_ABSENT))
    empty = [position for position, name in enumerate(names, start=1) if not name.strip()]
    if empty and may_be_unnamed:
        names = tuple(n if n.strip() else f"{UNNAMED}{k})" for k, n in enumerate(names, start=1))
    elif empty:
        todo = "name it in the header (pandas: to_csv(..., index=False))"
        if len(empty) > 1:
            todo += f", or, if this line stands before the header: --read skip={skip + 1}"
        raise DataError(f"column {empty[0]} of '{path}' has no name", todo=todo)
    if has_header and names[0].lstrip().startswith("#"):
        remarks.append(Remark(reason=Reason.COMMENT_NAME, row=1))
    if len(names) == 1 and re.search(r"\n[ \t\r]*\n\s*\S", text):
        remarks.append(Remark(reason=Reason.EMPTY_LINES))
    return Layout(
        delimiter=delimiter,
        names=names,
        header=has_header,
        skip=skip,
        remarks=tuple(remarks),
    )


def refuse_other_files(path: Path, head: bytes, form: str) -> None:
    """Raise DataError where a file's content is not text, or is another format than its ending says."""
    kind = next((kind for magic, kind in _FILES.items() if head.startswith(magic)), "")
    start = head[:2_000].removeprefix(b"\xef\xbb\xbf")
    if not kind and _MARKUP.match(start):
        kind = "an HTML or XML page"
    if not kind and form == "csv" and _JSON.match(start):
        kind = "JSON"
    if not kind and (encoding := _wide_encoding(head)):
        raise not_utf8(path, encoding)
    sample = head[:_SNIFFED_BYTES]
    is_binary = b"\0" in sample or len(_NOT_TEXT.findall(sample)) > _MAX_CONTROLS * len(sample)
    if not kind and is_binary:
        kind = "bytes that are no text"
    if kind:
        todo = {
            "a pointer of Git LFS in place of the file": "fetch the file: git lfs pull",
            "a gzip archive": f"name it '{path.name}.gz'",
            "JSON": "write CSV, or one JSON object a line in a .jsonl file",
            "an HTML or XML page": "fetch the file again: pages of errors and logins are saved so",
        }
        raise DataError(
            f"the content of '{path}' is not what its ending says",
            got=kind,
            allowed="a table as text" if form == "csv" else "one JSON object a line",
            todo=todo.get(kind, "export the table as CSV or Parquet"),
        )


def _wide_encoding(head: bytes) -> str:
    """Return the name of an encoding of two bytes a sign; empty for others."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "UTF-16"
    if b"\0" in head[:_SNIFFED_BYTES] and _looks_wide(head):
        return "UTF-16LE" if head[1:2] == b"\0" else "UTF-16BE"
    return ""


def _looks_wide(head: bytes) -> bool:
    """Return whether every second byte is zero, as in UTF-16 without a byte order mark."""
    sample = head[:200]
    odd, even = sample[1::2], sample[::2]
    return max(odd.count(0), even.count(0)) > 0.7 * min(len(odd), len(even))


def not_utf8(path: Path, encoding: str = "") -> DataError:
    """Return the error for a text in another encoding."""
    return DataError(
        f"the file '{path}' is not encoded in UTF-8",
        got=encoding,
        todo="convert it, e.g.: iconv -f "
        f"{encoding or 'WINDOWS-1252'} -t UTF-8 '{path.name}' > 'utf8-{path.name}'",
    )


def _as_text(path: Path, head: bytes) -> str:
    """Return the first bytes as text with Unix line ends."""
    cut = head if len(head) < _HEAD_BYTES else head[: max(head.rfind(b"\n"), 0) or len(head)]
    try:
        text = cut.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")


def _records(sample: str, delimiter: str, is_whole: bool) -> list[list[str]]:
    """Return the records of a sample that are whole; lines without a cell are none."""
    reader = csv.reader(io.StringIO(sample), delimiter=delimiter)
    records: list[list[str]] = []
    try:
        for record in reader:
            if record and (len(record) > 1 or record[0].strip()):
                records.append(record)
            if len(records) > _SNIFFED_RECORDS:
                break
    except csv.Error:  # a cell longer than this reader takes
        return records
    cut = not is_whole and len(records) <= _SNIFFED_RECORDS
    return records[:-1] if cut and len(records) > 1 else records[:_SNIFFED_RECORDS]


def _first_record(text: str, delimiter: str) -> list[str]:
    lines = io.StringIO(text)
    try:
        return next((one for one in csv.reader(lines, delimiter=delimiter) if one), [])
    except csv.Error:
        return text.split("\n", 1)[0].split(delimiter)


def _find_delimiter(path: Path, sample: str, is_whole: bool, remarks: list[Remark]) -> str:
    """Return the delimiter that cuts all rows into as many cells as the header."""
    line = sample.split("\n", 1)[0]
    is_tsv = ".tsv" in path.suffixes
    usual = "," if "," in line else max(_DELIMITERS, key=line.count)
    fits: dict[str, tuple[float, int]] = {}
    for delimiter in _DELIMITERS:
        counts = [len(record) for record in _records(sample, delimiter, is_whole)]
        if not counts:
            continue
        cells, n = Counter(counts).most_common(1)[0]
        if cells > 1:
            fits[delimiter] = (n / len(counts) + (counts[0] == cells), cells)
    if is_tsv and (fits.get("\t", (0, 0))[0] == _ALL or all(s < _ALL for s, _ in fits.values())):
        return "\t"
    if not fits:
        lines = [one.strip() for one in sample.split("\n") if one.strip()]
        _refuse_one_column(path, lines if is_whole else lines[:-1])
        return ","
    best = max(fits, key=lambda one: (fits[one], one == usual))
    rivals = [one for one, (score, _) in fits.items() if score == _ALL and one != best]
    if fits[best][0] == _ALL and rivals:
        remarks.append(Remark(reason=Reason.TWO_DELIMITERS, sign=best))
    elif best != ",":
        remarks.append(Remark(reason=Reason.DELIMITER, sign=best))
    return best


def _refuse_one_column(path: Path, lines: list[str]) -> None:
    """Raise DataError for a file of one column whose rows another character cuts evenly."""
    if len(lines) < _MIN_REGULAR:
        return
    for mark in _RARE_DELIMITERS:
        counts = {len(one.split() if mark in _BLANKS else one.split(mark)) for one in lines}
        cells = counts.pop()
        if counts or cells < 2 or (mark == " " and not _are_numbers(lines)):
            continue
        name = {" ": "space", "  ": "space"}.get(mark, mark)
        if mark == "  " and not all(mark in one for one in lines):
            continue
        raise DataError(
            f"no delimiter that is known cuts '{path}' into columns",
            got=f"one column, whose rows {name if len(name) > 1 else repr(name)} cuts into {cells} each",
            allowed="comma, tab, semicolon, bar",
            todo=f"write it with commas, or say how to read it: --read delimiter={name}"
            if mark != "  "
            else "write it with commas",
        )


def _are_numbers(lines: list[str]) -> bool:
    """Return whether all words below the first line are numbers."""
    return all(_NUMBER.fullmatch(word) for line in lines[1:] for word in line.split())


def _refuse_preamble(path: Path, records: list[list[str]], options: ReadOptions) -> None:
    """Raise DataError where lines stand before the header: a title, a comment."""
    if len(records) < _MIN_REGULAR or options.header is False:
        return
    cells, n = Counter(map(len, records)).most_common(1)[0]
    before = next((k for k, record in enumerate(records) if len(record) == cells), 0)
    # A few lines of other lengths, then rows of one length: not a table with ragged rows.
    is_regular = cells > 1 and before > 0 and n >= len(records) - before
    if is_regular and before == 1 and len(records[0]) == cells - 1 > 1:
        raise DataError(
            f"the header of '{path}' has one name less than its rows have cells",
            got=f"{cells - 1} names above rows of {cells}",
            todo="name all columns, or remove the delimiter at the end of each row (R: "
            "write.csv(..., row.names = FALSE))",
        )
    if is_regular and len(records[0]) < cells:
        raise DataError(
            f"'{path}' does not begin with the names of its columns",
            got=f"{len(records[0])} cells in its first line, above rows of {cells}",
            todo=f"remove the lines before the header, or say so: --read skip={before + options.skip}",
        )


def check_header(path: Path, table: pa.Table, first: Sequence[str]) -> list[Remark]:
    """Return remarks on names that may be cells; raise DataError where the first line is a row.

    `first` are the cells of the first line, `table` the rows below it.
    """
    pairs = list(zip(first, table.columns))
    texts = [(name, column) for name, column in pairs if pa.types.is_string(column.type)]
    typed = [
        (name, column.type)
        for name, column in pairs
        if not (pa.types.is_string(column.type) or pa.types.is_null(column.type))
    ]
    looks_typed = bool(typed) and all(_is_cell_of(name, kind) for name, kind in typed)
    if looks_typed or not typed:
        occurs = [pc.any(pc.equal(column, name)).as_py() is True for name, column in texts]
        n_needed = 1 if typed else max(len(texts), 2)  # a label may well have the column's name
        if sum(occurs) >= n_needed or (looks_typed and not _may_be_names(first)):
            raise _no_header(path)
    if any(_NUMBER.fullmatch(name) for name in first):
        return [Remark(reason=Reason.NUMBER_NAMES, row=1)]
    return []


def _is_cell_of(name: str, kind: pa.DataType) -> bool:
    """Return whether a name could be a cell of a column of this type."""
    if pa.types.is_boolean(kind):
        return name.strip().lower() in ("true", "false")
    if pa.types.is_temporal(kind):
        return bool(_DATE.fullmatch(name) or re.fullmatch(r"\d\d?:\d\d(:\d\d)?", name.strip()))
    return bool(_NUMBER.fullmatch(name)) or name.strip().lower() in ("", "na", "nan", "?")


def _may_be_names(names: Sequence[str]) -> bool:
    """Return whether the names that are numbers count evenly, as 0, 1, 2, or are years."""
    texts = [name.strip() for name in names if _NUMBER.fullmatch(name)]
    if not texts or not all(text.isdecimal() for text in texts):
        return False
    numbers = [int(text) for text in texts]
    steps = {b - a for a, b in itertools.pairwise(numbers)}
    if len(numbers) == 1:
        return numbers[0] in _YEARS
    return len(steps) == 1 and min(steps) > 0


def _no_header(path: Path) -> DataError:
    return DataError(
        f"the first line of '{path}' looks like a row, not like the names of columns",
        got="cells like those below them",
        allowed="a header",
        todo="add a header, or say how to read it: --read header=no, or header=yes if these are names",
    )


def check_quotes(
    raw: RawText,
    layout: Layout,
    table: pa.Table,
    n_quotes: int,
    kinds: Sequence[pa.DataType] | None = None,
) -> None:
    """Raise DataError for a quote that is opened and not closed, which would swallow rows.

    `kinds` are the types of what the columns hold, by default those of the table.
    """
    if n_quotes == 0:
        return
    if n_quotes % 2:
        _check_strictly(raw, layout)
    for position, column in enumerate(table.columns):
        if not pa.types.is_string(column.type):
            continue
        broken = column.filter(pc.fill_null(pc.match_substring(column, "\n"), False))
        for cell in pc.unique(broken).slice(0, 10_000).to_pylist():  # more show nothing new
            if _swallows_rows(cell, position, kinds or table.schema.types, layout.delimiter):
                raise DataError(
                    f"a quote in column '{table.column_names[position]}' of '{raw.path}' is opened "
                    "and not closed in its row",
                    got="a cell that holds the rows below it",
                    todo='close the quote, or double it if it belongs to the text: ""',
                )


def _check_strictly(raw: RawText, layout: Layout) -> None:
    """Read the file once more by the rules for quotes."""
    with pa.BufferReader(raw.data) as stream:
        lines = io.TextIOWrapper(stream, "utf-8-sig", newline="")
        reader = csv.reader(lines, delimiter=layout.delimiter, strict=True)
        opened, field_limit = 1, csv.field_size_limit(max(raw.data.size, 1 << 17))
        try:
            for _ in reader:
                opened = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"a quote in '{raw.path}' is opened and not closed",
                got=f"in the row that begins in line {opened:,}",
                todo='close the quote, or double it if it belongs to the text: ""',
            ) from ValueError(type(error).__name__)
        finally:
            csv.field_size_limit(field_limit)


def _swallows_rows(cell: str, position: int, kinds: Sequence[pa.DataType], delimiter: str) -> bool:
    """Return whether the lines of a cell are the rows of this table, from this column to this column."""
    first, *middle, last = cell.split("\n")
    n = len(kinds)
    if n < 2 or any(len(line.split(delimiter)) != n for line in middle if line.strip()):
        return False
    ends = last.strip("\r").split(delimiter)
    is_cut = len(ends) in (position + 1, 1 if not last.strip() else n)
    starts_right = len(first.split(delimiter)) in (1, n - position)
    rows = [*(line.strip("\r").split(delimiter) for line in middle if line.strip())]
    rows += [ends] if last.strip() else []
    if not rows or not is_cut or not starts_right:
        return False
    typed = [
        k for k in range(n) if not pa.types.is_string(kinds[k]) and not pa.types.is_null(kinds[k])
    ]
    cells = [(row[k], kinds[k]) for row in rows for k in typed if k < len(row)]
    return bool(cells) and all(_is_cell_of(text, kind) for text, kind in cells)
