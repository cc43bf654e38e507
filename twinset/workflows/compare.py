"""`compare`: several synthetic tables measured against the same real one, with the same split and seed."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from twinset.core.contracts import Progress, Score, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import DataError, ParameterError, TwinsetError
from twinset.core.features.embedders import Looker
from twinset.core.rules.violations import broken_by_real_rows
from twinset.generation.provenance import TwinNote
from twinset.ingest.input_table import RealSplit, open_table, same_columns
from twinset.measurement.cache import ResultCache
from twinset.measurement.leakage import check_allowed, refuse_sets
from twinset.measurement.leakage.row_overlap import copied_note, copied_rows
from twinset.measurement.load_embedders import embedders_of, label_of_images
from twinset.measurement.notes import (
    image_notes,
    kept_values,
    list_score_embedders,
    note_embedder_mismatch,
    rule_notes,
)
from twinset.measurement.options import EvaluateOptions
from twinset.registry import default_metrics
from twinset.report import CandidateReport, apply_gates, check_gates
from twinset.workflows.evaluate import (
    check_counts,
    holdout_notes,
    note_excluded_metrics,
    note_of,
    real_parts,
    scores_of,
)

_UNKNOWN = "nothing tells which of these real rows its generator saw"
T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True)
class _Told:
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
    *,
    holdout: object | None = None,
    target: str | None = None,
    positive: str | None = None,
    where: Where | Mapping[str, Any] | str | None = None,
    seed: int | None = None,
    gates: Mapping[str, Mapping[str, Any]] | None = None,
    quick: bool = False,
    workers: int = 1,
    progress: Progress = silent,
    time: str | None = None,
    group: str | None = None,
    allow_leaks: Sequence[str] = (),
    embedders: Sequence[str | Looker] | None = None,
) -> CandidateReport:
    """Return several synthetic tables side by side, measured against the same real one.

    Parameters
    ----------
    real : path or Arrow object
        A CSV, Parquet or JSON-Lines file, or a pandas or polars frame, a pyarrow table, ...
    candidates : mapping
        Name -> such a table with the same columns; two or more. The notes that `twin` wrote beside
        files tell which real rows were locked away; they must tell the same. Of a candidate without
        a note, beside others with one, leaks and usefulness are not measurable.
    holdout : path or Arrow object, optional
        Real rows that no generator saw; `real` then holds those that they saw, notes are not read.
    target, positive : str, optional
        Column that models will predict and its label that counts as positive; by default those of
        the notes.
    where : Where, mapping or str, optional
        Compare only rows that meet this condition; by default that of the notes.
    seed : int, optional
        Seed of the measuring; by default that of the notes, else 0.
    gates : mapping, optional
        Metric -> bounds, as in a recipe; a candidate that misses one is not recommended.
    quick : bool
        Leave out the metrics that take a while; a note names them.
    workers : int
        Threads, 1 or more; the result does not depend on them.
    progress : Progress
        Told of every candidate and every metric.
    time, group : str, optional
        Columns of the real table: by `time` every row of it must be earlier than the holdout; values
        of `group` must not stand on both sides, unless the cut is by time.
    allow_leaks : sequence of str
        Kinds of leaks (`twinset.measurement.leakage.LEAKS`) that are told on the report instead of refused.
    embedders : sequence of str, Embedder or TextEmbedding, optional
        Models that embed images and texts: see `twinset.measurement.load_embedders`. The same for every
        candidate; the report names them with the hashes of their weights.

    Raises
    ------
    LeakError
        The holdout does not stand apart from the real table or from a candidate.
    TwinsetError
        The arguments or the data cannot be used, or the candidates were made on different splits.

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
    check_counts(seed=seed, workers=workers)
    check_allowed(allow_leaks)
    _check_names(candidates)
    plain = open_table(real, name="real")
    measured = [name for name, _ in default_metrics(plain.schema.kinds, quick=quick)]
    check_gates(gates or {}, measured, place="gates")
    told = _read_notes(plain, real, candidates, holdout)
    question = replace(
        _question(told, target, positive, where, seed),
        quick=quick, workers=workers, time=time, group=group, allow_leaks=tuple(allow_leaks),
        embedders=None if embedders is None else embedders_of(embedders),
        remembered=ResultCache(),
    )  # fmt: skip
    if question.target is None and (own := label_of_images(plain)) is not None:
        question = replace(question, target=own, guessed=own)
    parts = real_parts(plain, holdout, told.any, question)
    remarks, blind = list(told.remarks), ""
    if holdout is not None:
        seen, blind = holdout_notes(parts)
        remarks += seen
    # All are read before the first is measured: a mistake in the last shall not cost the first hour.
    made = _opened(candidates, parts, told)
    known = {n: s for n, s in made.items() if not told.notes or n in told.notes}
    with threadpool_limits(limits=1):
        remarks += refuse_sets(parts.train, parts.holdout, known, **question.about_leaks)
    scores, copies, loud = _scored(made, parts, told, question, blind, progress)
    return CandidateReport(
        title=f"{len(made)} candidates beside {plain.card.name}",
        scores=scores,
        copies=tuple(copies),
        gates={name: apply_gates(own, gates) for name, own in scores.items()} if gates else {},
        notes=(
            *loud,
            *note_embedder_mismatch(scores),
            *image_notes(next(iter(scores.values())), question.guessed),
            *remarks,
            *note_excluded_metrics(parts.train, question),
            *_set_notes(parts, made),
        ),
        facts=_facts(parts, made, question, list_score_embedders(next(iter(scores.values())))),
    )


