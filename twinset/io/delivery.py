"""Write a delivery: a folder of data, schemas, cards, report and checksums, put in place in one step."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twinset.core.contracts import Progress, silent
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import DataError, RecipeError
from twinset.io.datasets import open_writer
from twinset.io.drafts import make_private, put_folder, sole_draft
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
    everything also `formats.json`, which counts the losses of each. The folder is built in a draft
    folder beside its place, checked and renamed: at any moment the place has the earlier delivery or
    the new one, whole. One process at a time delivers to a place; another waits, with a warning. A
    delivery is readable by whom the umask allows, one with real rows by its owner alone. `progress`
    is called after every chunk; the total is not known beforehand and given as 0.
    """
    _check_sets(sets, formats)
    check_place(to)
    to = _resolved(to)
    try:
        with sole_draft(to) as folder:
            draft = folder / "delivery"
            draft.mkdir()
            _write_sets(draft, sets, formats, escape_formulas, progress)
            for name, text in (("report.html", report_html), ("report.json", report_json)):
                if text:
                    write_text(draft / name, text)
            checksums = _sealed(draft, [file_name(s, f) for s in sets for f in formats])
            if any(card.origin == "real" for _, card in sets.values()):
                make_private(draft)
            _put_in_place(draft, to)
            return checksums
    except OSError as error:
        raise cannot_write(to, error) from error


def is_delivered(folder: Path, checksums: str) -> bool:
    """Return whether `folder` has exactly the files that `checksums` lists, byte by byte."""
    if folder.is_symlink() or not (folder / CHECKSUMS).is_file():
        return False
    return (folder / CHECKSUMS).read_text() == checksums == _checksums(folder)


def check_place(to: Path) -> None:
    """Raise DataError unless `to` is free, empty, or an earlier delivery that may be replaced."""
    if to.is_symlink():
        raise DataError(f"'{to}' is a link", todo="give the folder that it leads to")
    outer = next((folder for folder in _resolved(to).parents if _listed(folder)), None)
    if outer is not None:
        raise DataError(
            f"the folder '{to}' lies inside another delivery",
            got=f"'{outer}'",
            todo="choose a folder outside it: a delivery is replaced as a whole",
        )
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


def _write_sets(
    draft: Path,
    sets: Mapping[str, tuple[Chunks, Card]],
    formats: Sequence[str],
    escape_formulas: bool,
    progress: Progress,
) -> None:
    """Write the rows, schemas and cards of all sets, and what their formats cannot hold."""
    schemas, losses = dict[str, Schema](), dict[str, Any]()
    for name, (chunks, _) in sets.items():
        schemas[name], lost = _write_set(draft / name, chunks, formats, escape_formulas, progress)
        losses |= {name: lost} if lost else {}
    _write_json(draft / "schema.json", {n: schema.to_json() for n, schema in schemas.items()})
    _write_json(draft / "cards.json", {n: card.to_json() for n, (_, card) in sets.items()})
    if losses:
        _write_json(draft / "formats.json", losses)


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


def _listed(folder: Path) -> set[str]:
    """Return the files that an earlier delivery wrote to a folder; none if it is no delivery."""
    file = folder / CHECKSUMS
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    listed = {CHECKSUMS, *(line[66:] for line in lines)}
    return listed if {"schema.json", "cards.json"} <= listed else set()


def _first_foreign(folder: Path) -> str | None:
    """Return a file that no earlier delivery wrote, None if there is no such file."""
    listed = _listed(folder)
    if not listed:
        # Not searched: this may be anybody's home.
        return next((path.name for path in sorted(folder.iterdir())), None)
    names = (path.relative_to(folder).as_posix() for path in _files(folder))
    return next((name for name in names if name not in listed), None)


def _resolved(to: Path) -> Path:
    """Return the one path of a place that several may lead to, e.g. through links."""
    if to.name in ("", ".."):
        return Path(os.path.realpath(to))
    return Path(os.path.realpath(to.parent)) / to.name


def _sealed(draft: Path, names: Sequence[str]) -> str:
    """Write the checksums of a whole delivery and return them; `names` must be among its files.

    Raises
    ------
    DataError
        A file or folder is absent, or is not what was written.
    """
    expected = {*names, "schema.json", "cards.json"}
    absent = [name for name in sorted(expected) if not (draft / name).exists()]
    checksums = _checksums(draft)
    write_text(draft / CHECKSUMS, checksums)
    if absent or not is_delivered(draft, checksums):
        raise DataError(
            "the files of a delivery changed while it was written",
            got=f"without {', '.join(absent[:5])}" if absent else "other content",
            todo="keep other programs out of its folder, and deliver again",
        )
    return checksums


def _put_in_place(draft: Path, to: Path) -> None:
    """Move a finished delivery to its place; an earlier one, and only that, is replaced."""
    check_place(to)
    if to.is_dir():
        draft.chmod(draft.stat().st_mode & to.stat().st_mode)  # no more open than before
    former = put_folder(draft, to)
    if former is not None and (foreign := _first_foreign(former)) is not None:
        # Another program wrote into the place at this very moment.
        put_folder(former, to)
        raise DataError(
            f"the folder '{to}' was given a file while it was replaced",
            got=f"'{foreign}'",
            todo="keep other programs out of it, and deliver again",
        )
    flush_folder(to.parent)
