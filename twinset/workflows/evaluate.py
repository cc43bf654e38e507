"""`evaluate`: a report on synthetic rows beside real ones, without a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from twinset.core.contracts import Progress, Score, silent
from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError
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
from twinset.ingest.text_columns import reduce_to_texts
from twinset.measurement.harness import FAMILIES, measure
from twinset.measurement.leakage import check_allowed, require_clean_sets
from twinset.measurement.leakage.row_overlap import (
    copied_note,
    copied_rows,
    count_row_overlap,
    seen_note,
)
from twinset.measurement.notes import (
    card_notes,
    image_notes,
    kept_values,
    list_score_embedders,
    note_single_label,
    rule_notes,
)
from twinset.measurement.verdict import not_measurable
from twinset.registry import attack_metrics, default_metrics
from twinset.report import Report, apply_gates, build_report, check_gates
from twinset.workflows.evaluation_task import EvaluationTask
from twinset.workflows.options import EvaluateOptions

_NEED_HOLDOUT = ("utility", "privacy")


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
    plain = open_table(real, name="real")
    check_metric_gates(options, plain.schema.kinds)
    note, remarks = note_of(plain, real, synthetic, holdout)
    plain, (synthetic, holdout), lost = reduce_to_texts(
        plain, real, (synthetic, holdout), options.target
    )
    notes = [*remarks, *lost]
    if note is not None:
        options = options_from_note(options, note)
    if options.target is None and (label := label_beside_texts(plain.schema)) is not None:
        options = replace(options, target=label)
        notes += [f"Taken as the target: '{label}', the only label beside the texts."]
    task = EvaluationTask.of(
        options, plain, refit=refit_from_note(note, options.attacks), progress=progress
    )
    parts = real_parts(plain, holdout, note, task.options)
    seen, blind = ([], "") if holdout is None else holdout_notes(parts)
    notes += seen
    made = same_columns(synthetic, parts.train, "synthetic")
    if note is not None:
        made = replace(made, card=note.card(f"twin of {plain.card.name}"))
    notes = [*_copies_without_holdout(parts, made), *notes]
    with threadpool_limits(limits=1):
        notes += require_clean_sets(parts.train, parts.holdout, {"": made}, **task.leakage_settings)
        return appraise(parts, made, task, notes=notes, blind=blind)


def options_from_note(options: EvaluateOptions, note: TwinNote) -> EvaluateOptions:
    """Return the options; what was not given comes from the provenance of the synthetic file."""
    target = options.target or note.target
    return replace(
        options,
        target=target,
        seed=note.seed if options.seed is None else options.seed,
        positive=options.positive or (note.positive if target == note.target else None),
        where=options.where or note.where,
    )


def check_metric_gates(options: EvaluateOptions, kinds: Iterable[str]) -> None:
    """Raise an error for a gate on a metric that is not measured."""
    metrics = [*default_metrics(kinds, quick=options.quick), *attack_metrics(options.attacks)]
    check_gates(options.gates, [name for name, _ in metrics], place="gates")


def _copies_without_holdout(parts: RealSplit, made: Dataset) -> list[str]:
    """Return what to say of copied rows where no holdout tells how many chance makes."""
    return [] if parts.holdout is not None else copied_note(copied_rows(parts.train, made))


def appraise(
    parts: RealSplit,
    synthetic: Dataset,
    task: EvaluationTask,
    *,
    notes: Sequence[str] = (),
    blind: str = "",
) -> Report:
    """Return the report on a synthetic set beside the two parts of a real one.

    `blind` is why leaks and usefulness cannot be measured; empty where they can.

    Raises
    ------
    DataError
        The condition means no row of a set.
    """
    scores = scores_of(parts, synthetic, task, blind=blind)
    facts = list_score_embedders(scores)
    looked = card_notes(facts)
    return build_report(
        title=f"{synthetic.card.name} beside {parts.train.card.name}",
        train=parts.train,
        synthetic=synthetic,
        holdout=parts.holdout,
        scores=scores,
        gates=apply_gates(scores, task.options.gates),
        cards=(parts.train.card, replace(synthetic.card, notes=(*synthetic.card.notes, *looked))),
        lineage=None,
        target=task.target,
        where=task.where,
        embedders=facts,
        notes=[
            *image_notes(scores, task.guessed_target),
            *note_single_label(parts.train, synthetic, task.target, task.where),
            *notes,
            *note_excluded_metrics(parts.train, task.options),
            *broken_by_real_rows(parts.train),
            *rule_notes(parts.train, synthetic, (synthetic.card,)),
            *kept_values(parts.train, synthetic),
        ],
    )


def scores_of(
    parts: RealSplit, synthetic: Dataset, task: EvaluationTask, *, blind: str = ""
) -> list[Score]:
    """Return what every default metric says of a synthetic set beside the two parts of a real one.

    `blind` is why what rests on unseen rows is not measurable; empty where it is.

    Raises
    ------
    DataError
        The condition means no row of a set.
    """
    for name, part in (("real", parts.train), ("synthetic", synthetic)):
        if len(part.where(task.where)) == 0:
            raise DataError(
                f"no {name} row meets the condition: {task.where}",
                got=f"0 of {len(part)} rows",
                todo="correct the condition, or give data that hold such rows",
            )
    metrics = default_metrics(parts.train.schema.kinds, quick=task.options.quick)
    metrics += attack_metrics(task.options.attacks)
    hidden = [(n, m) for n, m in metrics if blind and m.needs_real and m.family in _NEED_HOLDOUT]
    looked = [pair for pair in metrics if pair not in hidden]
    found = measure(
        train=parts.train,
        synthetic=synthetic,
        holdout=parts.holdout,
        metrics=looked,
        where=task.where,
        target=task.target,
        positive=task.positive,
        population={},
        embedders=task.embedders,
        seed=task.seed,
        workers=task.options.workers,
        progress=task.progress,
        remake=task.refit,
        remembered=task.cache,
    )
    found += [not_measurable(name, metric, blind) for name, metric in hidden]
    return sorted(found, key=lambda score: FAMILIES.index(score.family))


def note_excluded_metrics(train: Dataset, options: EvaluateOptions) -> list[str]:
    """Return a note that names what a quick look leaves out."""
    every, looked = (
        {name for name, _ in default_metrics(train.schema.kinds, quick=quick)}
        for quick in (False, options.quick)
    )
    named = ", ".join(sorted(every - looked))
    return [f"A quick look, without {named}; a full one measures these too."] if named else []


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
    plain: Dataset, holdout: object | None, note: TwinNote | None, options: EvaluateOptions
) -> RealSplit:
    """Return the real table cut as the holdout or the note says, or whole where neither does.

    Raises
    ------
    DataError
        The rows that the note speaks of cannot be found again.
    """
    real = name_target(plain, options.target, options.positive)
    if options.time is not None:
        real = with_role(real, options.time, "time")
    if options.group is not None:
        real = with_role(real, options.group, "group")
    if holdout is not None:
        unseen = same_columns(holdout, real, "holdout")
        return RealSplit(real, unseen, np.empty(0, dtype=np.int64))
    if note is None or note.holdout_fraction == 0:
        return RealSplit(real, None, np.empty(0, dtype=np.int64))
    # The split was stratified by the target given to `twin`, which may differ from the present one.
    parts = split_holdout(name_target(plain, note.target), note.holdout_fraction, note.seed)
    if Seal.of(plain, note.seed).holdout_digest(parts.holdout_rows) != note.holdout_digest:
        raise DataError(
            "the holdout rows cannot be found again",
            got=f"a note by twinset {note.version}",
            todo="make the twin again with this version, or give the holdout as a file",
        )
    kept = np.setdiff1d(np.arange(len(real)), parts.holdout_rows)
    return replace(parts, train=real.take(kept), holdout=real.take(parts.holdout_rows))


def holdout_notes(parts: RealSplit) -> tuple[list[str], str]:
    """Return what to note of a holdout that was given, and why it cannot show leaks; empty if it can."""
    if parts.holdout is None:
        return [], ""
    found = count_row_overlap(parts.train, parts.holdout)
    notes = seen_note(found)
    return notes, notes[0] if notes and found.is_beyond_chance else ""
