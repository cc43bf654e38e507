"""Write a set in any format, chunk by chunk. A file appears when it is complete."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
from twinset.io.formats import Writer, writable_format


def write_dataset(
    chunks: Iterable[Dataset],
    path: Path,
    format: str,  # noqa: A002
    *,
    escape_formulas: bool = False,
) -> None:
    """Write a stream of chunks of one set to a file or folder.

    Equal rows give equal bytes, however they are cut into chunks.

    Parameters
    ----------
    chunks : iterable of Dataset
        At least one, all of one schema; a chunk may have no rows.
    path : Path
        Where to write. Images of a CSV or JSON Lines file go to `<stem>_files/` beside it.
    format : str
        A name of `twinset.io.formats.writable_formats`.
    escape_formulas : bool
        In CSV, put an apostrophe before texts that a spreadsheet would run as a formula.

    Raises
    ------
    UnknownNameError
        No format that can be written has this name.
    DataError
        There is no chunk, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import pyarrow as pa
    >>> data = Dataset.from_arrow(pa.table({"age": [31, 47, 50], "sex": ["f", "m", None]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_dataset([data], Path(folder, "people.csv"), "csv")
    ...     Path(folder, "people.csv").read_text().splitlines()
    ['age,sex', '31,f', '47,m', '50,']
    """
    empty = True
    with open_writer(path, format, escape_formulas=escape_formulas) as writer:
        for chunk in chunks:
            writer.write(chunk)
            empty = False
        if empty:
            raise DataError("there is nothing to write", todo="give at least one chunk of rows")


def open_writer(
    path: Path,
    format: str,  # noqa: A002
    *,
    escape_formulas: bool = False,
) -> AbstractContextManager[Writer]:
    """Open a file for chunks of one set; it appears when the block ends well.

    Raises
    ------
    UnknownNameError
        No format that can be written has this name.
    DataError
        The file cannot be written.
    """
    entry = writable_format(format)
    assert entry.open is not None
    return entry.open(path, escape_formulas)