def _scored(
    made: Mapping[str, Dataset],
    parts: RealSplit,
    told: _Told,
    question: EvaluateOptions,
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
        unknown = bool(told.notes) and name not in told.notes and parts.holdout is not None
        if unknown or parts.holdout is None:
            copied = copied_rows(parts.whole, synthetic)
            loud += [f"{name}: {words}" for words in copied_note(copied)]
            copies += [name] if copied.is_beyond_chance else []
        asked = replace(question, progress=_named_progress(name, progress))
        with _naming(name), threadpool_limits(limits=1):
            scores[name] = tuple(
                scores_of(parts, synthetic, asked, blind=_UNKNOWN if unknown else blind)
            )
    return scores, copies, loud


def _opened(candidates: Mapping[str, object], parts: RealSplit, told: _Told) -> dict[str, Dataset]:
    """Return the candidates as sets, with what the notes beside them tell."""
    made = {}
    for name, source in candidates.items():
        with _naming(name):
            made[name] = same_columns(source, parts.train, "synthetic")
        if name in told.notes:
            made[name] = made[name].with_card(notes=told.notes[name].notes)
    return made


def _facts(
    parts: RealSplit,
    made: Mapping[str, Dataset],
    question: EvaluateOptions,
    embedders: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "train_rows": len(parts.train),
        "holdout_rows": None if parts.holdout is None else len(parts.holdout),
        "candidate_rows": {name: len(synthetic) for name, synthetic in made.items()},
        "target": question.target,
        "where": None if question.where is None else str(question.where),
        "seed": question.seed,
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
) -> _Told:
    """Return the notes of the candidates.

    Raises
    ------
    DataError
        They tell of different splits.
    """
    found, remarks = {}, []
    for name, source in candidates.items():
        note, told = note_of(plain, real, source, holdout)
        remarks += [f"{name}: {words}" for words in told]
        if note is not None:
            found[name] = note
    # The digest is keyed by table and seed: the same digest means the same rows locked away.
    if len({note.holdout_digest for note in found.values()}) > 1:
        seeds = ", ".join(
            f"{name}: seed {note.seed}, {note.holdout_fraction:.0%} locked away"
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
    return _Told(found, tuple(remarks))


def _question(
    told: _Told,
    target: str | None,
    positive: str | None,
    where: Where | Mapping[str, Any] | str | None,
    seed: int | None,
) -> EvaluateOptions:
    """Return what is asked; what is not given comes from the notes, which must agree on it."""
    notes = told.notes
    if target is None:
        target = _agreed("target", {name: note.target for name, note in notes.items()})
    if positive is None:
        labels = {n: note.positive for n, note in notes.items() if note.target == target}
        positive = _agreed("positive", labels)
    condition = Where.of(where)
    if condition is None:
        wheres = {name: Where.of(note.where) for name, note in notes.items()}
        _agreed("where", {name: str(found) if found else None for name, found in wheres.items()})
        condition = next(iter(wheres.values()), None)
    if seed is None:
        seed = told.any.seed if told.any is not None else 0
    return EvaluateOptions(target=target, positive=positive, where=condition, seed=seed)


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
        told = [*synthetic.card.notes, *rule_notes(real, synthetic, (synthetic.card,))]
        told += kept_values(real, synthetic)
        found += [f"{name}: {words}" for words in dict.fromkeys(told)]
    sizes = {name: len(synthetic) for name, synthetic in made.items()}
    if len(set(sizes.values())) > 1:
        counts = ", ".join(f"{name} {n:,}" for name, n in sizes.items())
        found.append(
            f"the candidates have different numbers of rows ({counts}); each is held against as many "
            "real rows, so compare the differences from real, not the values"
        )
    return found
