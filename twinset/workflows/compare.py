"""`compare`: several synthetic tables measured against the same real one, with the same split and seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from threadpoolctl import threadpool_limits

from twinset.core.contracts import Progress, Score, silent
from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, ParameterError, TwinsetError
from twinset.core.rules.violations import broken_by_real_rows
from twinset.generation.provenance import TwinNote
from twinset.ingest.candidate import Candidate, read_candidate
from twinset.ingest.input_table import open_table
from twinset.measurement.comparison import ResultCache
from twinset.measurement.leakage import check_allowed, require_clean_sets
from twinset.measurement.leakage.duplicates import count_copied_rows, note_copied_rows
from twinset.measurement.notes import (
    list_score_embedders,
    note_embedder_mismatch,
    note_images,
    note_kept_values,
    note_rules,
)
from twinset.report import apply_gates
from twinset.report.candidates import CandidateReport
from twinset.workflows.evaluate import (
    EvaluationTask,
    PreparedReal,
    check_metric_gates,
    measure_set,
    note_columns,
    note_excluded_metrics,
    note_ignored,
    options_from_notes,
    prepare_real,
    read_twin_note,
    with_named_columns,
    with_reading,
)
from twinset.workflows.options import EvaluateOptions

_UNKNOWN = "nothing tells which of these real rows its generator saw"
Notes = Mapping[str, TwinNote]


def compare(
    real: object,
    candidates: Mapping[str, object],
    options: EvaluateOptions | None = None,
    *,
    holdout: object | None = None,
    progress: Progress = silent,
    **settings: Any,
) -> CandidateReport:
    """Return several synthetic tables side by side, measured against the same real one.

    Parameters
    ----------
    real : path or Arrow object
        A CSV, Parquet or JSON-Lines file, or a pandas or polars frame, a pyarrow table, ...
    candidates : mapping
        Name -> such a table with the same columns; two or more. The provenance files that `twin` wrote
        beside files say which real rows are the holdout; they must agree. Where only some candidates
        have one, leaks and usefulness of the others are not measurable.
    options : EvaluateOptions, optional
        What to measure and how, the same for every candidate. Target, positive label, condition and seed
        come from the provenance files where they are not given.
    holdout : path or Arrow object, optional
        Real rows that no generator saw; `real` then holds the train rows, provenance files are not read.
    progress : Progress
        Called with (step, done, total) for every candidate and metric.
    **settings
        Single fields of `EvaluateOptions`, e.g. ``quick=True``.

    Raises
    ------
    LeakError
        The holdout overlaps the real table or a candidate.
    TwinsetError
        The options or the data cannot be used, or the candidates were made on different splits.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> real = pa.table({"x": np.arange(100.0), "y": np.arange(100.0) % 7})
    >>> flat = pa.table({"x": [0.5] * 50, "y": [1.5] * 50})
    >>> near = pa.table({"x": np.arange(100.0) + 0.25, "y": np.arange(100.0) % 7})
    >>> found = compare(real, {"near": near, "flat": flat}, quick=True)
    >>> next(row.best for row in found.rows if row.metric == "gap.marginals")
    'near'
    """
    options = EvaluateOptions.merge(options, settings)
    check_allowed(options.allow_leaks)
    _check_names(candidates)
    options, recorded = with_reading(options, real, candidates.values())
    plain = open_table(real, name="real", read=options.read)
    options = with_named_columns(options, plain)
    check_metric_gates(options, plain.schema.kinds)
    notes, remarks = _read_notes(plain, candidates, holdout)
    task = EvaluationTask.from_options(
        options_from_notes(notes, options), plain, cache=ResultCache()
    )
    prepared = prepare_real(plain, holdout, next(iter(notes.values()), None), task.options, real)
    parts = prepared.parts
    # All are read before the first is measured: a mistake in the last shall not cost the first hour.
    read = dict(_read_candidates(candidates, parts.whole, real, options, notes))
    sets = {name: one.rows for name, one in read.items()}
    columns = [f"{n}: {words}" for n, one in read.items() for words in note_columns(one, ())]
    remarks = [*columns, *note_ignored(options.ignore), *recorded, *remarks, *prepared.notes]
    known = {n: one for n, one in read.items() if not notes or n in notes}
    remarks += _require_clean_sets(prepared, known, task)
    unknown = [name for name in sets if notes and name not in notes and parts.holdout is not None]
    copies, copy_notes = _find_copies(sets if parts.holdout is None else unknown, read, prepared)
    blind = {name: _UNKNOWN if name in unknown else prepared.blind for name in sets}
    scores = {
        name: _measure(name, prepared.fit(one), one.rows, task.fit(one), blind[name], progress)
        for name, one in read.items()
    }
    return CandidateReport(
        title=f"{len(sets)} candidates beside {plain.card.name}",
        scores=scores,
        copies=tuple(copies),
        gates={name: apply_gates(found, options.gates) for name, found in scores.items()}
        if options.gates
        else {},
        notes=(
            *copy_notes,
            *note_embedder_mismatch(scores),
            *note_images(next(iter(scores.values())), task.guessed_target),
            *remarks,
            *note_excluded_metrics(parts.train, task.options),
            *_set_notes(parts.train, sets),
        ),
        facts=_facts(prepared, sets, task, scores),
    )


def _read_candidates(
    candidates: Mapping[str, object],
    whole: Dataset,
    real: object,
    options: EvaluateOptions,
    notes: Notes,
) -> Iterator[tuple[str, Candidate]]:
    """Yield the name and the rows of each candidate, with the notes of the file beside it."""
    for name, source in candidates.items():
        with _naming(name):
            found = read_candidate(
                source, whole, real_source=real, read=options.read, ignored=options.ignore
            )
        if name in notes:
            found = replace(found, rows=found.rows.with_card(notes=notes[name].notes))
        yield name, found


def _measure(
    name: str,
    prepared: PreparedReal,
    synthetic: Dataset,
    task: EvaluationTask,
    blind: str,
    progress: Progress,
) -> tuple[Score, ...]:
    """Return the scores of a candidate; its name stands in progress and errors."""

    def report(step: str, done: int, total: int) -> None:
        progress(f"{step} {name}", done, total)

    own, parts = replace(task, request=replace(task.request, progress=report)), prepared.parts
    with _naming(name), threadpool_limits(limits=1):
        return tuple(measure_set(parts.train, parts.holdout, synthetic, own, blind=blind))


def _require_clean_sets(
    prepared: PreparedReal, read: Mapping[str, Candidate], task: EvaluationTask
) -> list[str]:
    """Return the remarks of the leakage guard on the candidates, those of equal columns together."""
    alike: dict[str, list[str]] = {}
    for name, one in read.items():
        alike.setdefault(str((one.rows.schema.names, one.changed)), []).append(name)
    remarks: list[str] = []
    for names in alike.values():
        first = read[names[0]]
        parts, settings = prepared.fit(first).parts, task.fit(first).leakage_settings
        with threadpool_limits(limits=1):
            sets = {name: read[name].rows for name in names}
            remarks += require_clean_sets(parts.train, parts.holdout, sets, **settings)
    return list(dict.fromkeys(remarks))


def _find_copies(
    names: Iterable[str], read: Mapping[str, Candidate], prepared: PreparedReal
) -> tuple[list[str], list[str]]:
    """Return which candidates hold copies beyond chance, and notes on them.

    Copies are counted where no holdout shows leaks.
    """
    copies, notes = [], []
    for name in names:
        copied = count_copied_rows(prepared.fit(read[name]).parts.whole, read[name].rows)
        notes += [f"{name}: {words}" for words in note_copied_rows(copied)]
        copies += [name] if copied.is_beyond_chance else []
    return copies, notes


def _facts(
    prepared: PreparedReal,
    sets: Mapping[str, Dataset],
    task: EvaluationTask,
    scores: Mapping[str, tuple[Score, ...]],
) -> dict[str, Any]:
    embedders = list_score_embedders(next(iter(scores.values())))
    holdout = prepared.parts.holdout
    return {
        "train_rows": len(prepared.parts.train),
        "holdout_rows": None if holdout is None else len(holdout),
        "candidate_rows": {name: len(synthetic) for name, synthetic in sets.items()},
        "target": task.options.target,
        "where": None if task.request.where is None else str(task.request.where),
        "seed": task.request.seed,
        **({"embedders": embedders} if embedders else {}),
    }


def _check_names(candidates: Mapping[str, object]) -> None:
    if len(candidates) < 2:
        raise ParameterError(
            "there is nothing to compare",
            got=f"{len(candidates)} candidate{'' if len(candidates) == 1 else 's'}",
            allowed="two or more",
            todo="name another one, or use evaluate for a single one",
        )
    if not all(isinstance(name, str) and name.strip() for name in candidates):
        raise ParameterError("a candidate has no name", todo="name each with a text")


def _read_notes(
    plain: Dataset, candidates: Mapping[str, object], holdout: object | None
) -> tuple[dict[str, TwinNote], list[str]]:
    """Return the provenance of the candidates by name, and remarks on them."""
    found, remarks = {}, []
    for name, source in candidates.items():
        note, remark = read_twin_note(plain, source, holdout)
        remarks += [f"{name}: {words}" for words in remark]
        if note is not None:
            found[name] = note
    # The digest is keyed by table and seed: the same digest means the same holdout.
    if len({note.holdout_digest for note in found.values()}) > 1:
        seeds = ", ".join(
            f"{name}: seed {note.seed}, {note.holdout_fraction:.0%} holdout"
            for name, note in found.items()
        )
        raise DataError(
            "the candidates were made on different splits of the real table",
            got=seeds,
            todo="make them with the same seed, target and holdout fraction, or give rows that none "
            "of them saw by --holdout",
        )
    without = [name for name in candidates if name not in found] if found else []
    remarks += [
        f"{name}: {_UNKNOWN}, so its leaks and its usefulness are not measured, and its other "
        "numbers may be too good; give rows that no generator saw by --holdout to compare all"
        for name in without
    ]
    return found, remarks


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the candidate's name in front of what an error of ours says."""
    try:
        yield
    except TwinsetError as error:
        error.message = f"candidate '{name}': {error.message}"
        raise


def _set_notes(real: Dataset, sets: Mapping[str, Dataset]) -> list[str]:
    """Return what the report on each candidate would say, each with its name in front."""
    found = [*broken_by_real_rows(real)]
    for name, synthetic in sets.items():
        own = [*synthetic.card.notes, *note_rules(real, synthetic, (synthetic.card,))]
        own += note_kept_values(real, synthetic)
        found += [f"{name}: {words}" for words in dict.fromkeys(own)]
    sizes = {name: len(synthetic) for name, synthetic in sets.items()}
    if len(set(sizes.values())) > 1:
        counts = ", ".join(f"{name} {n:,}" for name, n in sizes.items())
        found.append(
            f"the candidates have different numbers of rows ({counts}); each is compared with as many "
            "real rows, so compare the differences from real, not the values"
        )
    return found
