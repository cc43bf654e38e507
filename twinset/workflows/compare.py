"""`compare`: several synthetic tables measured against the same real one, with the same split and seed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from twinset.core.contracts import Progress, Score, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import DataError, ParameterError, TwinsetError
from twinset.core.rules.violations import broken_by_real_rows
from twinset.generation.provenance import TwinNote
from twinset.ingest.input_table import RealSplit, open_table, same_columns
from twinset.measurement.cache import ResultCache
from twinset.measurement.leakage import check_allowed, require_clean_sets
from twinset.measurement.leakage.row_overlap import copied_note, copied_rows
from twinset.measurement.notes import (
    image_notes,
    kept_values,
    list_score_embedders,
    note_embedder_mismatch,
    rule_notes,
)
from twinset.report import CandidateReport, apply_gates
from twinset.workflows.evaluate import (
    check_metric_gates,
    holdout_notes,
    note_excluded_metrics,
    note_of,
    real_parts,
    scores_of,
)
from twinset.workflows.evaluation_task import EvaluationTask
from twinset.workflows.options import EvaluateOptions

_UNKNOWN = "nothing tells which of these real rows its generator saw"
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class _CandidateNotes:
    """What the notes beside the candidates tell: the notes by candidate, and what a reader must know."""

    notes: Mapping[str, TwinNote]
    remarks: tuple[str, ...]

    @property
    def any(self) -> TwinNote | None:
        """One of the notes; all tell of the same split."""
        return next(iter(self.notes.values()), None)


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
    plain = open_table(real, name="real")
    check_metric_gates(options, plain.schema.kinds)
    found = _read_notes(plain, real, candidates, holdout)
    task = EvaluationTask.of(_options_from_notes(found, options), plain, cache=ResultCache())
    parts = real_parts(plain, holdout, found.any, task.options)
    remarks, blind = list(found.remarks), ""
    if holdout is not None:
        seen, blind = holdout_notes(parts)
        remarks += seen
    # All are read before the first is measured: a mistake in the last shall not cost the first hour.
    made = _opened(candidates, parts, found)
    known = {n: s for n, s in made.items() if not found.notes or n in found.notes}
    with threadpool_limits(limits=1):
        remarks += require_clean_sets(parts.train, parts.holdout, known, **task.leakage_settings)
    scores, copies, loud = _scored(made, parts, found, task, blind, progress)
    gates = options.gates
    return CandidateReport(
        title=f"{len(made)} candidates beside {plain.card.name}",
        scores=scores,
        copies=tuple(copies),
        gates={name: apply_gates(own, gates) for name, own in scores.items()} if gates else {},
        notes=(
            *loud,
            *note_embedder_mismatch(scores),
            *image_notes(next(iter(scores.values())), task.guessed_target),
            *remarks,
            *note_excluded_metrics(parts.train, task.options),
            *_set_notes(parts, made),
        ),
        facts=_facts(parts, made, task, list_score_embedders(next(iter(scores.values())))),
    )


def _scored(
    made: Mapping[str, Dataset],
    parts: RealSplit,
    found: _CandidateNotes,
    task: EvaluationTask,
    blind: str,
    progress: Progress,
) -> tuple[dict[str, tuple[Score, ...]], list[str], list[str]]:
    """Return the scores of each candidate, those that hold copies beyond chance, and what is said of it.

    Copies are counted where no holdout tells leaks; `blind` is why usefulness cannot be measured.
    """
    scores: dict[str, tuple[Score, ...]] = {}
    copies: list[str] = []
    loud: list[str] = []
    for name, synthetic in made.items():
        unknown = bool(found.notes) and name not in found.notes and parts.holdout is not None
        if unknown or parts.holdout is None:
            copied = copied_rows(parts.whole, synthetic)
            loud += [f"{name}: {words}" for words in copied_note(copied)]
            copies += [name] if copied.is_beyond_chance else []
        own = replace(task, progress=_named_progress(name, progress))
        with _naming(name), threadpool_limits(limits=1):
            scores[name] = tuple(
                scores_of(parts, synthetic, own, blind=_UNKNOWN if unknown else blind)
            )
    return scores, copies, loud


def _opened(
    candidates: Mapping[str, object], parts: RealSplit, found: _CandidateNotes
) -> dict[str, Dataset]:
    """Return the candidates as sets, with what the notes beside them tell."""
    made = {}
    for name, source in candidates.items():
        with _naming(name):
            made[name] = same_columns(source, parts.train, "synthetic")
        if name in found.notes:
            made[name] = made[name].with_card(notes=found.notes[name].notes)
    return made


def _facts(
    parts: RealSplit,
    made: Mapping[str, Dataset],
    task: EvaluationTask,
    embedders: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "train_rows": len(parts.train),
        "holdout_rows": None if parts.holdout is None else len(parts.holdout),
        "candidate_rows": {name: len(synthetic) for name, synthetic in made.items()},
        "target": task.target,
        "where": None if task.where is None else str(task.where),
        "seed": task.seed,
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
    plain: Dataset, real: object, candidates: Mapping[str, object], holdout: object | None
) -> _CandidateNotes:
    """Return the notes of the candidates.

    Raises
    ------
    DataError
        They tell of different splits.
    """
    found, remarks = {}, []
    for name, source in candidates.items():
        note, remark = note_of(plain, real, source, holdout)
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
    without = [name for name in candidates if name not in found]
    if found and without:
        remarks += [
            f"{name}: {_UNKNOWN}, so its leaks and its usefulness are not measured, and its other "
            "numbers may be too good; give rows that no generator saw by --holdout to compare all"
            for name in without
        ]
    return _CandidateNotes(found, tuple(remarks))


def _options_from_notes(found: _CandidateNotes, options: EvaluateOptions) -> EvaluateOptions:
    """Return the options; what is not given comes from the notes, which must agree on it."""
    notes = found.notes
    target, positive, where, seed = options.target, options.positive, options.where, options.seed
    if target is None:
        target = _agreed("target", {name: note.target for name, note in notes.items()})
    if positive is None:
        labels = {n: note.positive for n, note in notes.items() if note.target == target}
        positive = _agreed("positive", labels)
    if where is None:
        wheres = {name: Where.of(note.where) for name, note in notes.items()}
        _agreed("where", {name: str(found) if found else None for name, found in wheres.items()})
        where = next(iter(wheres.values()), None)
    if seed is None:
        seed = found.any.seed if found.any is not None else 0
    return replace(options, target=target, positive=positive, where=where, seed=seed)


def _agreed(what: str, values: Mapping[str, T | None]) -> T | None:
    """Return the one value of all notes.

    Raises
    ------
    DataError
        They differ.
    """
    if len(set(values.values())) > 1:
        raise DataError(
            f"the notes beside the candidates name different things as {what}",
            got=", ".join(f"{name}: {value or 'none'}" for name, value in values.items()),
            todo=f"say which by --{what}",
        )
    return next(iter(values.values()), None)


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Put the candidate's name in front of what an error of ours says."""
    try:
        yield
    except TwinsetError as error:
        error.what = f"candidate '{name}': {error.what}"
        raise


def _named_progress(name: str, progress: Progress) -> Progress:
    def report(step: str, done: int, total: int) -> None:
        progress(f"{step} {name}", done, total)

    return report


def _set_notes(parts: RealSplit, made: Mapping[str, Dataset]) -> list[str]:
    """Return what the report on each candidate would say, each with its name in front."""
    real, found = parts.train, [*broken_by_real_rows(parts.train)]
    for name, synthetic in made.items():
        own = [*synthetic.card.notes, *rule_notes(real, synthetic, (synthetic.card,))]
        own += kept_values(real, synthetic)
        found += [f"{name}: {words}" for words in dict.fromkeys(own)]
    sizes = {name: len(synthetic) for name, synthetic in made.items()}
    if len(set(sizes.values())) > 1:
        counts = ", ".join(f"{name} {n:,}" for name, n in sizes.items())
        found.append(
            f"the candidates have different numbers of rows ({counts}); each is compared with as many "
            "real rows, so compare the differences from real, not the values"
        )
    return found
