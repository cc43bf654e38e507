"""`evaluate`, and the path of every evaluation: prepare the real rows, measure, report."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

from twinset.core.contracts import Metric, Progress, Score, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import DataError
from twinset.core.rules.violations import broken_by_real_rows
from twinset.generation.provenance import Seal, TwinNote, note_path
from twinset.generation.refit import refit_from_note
from twinset.generation.step import cards_beside
from twinset.ingest.candidate import (
    OF_COLUMNS,
    Candidate,
    kept_columns,
    named_columns,
    read_candidate,
    read_holdout,
)
from twinset.ingest.input_table import (
    RealSplit,
    label_beside_texts,
    name_target,
    open_table,
    reduce_to_texts,
    split_holdout,
    with_role,
)
from twinset.io.formats import find_format
from twinset.measurement.embedders import find_image_label, load_embedders
from twinset.measurement.harness import FAMILIES, MeasureRequest, measure
from twinset.measurement.leakage import check_allowed, require_clean_sets
from twinset.measurement.leakage.duplicates import (
    count_copied_rows,
    count_row_overlap,
    note_copied_rows,
    note_shared_holdout,
)
from twinset.measurement.notes import note_images, note_kept_values, note_rules, note_single_label
from twinset.measurement.verdict import not_measurable
from twinset.registry import attack_metrics, build, default_metrics
from twinset.report import Report, apply_gates, build_report, check_gates
from twinset.report.answers.reading_faults import reading_notes
from twinset.workflows.options import EvaluateOptions

Metrics = Sequence[tuple[str, Metric]]
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, kw_only=True)
class EvaluationTask:
    """What one evaluation needs besides the sets."""

    options: EvaluateOptions  # Options as given, with the target filled in
    request: MeasureRequest  # What all metrics are asked
    # Metrics with their settings; None takes the default ones of the options
    metrics: Metrics | None = None
    guessed_target: str | None = None  # The target, where nobody named it

    @classmethod
    def from_options(
        cls,
        options: EvaluateOptions,
        real: Dataset | None = None,
        metrics: Metrics | None = None,
        **others: Any,
    ) -> Self:
        """Return the task; the only label of an image set becomes the target where none is named.

        `others` are further fields of the request.
        """
        guessed = find_image_label(real) if real is not None and options.target is None else None
        options = replace(options, target=options.target or guessed)
        request = MeasureRequest(
            where=Where.from_value(options.where),
            target=options.target,
            positive=options.positive,
            seed=options.seed or 0,
            workers=options.workers,
            embedders=None if options.embedders is None else load_embedders(options.embedders),
            **others,
        )
        return cls(options=options, request=request, metrics=metrics, guessed_target=guessed)

    def fit(self, candidate: Candidate) -> Self:
        """Return the task without what needs a column that a candidate does not have."""
        options, names = self.options, candidate.rows.schema.names
        target, time, group = (
            column if column in names else None
            for column in (options.target, options.time, options.group)
        )
        positive = None if target is None else options.positive
        return replace(
            self,
            options=replace(options, target=target, positive=positive, time=time, group=group),
            request=replace(
                self.request, target=target, positive=positive, reading_faults=candidate.faults
            ),
        )

    @property
    def leakage_settings(self) -> dict[str, Any]:
        """Arguments of the leakage checks."""
        options = self.options
        by = None if options.time is None else "time"
        split = {"split_by": by, "split_on": options.time, "target": options.target}
        return {**split, "allow": tuple(options.allow_leaks), "seed": self.request.seed}


@dataclass(frozen=True)
class PreparedReal:
    """The real rows of an evaluation."""

    parts: RealSplit  # Train set and holdout
    notes: tuple[str, ...] = ()  # What must be read with care
    blind: str = ""  # Why leaks and usefulness cannot be measured; empty where they can

    def select(self, names: Sequence[str]) -> PreparedReal:
        """Return the real rows with these columns only."""
        parts = self.parts
        holdout = None if parts.holdout is None else parts.holdout.select(names)
        return replace(self, parts=replace(parts, train=parts.train.select(names), holdout=holdout))

    def fit(self, candidate: Candidate) -> PreparedReal:
        """Return the real rows with the columns and kinds of a candidate."""
        parts = self.parts
        holdout = None if parts.holdout is None else candidate.fit(parts.holdout)
        return replace(
            self, parts=replace(parts, train=candidate.fit(parts.train), holdout=holdout)
        )


def read_twin_note(
    plain: Dataset, synthetic: object, holdout: object | None = None
) -> tuple[TwinNote | None, list[str]]:
    """Return the provenance beside a synthetic file if it belongs to this real table, else a remark."""
    if holdout is not None or not isinstance(synthetic, str | Path):
        return None, []
    note = TwinNote.read(Path(synthetic))
    if note is None or Seal.from_rows(plain, note.seed).real_digest == note.real_digest:
        return note, []
    name = note_path(Path(synthetic)).name
    return None, [
        f"{name} belongs to another real table, so it is not known which of these real rows the "
        "generator saw: leaks and usefulness are not measured"
    ]


def check_metric_gates(options: EvaluateOptions, kinds: Iterable[str]) -> None:
    """Raise an error for a gate on a metric that is not measured."""
    metrics = _default_metrics(options, kinds)
    check_gates(options.gates, [name for name, _ in metrics], place="gates")


def prepare_real(
    plain: Dataset,
    holdout: object | None,
    note: TwinNote | None,
    options: EvaluateOptions,
    source: object = None,
) -> PreparedReal:
    """Return the real table, split as the holdout or the note says, or whole where neither does.

    `source` is where the real table is from.
    """
    real = name_target(plain, options.target, options.positive)
    if options.time is not None:
        real = with_role(real, options.time, "time")
    if options.group is not None:
        real = with_role(real, options.group, "group")
    if holdout is not None:
        read = read_holdout(holdout, real, options.read, source)
        real, unseen = read.fit(real), read.rows
        overlap = count_row_overlap(real, unseen)
        notes = note_shared_holdout(overlap)
        blind = notes[0] if notes and overlap.is_beyond_chance else ""
        notes += [f"The holdout: {one}" for one in reading_notes(read.faults, len(unseen))]
        return PreparedReal(RealSplit(real, unseen, np.empty(0, dtype=np.int64)), (*notes,), blind)
    if note is None or note.holdout_fraction == 0:
        return PreparedReal(RealSplit(real, None, np.empty(0, dtype=np.int64)))
    # The split was stratified by the target given to `twin`, which may differ from the present one.
    parts = split_holdout(name_target(plain, note.target), note.holdout_fraction, note.seed)
    if Seal.from_rows(plain, note.seed).holdout_digest(parts.holdout_rows) != note.holdout_digest:
        raise DataError(
            "the holdout rows cannot be found again",
            got=f"a note by twinset {note.version}",
            todo="make the twin again with this version, or give the holdout as a file",
        )
    kept = np.setdiff1d(np.arange(len(real)), parts.holdout_rows)
    return PreparedReal(
        replace(parts, train=real.take(kept), holdout=real.take(parts.holdout_rows))
    )


def measure_set(
    train: Dataset | None,
    holdout: Dataset | None,
    synthetic: Dataset,
    task: EvaluationTask,
    *,
    blind: str = "",
) -> list[Score]:
    """Return the scores of a synthetic set beside the train set and the holdout, by family.

    `blind` is why what rests on unseen rows is not measurable; empty where it is.
    """
    if task.metrics is None:
        _require_rows(train, synthetic, task.request.where)
    kinds = (synthetic if train is None else train).schema.kinds
    metrics = _default_metrics(task.options, kinds) if task.metrics is None else task.metrics
    # Sets of images and spans are read as they are.
    is_plain = not any(field.column_kind.is_nested for field in synthetic.schema.fields)
    if task.request.reading_faults is not None and is_plain:
        metrics = [("integrity.notation", build("metric", "integrity.notation", {})), *metrics]
    hidden = [
        (n, m) for n, m in metrics if blind and m.needs_real and m.family in ("utility", "privacy")
    ]
    scores = measure(
        train=train,
        synthetic=synthetic,
        holdout=holdout,
        metrics=[pair for pair in metrics if pair not in hidden],
        request=task.request,
    )
    scores += [not_measurable(name, metric, blind) for name, metric in hidden]
    return sorted(scores, key=lambda score: FAMILIES.index(score.family))


def note_excluded_metrics(train: Dataset, options: EvaluateOptions) -> list[str]:
    """Return a note that names what a quick look excludes."""
    if not options.quick:
        return []
    full, quick = (
        {name for name, _ in default_metrics(train.schema.kinds, quick=quick)}
        for quick in (False, True)
    )
    named = ", ".join(sorted(full - quick))
    return [f"A quick look, without {named}; a full one measures these too."] if named else []


def _default_metrics(options: EvaluateOptions, kinds: Iterable[str]) -> Metrics:
    known = options.quasi_identifiers
    found = default_metrics(kinds, quick=options.quick, quasi_identifiers=known)
    return [*found, *attack_metrics(options.attacks)]


def with_reading(
    options: EvaluateOptions, real: object, candidates: Iterable[object]
) -> tuple[EvaluateOptions, list[str]]:
    """Return the options with how the real file was read when a candidate was made, and a note on it.

    The note of a twin, or the cards of a delivered folder, say so; what is given goes before.
    """
    place = Path(real) if isinstance(real, str | Path) else None
    found = None if place is None or not place.is_file() else find_format(place)
    if options.read is not None or found is None or found[0].name != "csv":
        return options, []
    for one in candidates:
        if not isinstance(one, str | Path):
            continue
        note = TwinNote.read(Path(one))
        readings = [note.reading] if note else [card.reading for card in cards_beside(Path(one))]
        reading = next(filter(None, readings), None)
        if reading is not None:
            said = ", ".join(f"{key}={_spelled(value)}" for key, value in reading.items())
            return replace(options, read=dict(reading)), [
                f"The real file is read as it was when the synthetic rows were made: --read {said}."
            ]
    return options, []


def _spelled(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def with_named_columns(options: EvaluateOptions, real: Dataset) -> EvaluateOptions:
    """Return the options with ignored columns and quasi-identifiers as names of columns."""
    ignored = named_columns(options.ignore, real.schema)
    known = named_columns(options.quasi_identifiers, real.schema)
    needed = {key: getattr(options, key) for key in ("target", "time", "group")}
    twice = next((one for one in known if one in ignored), None)
    kept_columns(real.schema, ignored, {**needed, "quasi-identifier": twice})
    return replace(options, ignore=ignored, quasi_identifiers=known)


def note_columns(candidate: Candidate, ignored: Sequence[str]) -> list[str]:
    """Return notes on columns that are not compared, by what the file holds and by request."""
    faults = [one for one in candidate.faults if one.kind in OF_COLUMNS]
    notes = reading_notes(faults, len(candidate.rows))
    return [*notes, *note_ignored(ignored)]


def note_ignored(ignored: Sequence[str]) -> list[str]:
    """Return the note on columns that are not measured by request."""
    return [f"Not measured, as requested: {', '.join(ignored)}."] if ignored else []


def _require_rows(train: Dataset | None, synthetic: Dataset, where: Where | None) -> None:
    """Raise an error where no row of a set meets the condition."""
    for name, rows in (("real", train), ("synthetic", synthetic)):
        if rows is not None and len(rows.where(where)) == 0:
            raise DataError(
                f"no {name} row meets the condition: {where}",
                got=f"0 of {len(rows)} rows",
                todo="correct the condition, or give data that hold such rows",
            )


def evaluate(
    real: object,
    synthetic: object,
    options: EvaluateOptions | None = None,
    *,
    holdout: object | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> Report:
    """Return a report on a synthetic table, image set or text set beside the real one.

    Parameters
    ----------
    real, synthetic : path or Arrow object
        A CSV, Parquet or JSON-Lines file, a folder of images, a pandas or polars frame, ... The
        synthetic one needs the same columns. When both are files and `twin` made the synthetic
        one, the provenance file beside it says which real rows are the holdout.
    options : EvaluateOptions, optional
        What to measure and how.
    holdout : path or Arrow object, optional
        Real rows that the generator did not see; `real` then holds the train rows.
    progress : Progress
        Called with (step, done, total) for every metric.
    **settings
        Single fields of `EvaluateOptions`, e.g. ``target="label"``.

    Raises
    ------
    TwinsetError
        The options or the data cannot be used, or (LeakError) the holdout overlaps the train rows.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> real = pa.table({"x": np.arange(100.0), "y": np.arange(100.0) % 7})
    >>> evaluate(real, real.slice(0, 50)).passed
    True
    """
    options = EvaluateOptions.merge(options, settings)
    check_allowed(options.allow_leaks)
    options, recorded = with_reading(options, real, [synthetic])
    plain = open_table(real, name="real", read=options.read)
    options = with_named_columns(options, plain)
    check_metric_gates(options, plain.schema.kinds)
    note, remarks = read_twin_note(plain, synthetic, holdout)
    plain, (synthetic, holdout), lost = reduce_to_texts(
        plain, real, (synthetic, holdout), options.target
    )
    notes = [*remarks, *lost]
    if note is not None:
        options = options_from_notes({"": note}, options)
    if options.target is None and (label := label_beside_texts(plain.schema)) is not None:
        options = replace(options, target=label)
        notes += [f"Taken as the target: '{label}', the only label beside the texts."]
    refit = refit_from_note(note, options.attacks)
    task = EvaluationTask.from_options(options, plain, refit=refit, progress=progress)
    whole = prepare_real(plain, holdout, note, task.options, real)
    read = read_candidate(
        synthetic, whole.parts.whole, real_source=real, read=options.read, ignored=options.ignore
    )
    prepared, task, candidate = whole.fit(read), task.fit(read), read.rows
    train = prepared.parts.train
    if note is not None:
        candidate = replace(candidate, card=note.card(f"twin of {plain.card.name}"))
    # Without a holdout, nothing tells how many copied rows chance makes.
    if prepared.parts.holdout is None:
        notes = [*note_copied_rows(count_copied_rows(train, candidate)), *notes]
    notes = [*note_columns(read, options.ignore), *recorded, *notes, *prepared.notes]
    with threadpool_limits(limits=1):
        sets = {"": candidate}
        notes += require_clean_sets(train, prepared.parts.holdout, sets, **task.leakage_settings)
        return measure_and_report(prepared, candidate, task, notes=notes)


def measure_and_report(
    prepared: PreparedReal, synthetic: Dataset, task: EvaluationTask, *, notes: Sequence[str] = ()
) -> Report:
    """Return the report on a synthetic set beside prepared real rows."""
    train, holdout = prepared.parts.train, prepared.parts.holdout
    scores = measure_set(train, holdout, synthetic, task, blind=prepared.blind)
    return build_report(
        title=f"{synthetic.card.name} beside {train.card.name}",
        train=train,
        synthetic=synthetic,
        holdout=holdout,
        scores=scores,
        gates=apply_gates(scores, task.options.gates),
        cards=(train.card, synthetic.card),
        target=task.options.target,
        where=task.request.where,
        notes=[
            *note_images(scores, task.guessed_target),
            *note_single_label(train, synthetic, task.options.target, task.request.where),
            *notes,
            *note_excluded_metrics(train, task.options),
            *broken_by_real_rows(train),
            *note_rules(train, synthetic, (synthetic.card,)),
            *note_kept_values(train, synthetic),
        ],
    )


def options_from_notes(notes: Mapping[str, TwinNote], options: EvaluateOptions) -> EvaluateOptions:
    """Return the options; what is not given comes from the notes, which must agree on it."""
    target, positive, where, seed = options.target, options.positive, options.where, options.seed
    if target is None:
        target = _agreed("target", {name: note.target for name, note in notes.items()})
    if positive is None:
        labels = {n: note.positive for n, note in notes.items() if note.target == target}
        positive = _agreed("positive", labels)
    if where is None:
        wheres = {name: Where.from_value(note.where) for name, note in notes.items()}
        _agreed("where", {name: str(found) if found else None for name, found in wheres.items()})
        where = next(iter(wheres.values()), None)
    if seed is None:
        seed = next((note.seed for note in notes.values()), 0)
    return replace(options, target=target, positive=positive, where=where, seed=seed)


def _agreed(option: str, values: Mapping[str, T | None]) -> T | None:
    """Return the one value of all notes."""
    if len(set(values.values())) > 1:
        raise DataError(
            f"the notes beside the candidates name different things as {option}",
            got=", ".join(f"{name}: {value or 'none'}" for name, value in values.items()),
            todo=f"say which by --{option}",
        )
    return next(iter(values.values()), None)
