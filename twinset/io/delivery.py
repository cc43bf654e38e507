"""Write a delivery: a folder of data, schemas, cards, report and checksums, put in place in one step."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twinset.core.contracts import Progress, silent
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import DataError, RecipeError
from twinset.io import open_writer
from twinset.io.files import cannot_write, check_name, flush_folder, sha256_of, write_text
from twinset.io.formats import file_name, writable_format
from twinset.io.writer import StreamedSchema

CHECKSUMS = "CHECKSUMS.sha256"
Chunks = Dataset | Iterable[Dataset]


def deliver(
    to: Path,
    *,
    sets: Mapping[str, tuple[Chunks, Card]],
    formats: Sequence[str],
    report_html: str = "",
    report_json: str = "",
    escape_formulas: bool = False,
    progress: Progress = silent,
) -> str:
    """Write sets and their report to a folder; return the text of its checksum file.

    `sets` has the rows of each set, as one set or a stream of chunks, and its card. The folder
    holds `<name>.<format>` for every set, `schema.json`, `cards.json`, `report.html`, `report.json`
    and `CHECKSUMS.sha256` (as ``sha256sum --check`` reads it); with formats that cannot hold
    everything also `formats.json`, which counts the losses of each. The folder is built beside its
    place and renamed, so it is complete or absent. An earlier delivery is replaced. `progress` is
    called after every chunk; the total is not known beforehand and given as 0.
    """
    _check_sets(sets, formats)
    to = Path(os.path.abspath(to))
    check_place(to)
    draft = to.with_name(f".{to.name}.twinset-draft")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        schemas, losses = dict[str, Schema](), dict[str, Any]()
        for name, (chunks, _) in sets.items():
            schemas[name], lost = _write_set(
                draft / name, chunks, formats, escape_formulas, progress
            )
            losses |= {name: lost} if lost else {}
        _write_json(draft / "schema.json", {n: schema.to_json() for n, schema in schemas.items()})
        _write_json(draft / "cards.json", {n: card.to_json() for n, (_, card) in sets.items()})
        if losses:
            _write_json(draft / "formats.json", losses)
        for name, text in (("report.html", report_html), ("report.json", report_json)):
            if text:
                write_text(draft / name, text)
        checksums = _checksums(draft)
        write_text(draft / CHECKSUMS, checksums)
        _put_in_place(draft, to)
    except OSError as error:
        raise cannot_write(to, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return checksums


def is_delivered(folder: Path, checksums: str) -> bool:
    """Return whether `folder` has exactly the files that `checksums` lists, byte by byte."""
    if folder.is_symlink() or not (folder / CHECKSUMS).is_file():
        return False
    return (folder / CHECKSUMS).read_text() == checksums == _checksums(folder)


def check_place(to: Path) -> None:
    """Raise DataError unless `to` is free, empty, or an earlier delivery that may be replaced."""
    if to.is_symlink():
        raise DataError(f"'{to}' is a link", todo="give the folder that it leads to")
    if not to.exists():
        return
    if not to.is_dir():
        raise DataError(f"'{to}' is a file, not a folder", todo="choose another place")
    foreign = _first_foreign(to)
    if foreign is not None:
        raise DataError(
            f"the folder '{to}' holds something that is no part of an earlier delivery",
            got=f"'{foreign}'",
            todo="choose another folder, or move it away",
        )


def _check_sets(sets: Mapping[str, object], formats: Sequence[str]) -> None:
    if not sets or not formats:
        raise RecipeError("there is nothing to deliver", todo="name at least one set and format")
    for name in sets:
        check_name(name)
    # On many systems 'A.csv' and 'a.csv' are one file.
    if len({name.casefold() for name in sets}) < len(sets):
        raise RecipeError("two delivered sets have the same name", got=", ".join(sets))
    for name in formats:
        writable_format(name, "deliver.formats")


def _write_set(
    stem: Path, chunks: Chunks, formats: Sequence[str], escape_formulas: bool, progress: Progress
) -> tuple[Schema, dict[str, Any]]:
    """Write all formats in one pass, as a stream can be read only once; return schema and losses."""
    columns, done = StreamedSchema(), 0
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                open_writer(
                    stem.with_name(file_name(stem.name, name)),
                    name,
                    escape_formulas=escape_formulas,
                )
            )
            for name in dict.fromkeys(formats)
        }
        for chunk in [chunks] if isinstance(chunks, Dataset) else chunks:
            columns.add(chunk)
            for writer in writers.values():
                writer.write(chunk)
            done += len(chunk)
            progress(f"deliver {stem.name}", done, 0)
        if columns.first is None:
            raise DataError(f"the set '{stem.name}' has nothing to deliver")
    lost = {w: one.losses.to_json() for w, one in writers.items() if one.losses is not None}
    return columns.schema(), lost


def _write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink())


def _checksums(folder: Path) -> str:
    lines = []
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        if name != CHECKSUMS:
            lines.append(f"{sha256_of(path)}  {name}\n")
    return "".join(lines)


def _first_foreign(folder: Path) -> str | None:
    """Return a file that no earlier delivery wrote, None if there is no such file."""
    file = folder / CHECKSUMS
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    listed = {CHECKSUMS, *(line[66:] for line in lines)}
    if not {"schema.json", "cards.json"} <= listed:
        # Not searched: this may be anybody's home.
        return next((path.name for path in sorted(folder.iterdir())), None)
    names = (path.relative_to(folder).as_posix() for path in _files(folder))
    return next((name for name in names if name not in listed), None)


def _put_in_place(draft: Path, to: Path) -> None:
    former = to.with_name(f".{to.name}.twinset-former")
    shutil.rmtree(former, ignore_errors=True)
    if to.exists():
        os.replace(to, former)
    os.replace(draft, to)
    flush_folder(to.parent)
    shutil.rmtree(former, ignore_errors=True)
