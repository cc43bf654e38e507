"""`twin`: a real table in, a synthetic file with its report and note out; no recipe, no catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from twinset import registry
from twinset.core.contracts import Generator, Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.reading import TableReading
from twinset.core.data.where import Where
from twinset.core.errors import DataError, LeakError, RecipeError
from twinset.core.rules.enforce import RuleTally
from twinset.core.version import __version__
from twinset.generation.provenance import Seal, TwinNote, note_path, report_path
from twinset.generation.room import Room
from twinset.generation.run_step import with_aggregates
from twinset.generation.sampling import UNPROTECTED, fit_source, label_of_interest
from twinset.ingest.input_table import (
    RealSplit,
    inspect_table,
    name_target,
    refuse_media,
    split_holdout,
)
from twinset.io import read_dataset, write_dataset
from twinset.io.drafts import sole_draft
from twinset.io.formats import writable_formats
from twinset.io.formulas import ESCAPED
from twinset.io.paths import check_output
from twinset.io.reading.options import ReadOptions, read_options
from twinset.measurement.leakage import require_clean_sets
from twinset.report import Report
from twinset.workflows.evaluate import (
    EvaluationTask,
    PreparedReal,
    measure_and_report,
    note_ignored,
    with_named_columns,
)
from twinset.workflows.options import EvaluateOptions, TwinOptions


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
    reading : TableReading, optional
        What the columns of the real table were understood as.
    """

    synthetic: Dataset
    report: Report
    paths: Mapping[str, Path] = field(default_factory=dict)
    reading: TableReading | None = None

    def _repr_html_(self) -> str:
        return self.report._repr_html_()


def twin(
    source: object,
    out: Path | str | None = None,
    options: TwinOptions | None = None,
    *,
    progress: Progress = silent,
    **settings: Any,
) -> TwinResult:
    """Return synthetic rows for a real table, and a report on them.

    A holdout is split off before the generator is fitted, so that leaks can be measured. Identifiers
    and free text are generated, never copied.

    Parameters
    ----------
    source : path or Arrow object
        A CSV, Parquet or JSON-Lines file, or a pandas or polars frame, a pyarrow table, ...
    out : path, optional
        File to write; its suffix names the format. The report (``OUT.html``) and a provenance file
        (``OUT.twin.json``, read by `evaluate`) are written beside it. All three appear, or none.
    options : TwinOptions, optional
        Generator, rows, split and seed.
    progress : Progress
        Called with (step, done, total).
    **settings
        Single fields of `TwinOptions`, e.g. ``target="label"``.

    Raises
    ------
    TwinsetError
        The options, the data or the place to write to cannot be used.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> real = pa.table({"x": np.arange(200.0), "y": np.arange(200.0) % 7})
    >>> len(twin(real, use="tabular.bootstrap", rows=50).synthetic)
    50
    """
    options = TwinOptions.merge(options, settings)
    place = None if out is None else _place(Path(out), source)
    condition = Where.from_value(options.where)
    generator = _learner(options.use, options.settings)
    plain, reading = inspect_table(source, options.read)
    refuse_media(plain.schema)
    real = name_target(plain, options.target, options.positive)
    seed = options.seed or 0
    parts = split_holdout(real, options.holdout_fraction, seed)
    asked = EvaluateOptions(
        target=options.target,
        positive=options.positive,
        where=condition,
        seed=seed,
        workers=options.workers,
        ignore=options.ignore,
    )
    asked = with_named_columns(asked, real)
    task = EvaluationTask.from_options(asked, progress=progress)
    if options.target is not None:
        reading = reading.with_target(options.target, real.schema[options.target].kind)
    seal = Seal.from_rows(plain, seed)
    escapes = options.escape_formulas and place is not None and place.suffix.lower() == ".csv"
    note = TwinNote(
        use=options.use,
        settings=dict(options.settings),
        seed=seed,
        rows=options.rows if options.rows is not None else len(real.where(condition)),
        target=options.target,
        positive=options.positive,
        where=condition.to_json() if condition else None,
        holdout_fraction=options.holdout_fraction,
        value_protection=options.value_protection,
        reading=read_options(options.read).to_json(),
        notes=_card_notes(generator, options, escapes),
        real_digest=seal.real_digest,
        holdout_digest=seal.holdout_digest(parts.holdout_rows),
        version=__version__,
    )
    Room(None if place is None else place.parent).check(note.rows, real)
    with threadpool_limits(limits=1):
        chunks, tally = _draw(parts, generator, note, task)
        if place is None:
            synthetic = Dataset.concat(list(chunks))
            synthetic = synthetic.with_card(notes=(*synthetic.card.notes, *tally.notes()))
            return TwinResult(synthetic, _assess(parts, synthetic, task), reading=reading)
        return replace(_write(place, chunks, tally, parts, task, note), reading=reading)


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
    for path in (out, report_path(out), note_path(out)):
        check_output(path)
    if isinstance(source, str | Path) and out.exists() and out.samefile(source):
        raise RecipeError("the twin would overwrite its source", todo="name another file")
    return out


