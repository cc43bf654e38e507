"""`evaluate`: a report on synthetic rows beside real ones, without a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from twinset.core.contracts import Progress, Score, silent
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.errors import DataError, ParameterError
from twinset.core.features.embedders import Looker
from twinset.core.rules.violations import broken_by_real_rows
from twinset.generation.provenance import Seal, TwinNote, note_path
from twinset.generation.refit import refit_from_note
from twinset.ingest.input_table import (
    RealSplit,
    label_beside_texts,
    name_target,
    open_table,
    same_columns,
    split_holdout,
    with_role,
)
from twinset.ingest.text_columns import text_sides
from twinset.measurement.harness import FAMILIES, measure
from twinset.measurement.leakage import check_allowed, refuse_sets
from twinset.measurement.leakage.row_overlap import (
    copied_note,
    copied_rows,
    count_row_overlap,
    seen_note,
)
from twinset.measurement.load_embedders import embedders_of, label_of_images
from twinset.measurement.notes import (
    card_notes,
    image_notes,
    kept_values,
    list_score_embedders,
    note_single_label,
    rule_notes,
)
from twinset.measurement.options import EvaluateOptions
from twinset.measurement.verdict import not_measurable
from twinset.registry import attack_metrics, default_metrics
from twinset.report import Report, apply_gates, build_report, check_gates

_NEED_HOLDOUT = ("utility", "privacy")


def evaluate(
    real: object,
    synthetic: object,
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
    attacks: Sequence[str] = (),
) -> Report:
    """Return a report on a synthetic table or image set beside the real one.

    Parameters
    ----------
    real, synthetic : path or Arrow object
        A CSV, Parquet or JSON-Lines file, a folder of images, a pandas or polars frame, ... The
        synthetic one needs the same columns. When both are files and `twin` made the synthetic
        one, the note beside it tells which real rows were locked away.
    holdout : path or Arrow object, optional
        Real rows that the generator did not see; `real` then holds those that it saw.
    target : str, optional
        Column that models will predict; without it usefulness is not measurable.
    positive : str, optional
        Label of `target` that counts as positive.
    where : Where, mapping or str, optional
        Compare only rows that meet this condition.
    seed : int, optional
        Seed of the measuring; by default that of the note, else 0.
    gates : mapping, optional
        Bounds on scores as in a recipe: metric -> ``{max: number, min: number, of: ...}``.
    quick : bool
        Leave out the metrics that take a while; a note on the report names them.
    workers, progress : int, Progress
        Threads, 1 or more, on which the result does not depend; who is told of every metric.
    time, group : str, optional
        Columns: by `time` every real row must be earlier than the holdout; values of `group` (a
        card, a patient) must not stand on both sides, unless the cut is by time.
    allow_leaks : sequence of str
        Kinds of leaks (`twinset.measurement.leakage.LEAKS`) that are told on the report instead of refused.
    embedders : sequence of str, Embedder or TextEmbedding, optional
        What to look at images and texts with: `twinset.measurement.load_embedders.embedders_of`.
    attacks : sequence of str
        Attacks that take far longer than all else: "shadow" makes the generator again, many times, and
        needs the note that `twin` wrote.

    Raises
    ------
    TwinsetError
        The arguments or the data cannot be used, or (LeakError) the holdout does not stand apart.

    Examples
    --------
    >>> import numpy as np, pyarrow as pa
    >>> real = pa.table({"x": np.arange(100.0), "y": np.arange(100.0) % 7})
    >>> evaluate(real, real.slice(0, 50)).passed
    True
    """
    check_counts(seed=seed, workers=workers)
    check_allowed(allow_leaks)
    plain = open_table(real, name="real")
    asked = [*default_metrics(plain.schema.kinds, quick=quick), *attack_metrics(attacks)]
    check_gates(gates or {}, [name for name, _ in asked], place="gates")
    note, told = note_of(plain, real, synthetic, holdout)
    plain, (synthetic, holdout), lost = text_sides(plain, real, (synthetic, holdout), target)
    notes = [*told, *lost]
    if note is not None:
        target, seed = target or note.target, note.seed if seed is None else seed
        positive = positive or (note.positive if target == note.target else None)
        where = where or note.where
    if target is None and (target := label_beside_texts(plain.schema)) is not None:
        notes += [f"Taken as the target: '{target}', the only label beside the texts."]
    own = label_of_images(plain) if target is None else None
    question = EvaluateOptions(
        target=target or own,
        guessed=own,
        positive=positive,
        where=Where.of(where),
        seed=seed or 0,
        quick=quick,
        workers=workers,
        progress=progress,
        time=time,
        group=group,
        allow_leaks=tuple(allow_leaks),
        embedders=None if embedders is None else embedders_of(embedders),
        attacks=tuple(attacks),
        remake=refit_from_note(note, attacks),
    )
    parts = real_parts(plain, holdout, note, question)
    seen, blind = ([], "") if holdout is None else holdout_notes(parts)
    notes += seen
    made = same_columns(synthetic, parts.train, "synthetic")
    if note is not None:
        made = replace(made, card=note.card(f"twin of {plain.card.name}"))
    notes = [*_copies_without_holdout(parts, made), *notes]
    with threadpool_limits(limits=1):
        notes += refuse_sets(parts.train, parts.holdout, {"": made}, **question.about_leaks)
        return appraise(parts, made, question, notes=notes, gates=gates or {}, blind=blind)


def _copies_without_holdout(parts: RealSplit, made: Dataset) -> list[str]:
    """Return what to say of copied rows where no holdout tells how many chance makes."""
    return [] if parts.holdout is not None else copied_note(copied_rows(parts.train, made))


def appraise(
    parts: RealSplit,
    synthetic: Dataset,
    question: EvaluateOptions,
    *,
    notes: Sequence[str] = (),
    gates: Mapping[str, Mapping[str, Any]] | None = None,
    blind: str = "",
) -> Report:
    """Return the report on a synthetic set beside the two parts of a real one.

    `blind` is why leaks and usefulness cannot be measured; empty where they can.

    Raises
    ------
    DataError
        The condition means no row of a set.
    """
    scores = scores_of(parts, synthetic, question, blind=blind)
    facts = list_score_embedders(scores)
    looked = card_notes(facts)
    return build_report(
        title=f"{synthetic.card.name} beside {parts.train.card.name}",
        train=parts.train,
        synthetic=synthetic,
        holdout=parts.holdout,
        scores=scores,
        gates=apply_gates(scores, gates or {}),
        cards=(parts.train.card, replace(synthetic.card, notes=(*synthetic.card.notes, *looked))),
        lineage=None,
        target=question.target,
        where=question.where,
        embedders=facts,
        notes=[
            *image_notes(scores, question.guessed),
            *note_single_label(parts.train, synthetic, question.target, question.where),
            *notes,
            *note_excluded_metrics(parts.train, question),
            *broken_by_real_rows(parts.train),
            *rule_notes(parts.train, synthetic, (synthetic.card,)),
            *kept_values(parts.train, synthetic),
        ],
    )


def scores_of(
    parts: RealSplit, synthetic: Dataset, question: EvaluateOptions, *, blind: str = ""
) -> list[Score]:
    """Return what every default metric says of a synthetic set beside the two parts of a real one.

    `blind` is why what rests on unseen rows is not measurable; empty where it is.

    Raises
    ------
    DataError
        The condition means no row of a set.
    """
    for name, part in (("real", parts.train), ("synthetic", synthetic)):
        if len(part.where(question.where)) == 0:
            raise DataError(
                f"no {name} row meets the condition: {question.where}",
                got=f"0 of {len(part)} rows",
                todo="correct the condition, or give data that hold such rows",
            )
    metrics = default_metrics(parts.train.schema.kinds, quick=question.quick)
    metrics += attack_metrics(question.attacks)
    hidden = [(n, m) for n, m in metrics if blind and m.needs_real and m.family in _NEED_HOLDOUT]
    looked = [pair for pair in metrics if pair not in hidden]
    found = measure(
        train=parts.train,
        synthetic=synthetic,
        holdout=parts.holdout,
        metrics=looked,
        where=question.where,
        target=question.target,
        positive=question.positive,
        population={},
        embedders=question.embedders,
        seed=question.seed,
        workers=question.workers,
        progress=question.progress,
        remake=question.remake,
        remembered=question.remembered,
    )
    found += [not_measurable(name, metric, blind) for name, metric in hidden]
    return sorted(found, key=lambda score: FAMILIES.index(score.family))


def note_excluded_metrics(train: Dataset, question: EvaluateOptions) -> list[str]:
    """Return a note that names what a quick look leaves out."""
    every, looked = (
        {name for name, _ in default_metrics(train.schema.kinds, quick=quick)}
        for quick in (False, question.quick)
    )
    named = ", ".join(sorted(every - looked))
    return [f"A quick look, without {named}; a full one measures these too."] if named else []


def check_counts(*, seed: int | None = None, workers: int = 1, rows: int | None = None) -> None:
    """Raise ParameterError for a seed below 0, or for workers or rows below 1."""
    for name, value, least in (("seed", seed, 0), ("workers", workers, 1), ("rows", rows, 1)):
        if value is not None and value < least:
            raise ParameterError(
                f"the number of {name} is out of range" if least else "the seed is out of range",
                got=str(value),
                allowed=f"{least} or more",
            )


def note_of(
    plain: Dataset, real: object, synthetic: object, holdout: object | None
) -> tuple[TwinNote | None, list[str]]:
    """Return the note beside the synthetic file if it speaks of this real table, else say why not."""
    if holdout is not None or not isinstance(synthetic, str | Path):
        return None, []
    note = TwinNote.read(Path(synthetic))
    if note is None:
        return None, []
    if Seal.of(plain, note.seed).real_digest != note.real_digest:
        name = note_path(Path(synthetic)).name
        return None, [
            f"{name} belongs to another real table, so it is not known which of these real rows the "
            "generator saw: leaks and usefulness are not measured"
        ]
    return note, []


def real_parts(
    plain: Dataset, holdout: object | None, note: TwinNote | None, question: EvaluateOptions
) -> RealSplit:
    """Return the real table cut as the holdout or the note says, or whole where neither does.

    Raises
    ------
    DataError
        The rows that the note speaks of cannot be found again.
    """
    real = name_target(plain, question.target, question.positive)
    if question.time is not None:
        real = with_role(real, question.time, "time")
    if question.group is not None:
        real = with_role(real, question.group, "group")
    if holdout is not None:
        unseen = same_columns(holdout, real, "holdout")
        return RealSplit(real, unseen, np.empty(0, dtype=np.int64))
    if note is None or note.holdout_fraction == 0:
        return RealSplit(real, None, np.empty(0, dtype=np.int64))
    # The cut was made on the target that `twin` was told, which need not be the one asked for now.
    parts = split_holdout(name_target(plain, note.target), note.holdout_fraction, note.seed)
    if Seal.of(plain, note.seed).holdout_digest(parts.locked) != note.holdout_digest:
        raise DataError(
            "the rows that were locked away cannot be found again",
            got=f"a note by twinset {note.version}",
            todo="make the twin again with this version, or give the holdout as a file",
        )
    kept = np.setdiff1d(np.arange(len(real)), parts.locked)
    return replace(parts, train=real.take(kept), holdout=real.take(parts.locked))


def holdout_notes(parts: RealSplit) -> tuple[list[str], str]:
    """Return what to note of a holdout that was given, and why it cannot show leaks; empty if it can."""
    if parts.holdout is None:
        return [], ""
    found = count_row_overlap(parts.train, parts.holdout)
    notes = seen_note(found)
    return notes, notes[0] if notes and found.is_beyond_chance else ""
