"""`twin`: a real table in, a synthetic file with its report and note out; no recipe, no catalogue."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from twinset import registry
from twinset.core.contracts import Generator, Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import DataError, LeakError, RecipeError
from twinset.core.rules.enforce import RuleTally
from twinset.core.version import __version__
from twinset.generation.provenance import Seal, TwinNote, note_path, report_path
from twinset.generation.run_step import with_aggregates
from twinset.generation.sampling import fit_source
from twinset.ingest.input_table import (
    RealSplit,
    name_target,
    open_table,
    refuse_media,
    split_holdout,
)
from twinset.io import read_dataset, write_dataset
from twinset.io.formats import writable_formats
from twinset.measurement.leakage import refuse_sets
from twinset.measurement.options import EvaluateOptions
from twinset.report import Report
from twinset.workflows.evaluate import appraise, check_counts


@dataclass(frozen=True)
class TwinResult:
    """What `twin` returns.

    Parameters
    ----------
    synthetic : Dataset
        The new rows.
    report : Report
        How they compare with the real ones.
    paths : mapping
        ``"data"``, ``"report"`` and ``"note"`` -> written file; empty when no file was asked for.
    """

    synthetic: Dataset
    report: Report
    paths: Mapping[str, Path] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        return self.report._repr_html_()


def twin(
    source: object,
    out: Path | str | None = None,
    *,
    use: str = "tabular.trees",
    settings: Mapping[str, object] | None = None,
    rows: int | None = None,
    target: str | None = None,
    positive: str | None = None,
    where: Where | Mapping[str, Any] | str | None = None,
    seed: int = 0,
    holdout_fraction: float = 0.2,
    workers: int = 1,
    progress: Progress = silent,
) -> TwinResult:
    """Return synthetic rows for a real table, and a report on them.

    A fifth of the rows is locked away before anything is learnt, so that the report can speak of
    leaks. Identifiers and free text are made afresh, never copied.

    Parameters
    ----------
    source : path or Arrow object
        A CSV, Parquet or JSON-Lines file, or a pandas or polars frame, a pyarrow table, ...
    out : path, optional
        File to write, its format told by its ending; the report (``OUT.html``) and a note
        (``OUT.twin.json``, read by `evaluate`) go beside it. All three appear, or none.
    use : str
        Generator.
    settings : mapping, optional
        Settings of the generator.
    rows : int, optional
        Rows to make, 1 or more; by default as many as the source has (of those that `where` means).
    target : str, optional
        Column that models will predict: the split keeps its shares, usefulness is measured on it.
    positive : str, optional
        Label of `target` that counts as positive.
    where : Where, mapping or str, optional
        Condition that every row shall meet; only real rows that meet it are learnt from.
    seed : int
        Seed of the split, of the rows and of the measuring; 0 or more.
    holdout_fraction : float
        Share of rows to lock away, in [0, 1); with 0 leaks are not measurable.
    workers : int
        Threads, 1 or more; the result does not depend on them.
    progress : Progress
        Told of every step.

    Raises
    ------
    TwinsetError
        The arguments, the data or the place to write to cannot be used.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> real = pa.table({"x": np.arange(200.0), "y": np.arange(200.0) % 7})
    >>> len(twin(real, use="tabular.bootstrap", rows=50).synthetic)
    50
    """
    check_counts(seed=seed, workers=workers, rows=rows)
    place = None if out is None else _place(Path(out), source)
    condition = Where.of(where)
    generator = _learner(use, settings or {})
    plain = open_table(source)
    refuse_media(plain.schema)
    real = name_target(plain, target, positive)
    parts = split_holdout(real, holdout_fraction, seed)
    question = EvaluateOptions(
        target=target,
        positive=positive,
        where=condition,
        seed=seed,
        workers=workers,
        progress=progress,
    )
    wanted = rows if rows is not None else len(real.where(condition))
    seal = Seal.of(plain, seed)
    note = TwinNote(
        use=use,
        settings=dict(settings or {}),
        seed=seed,
        rows=wanted,
        target=target,
        positive=positive,
        where=condition.to_json() if condition else None,
        holdout_fraction=holdout_fraction,
        notes=(generator.note,) if generator.note else (),
        real_digest=seal.real_digest,
        holdout_digest=seal.holdout_digest(parts.locked),
        version=__version__,
    )
    with threadpool_limits(limits=1):
        chunks, mended = _draw(parts, generator, note, question)
        if place is None:
            made = Dataset.concat(list(chunks))
            made = made.with_card(notes=(*made.card.notes, *mended.notes()))
            return TwinResult(made, _appraised(parts, made, question))
        return _write(place, chunks, mended, parts, question, note)


def _place(out: Path, source: object) -> Path:
    """Return `out` if a file can be written there; asked before the work begins."""
    ending = out.suffix.lstrip(".").lower()
    formats = writable_formats("table")
    if ending not in formats:
        raise RecipeError(
            f"the ending of '{out.name}' tells no format that can be written",
            got=f"'{out.suffix}'" if out.suffix else "no ending",
            allowed=", ".join(f".{name}" for name in formats),
        )
    if out.is_dir():
        raise RecipeError(f"'{out}' is a folder", todo="name a file in it")
    if not out.parent.is_dir():
        raise RecipeError(
            f"the folder '{out.parent}' does not exist", todo="make it, or name another place"
        )
    if isinstance(source, str | Path) and out.exists() and out.samefile(source):
        raise RecipeError("the twin would overwrite its source", todo="name another file")
    return out


def _learner(use: str, settings: Mapping[str, object]) -> Generator:
    generator = registry.build("generator", use, settings, place="")
    if not type(generator).needs_real:
        raise RecipeError(
            f"'{use}' makes rows from its settings alone, not from a file",
            todo="use it in a recipe, or choose a generator that learns",
        )
    return generator


def _draw(
    parts: RealSplit, generator: Generator, note: TwinNote, question: EvaluateOptions
) -> tuple[Iterator[Dataset], RuleTally]:
    """Fit at once; return chunks of the twin, with its card and without reserved columns.

    The tally of mended rules is full once all chunks are there.
    """
    source = fit_source(
        generator,
        parts.train,
        seed=note.seed,
        path=("twin", note.use),
        where=question.where,
        known=parts.whole,
        progress=question.progress,
    )
    schema = parts.train.schema
    card = note.card(_name(parts))
    made = source.open_set()
    drawn = source.draw(
        note.rows,
        where=question.where,
        into=made,
        workers=question.workers,
        progress=question.progress,
    )
    drawn = with_aggregates(drawn, parts.train)
    chunks = (Dataset(chunk.records.select(list(schema.names)), schema, card) for chunk in drawn)
    return chunks, made.tally


def _write(
    place: Path,
    chunks: Iterator[Dataset],
    mended: RuleTally,
    parts: RealSplit,
    question: EvaluateOptions,
    note: TwinNote,
) -> TwinResult:
    """Write data, report and note into a hidden folder, then move them to their places."""
    final = {"report": report_path(place), "note": note_path(place), "data": place}
    schema = parts.train.schema
    try:
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".twinset-") as folder:
            staged = {key: Path(folder) / path.name for key, path in final.items()}
            write_dataset(chunks, staged["data"], place.suffix.lstrip(".").lower())
            note = replace(note, notes=(*note.notes, *mended.notes()))
            # What is measured is what was written, read back as its users will read it.
            made = read_dataset(staged["data"], schema, note.card(_name(parts)))
            report = _appraised(parts, made, question)
            staged["report"].write_bytes(report.to_html().encode())
            staged["note"].write_bytes(note.to_json().encode())
            for key, path in final.items():
                staged[key].replace(path)
    except OSError as error:
        raise DataError(
            f"cannot write to the folder '{place.parent}'", got=error.strerror or str(error)
        ) from error
    return TwinResult(made, report, final)


def _appraised(parts: RealSplit, made: Dataset, question: EvaluateOptions) -> Report:
    """Return the report; where a leak is found, it says why unseen rows cannot be spoken of."""
    try:
        refuse_sets(parts.train, parts.holdout, {"": made}, **question.about_leaks)
    except LeakError as error:
        return appraise(parts, made, question, notes=[error.what], blind=error.what)
    return appraise(parts, made, question)


def _name(parts: RealSplit) -> str:
    return f"twin of {parts.train.card.name}"