def _card_notes(generator: Generator, options: TwinOptions, escapes: bool) -> tuple[str, ...]:
    """Return what the card says beside the settings."""
    unprotected = "" if options.value_protection else UNPROTECTED
    return tuple(filter(None, (generator.note, unprotected, ESCAPED if escapes else "")))


def _learner(use: str, settings: Mapping[str, object]) -> Generator:
    generator = registry.build("generator", use, settings, place="")
    if not type(generator).needs_real:
        raise RecipeError(
            f"'{use}' makes rows from its settings alone, not from a file",
            todo="use it in a recipe, or choose a generator that learns",
        )
    return generator


def _draw(
    parts: RealSplit, generator: Generator, note: TwinNote, task: EvaluationTask
) -> tuple[Iterator[Dataset], RuleTally]:
    """Fit at once; return chunks of the twin, with its card and without reserved columns.

    The tally of repaired rows is full once all chunks are there.
    """
    source = fit_source(
        generator,
        parts.train,
        seed=note.seed,
        path=("twin", note.use),
        where=task.request.where,
        known=parts.whole,
        named=[label_of_interest(note.target, note.positive)],
        value_protection=note.value_protection,
        progress=task.request.progress,
    )
    schema, card = parts.train.schema, note.card(_name(parts))
    state = source.open_set()
    drawn = source.draw(
        note.rows,
        where=task.request.where,
        into=state,
        workers=task.options.workers,
        progress=task.request.progress,
    )
    drawn = with_aggregates(drawn, parts.train)
    chunks = (Dataset(chunk.records.select(list(schema.names)), schema, card) for chunk in drawn)
    return chunks, state.tally


def _write(
    place: Path,
    chunks: Iterator[Dataset],
    tally: RuleTally,
    parts: RealSplit,
    task: EvaluationTask,
    note: TwinNote,
) -> TwinResult:
    """Write data, report and note into a hidden folder, then move them to their places."""
    final = {"report": report_path(place), "note": note_path(place), "data": place}
    schema = parts.train.schema
    try:
        with sole_draft(place) as folder:
            staged = {key: folder / path.name for key, path in final.items()}
            escapes = ESCAPED in note.notes
            ending = place.suffix.lstrip(".").lower()
            write_dataset(chunks, staged["data"], ending, escape_formulas=escapes)
            note = replace(note, notes=(*note.notes, *tally.notes()))
            # What is measured is what was written, read back as its users will read it.
            options = ReadOptions(escaped_formulas=True) if escapes else None
            card = note.card(_name(parts))
            synthetic = read_dataset(staged["data"], schema, card, options=options)
            report = _assess(parts, synthetic, task)
            staged["report"].write_bytes(report.to_html().encode())
            staged["note"].write_bytes(note.to_json().encode())
            for key, path in final.items():
                staged[key].replace(path)
    except OSError as error:
        raise DataError(
            f"cannot write to the folder '{place.parent}'", got=error.strerror or str(error)
        ) from error
    return TwinResult(synthetic, report, final)


def _assess(parts: RealSplit, synthetic: Dataset, task: EvaluationTask) -> Report:
    """Return the report; where a leak is found, it says why nothing rests on unseen rows."""
    prepared = PreparedReal(parts)
    try:
        require_clean_sets(parts.train, parts.holdout, {"": synthetic}, **task.leakage_settings)
    except LeakError as error:
        prepared = PreparedReal(parts, blind=error.message)
    ignored = task.options.ignore
    kept = [name for name in synthetic.schema.names if name not in ignored]
    notes = [*note_ignored(ignored), *([prepared.blind] if prepared.blind else [])]
    if ignored:
        prepared, synthetic = prepared.select(kept), synthetic.select(kept)
    notes += [note for note in synthetic.card.notes if note == UNPROTECTED]
    return measure_and_report(prepared, synthetic, task, notes=notes)


def _name(parts: RealSplit) -> str:
    return f"twin of {parts.train.card.name}"
