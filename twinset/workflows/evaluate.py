"""`evaluate`: a report on synthetic rows beside real ones, without a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from threadpoolctl import threadpool_limits

from twinset.core.contracts import Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.rules.violations import broken_by_real_rows
from twinset.generation.provenance import TwinNote
from twinset.generation.refit import refit_from_note
from twinset.ingest.input_table import (
    label_beside_texts,
    open_table,
    reduce_to_texts,
    same_columns,
)
from twinset.measurement.leakage import check_allowed, require_clean_sets
from twinset.measurement.leakage.row_overlap import count_copied_rows, note_copied_rows
from twinset.measurement.notes import note_images, note_kept_values, note_rules, note_single_label
from twinset.report import Report
from twinset.workflows.evaluation import (
    EvaluationTask,
    PreparedReal,
    check_metric_gates,
    measure_set,
    note_excluded_metrics,
    prepare_real,
    read_twin_note,
    report_on,
)
from twinset.workflows.options import EvaluateOptions


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
    note, remarks = read_twin_note(plain, synthetic, holdout)
    plain, (synthetic, holdout), lost = reduce_to_texts(
        plain, real, (synthetic, holdout), options.target
    )
    notes = [*remarks, *lost]
    if note is not None:
        options = _complete(options, note)
    if options.target is None and (label := label_beside_texts(plain.schema)) is not None:
        options = replace(options, target=label)
        notes += [f"Taken as the target: '{label}', the only label beside the texts."]
    refit = refit_from_note(note, options.attacks)
    task = EvaluationTask.from_options(options, plain, refit=refit, progress=progress)
    prepared = prepare_real(plain, holdout, note, task.options)
    train = prepared.parts.train
    candidate = same_columns(synthetic, train, "synthetic")
    if note is not None:
        candidate = replace(candidate, card=note.card(f"twin of {plain.card.name}"))
    # Without a holdout, nothing tells how many copied rows chance makes.
    if prepared.parts.holdout is None:
        notes = [*note_copied_rows(count_copied_rows(train, candidate)), *notes]
    notes += prepared.notes
    with threadpool_limits(limits=1):
        sets = {"": candidate}
        notes += require_clean_sets(train, prepared.parts.holdout, sets, **task.leakage_settings)
        return measure_and_report(prepared, candidate, task, notes=notes)


def measure_and_report(
    prepared: PreparedReal, synthetic: Dataset, task: EvaluationTask, *, notes: Sequence[str] = ()
) -> Report:
    """Return the report on a synthetic set beside prepared real rows.

    Raises
    ------
    DataError
        The condition means no row of a set.
    """
    train, holdout = prepared.parts.train, prepared.parts.holdout
    scores = measure_set(train, holdout, synthetic, task, blind=prepared.blind)
    return report_on(
        train,
        holdout,
        synthetic,
        scores,
        task,
        title=f"{synthetic.card.name} beside {train.card.name}",
        real_cards=[train.card],
        synthetic_cards=[synthetic.card],
        notes=[
            *note_images(scores, task.guessed_target),
            *note_single_label(train, synthetic, task.options.target, task.where),
            *notes,
            *note_excluded_metrics(train, task.options),
            *broken_by_real_rows(train),
            *note_rules(train, synthetic, (synthetic.card,)),
            *note_kept_values(train, synthetic),
        ],
    )


def _complete(options: EvaluateOptions, note: TwinNote) -> EvaluateOptions:
    """Return the options; what was not given comes from the provenance of the synthetic file."""
    target = options.target or note.target
    return replace(
        options,
        target=target,
        seed=note.seed if options.seed is None else options.seed,
        positive=options.positive or (note.positive if target == note.target else None),
        where=options.where or note.where,
    )
