"""The path of every evaluation: prepare the real rows, measure a synthetic set, report on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from twinset.core.contracts import Metric, Progress, Refit, Score, silent
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.errors import DataError
from twinset.core.features.embedders import Embedder
from twinset.generation.provenance import Seal, TwinNote, note_path
from twinset.ingest.input_table import (
    RealSplit,
    name_target,
    same_columns,
    split_holdout,
    with_role,
)
from twinset.measurement.cache import ResultCache
from twinset.measurement.harness import measure
from twinset.measurement.leakage.row_overlap import count_row_overlap, note_shared_holdout
from twinset.measurement.load_embedders import find_image_label, load_embedders
from twinset.measurement.notes import list_score_embedders, note_embedders_on_card
from twinset.measurement.plan_coverage import PlanCoverage
from twinset.measurement.verdict import not_measurable
from twinset.registry import attack_metrics, default_metrics
from twinset.report import Report, apply_gates, build_report, check_gates
from twinset.workflows.options import EvaluateOptions

Metrics = Sequence[tuple[str, Metric]]


@dataclass(frozen=True, kw_only=True)
class EvaluationTask:
    """What one evaluation needs besides the sets.

    Parameters
    ----------
    options : EvaluateOptions
        Options as given, with target and seed filled in.
    metrics : sequence of (str, Metric), optional
        Metrics with their settings; None takes the default ones of the options.
    population : mapping
        Declared shares, column -> {level: share}.
    embedders : tuple, optional
        Embedders of images and texts; None takes the default ones.
    guessed_target : str, optional
        The target, where nobody named it.
    refit : Refit, optional
        Fits the generator of the synthetic set again, for attacks that need it.
    cache : ResultCache, optional
        Results on the real rows, shared by several candidates.
    progress : Progress
        Called with (step, done, total) for every metric.
    """

    options: EvaluateOptions
    metrics: Metrics | None = None
    population: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    embedders: Sequence[Embedder] | None = None
    guessed_target: str | None = None
    refit: Refit | None = None
    cache: ResultCache | None = None
    progress: Progress = silent

    @classmethod
    def from_options(cls, options: EvaluateOptions, real: Dataset, **others: Any) -> Self:
        """Return the task; the only label of an image set becomes the target where none is named."""
        guessed = find_image_label(real) if options.target is None else None
        named = options.embedders
        return cls(
            options=replace(options, target=options.target or guessed),
            embedders=None if named is None else load_embedders(named),
            guessed_target=guessed,
            **others,
        )

    @property
    def where(self) -> Where | None:
        """Condition on the rows that are compared."""
        return Where.from_value(self.options.where)

    @property
    def seed(self) -> int:
        """Seed of the measurement."""
        return self.options.seed or 0

    @property
    def leakage_settings(self) -> dict[str, Any]:
        """Arguments of the leakage checks."""
        options = self.options
        by = None if options.time is None else "time"
        split = {"split_by": by, "split_on": options.time, "target": options.target}
        return {**split, "allow": tuple(options.allow_leaks), "seed": self.seed}


@dataclass(frozen=True)
class PreparedReal:
    """The real rows of an evaluation.

    Parameters
    ----------
    parts : RealSplit
        Train set and holdout.
    notes : tuple of str
        What must be read with care.
    blind : str
        Why leaks and usefulness cannot be measured; empty where they can.
    """

    parts: RealSplit
    notes: tuple[str, ...] = ()
    blind: str = ""


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
    plain: Dataset, holdout: object | None, note: TwinNote | None, options: EvaluateOptions
) -> PreparedReal:
    """Return the real table, split as the holdout or the note says, or whole where neither does.

    Raises
    ------
    DataError
        The holdout rows of the note cannot be found again.
    """
    real = name_target(plain, options.target, options.positive)
    if options.time is not None:
        real = with_role(real, options.time, "time")
    if options.group is not None:
        real = with_role(real, options.group, "group")
    if holdout is not None:
        unseen = same_columns(holdout, real, "holdout")
        overlap = count_row_overlap(real, unseen)
        notes = note_shared_holdout(overlap)
        blind = notes[0] if notes and overlap.is_beyond_chance else ""
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

    Raises
    ------
    DataError
        The condition means no row of a set.
    """
    if task.metrics is None:
        _require_rows(train, synthetic, task.where)
    kinds = (synthetic if train is None else train).schema.kinds
    metrics = _default_metrics(task.options, kinds) if task.metrics is None else task.metrics
    hidden = [
        (n, m) for n, m in metrics if blind and m.needs_real and m.family in ("utility", "privacy")
    ]
    scores = measure(
        train=train,
        synthetic=synthetic,
        holdout=holdout,
        metrics=[pair for pair in metrics if pair not in hidden],
        where=task.where,
        target=task.options.target,
        positive=task.options.positive,
        population=task.population,
        embedders=task.embedders,
        seed=task.seed,
        workers=task.options.workers,
        progress=task.progress,
        refit=task.refit,
        cache=task.cache,
    )
    scores += [not_measurable(name, metric, blind) for name, metric in hidden]
    order = ("gap", "coverage", "utility", "privacy")
    return sorted(scores, key=lambda score: order.index(score.family))


def report_on(
    train: Dataset | None,
    holdout: Dataset | None,
    synthetic: Dataset,
    scores: Sequence[Score],
    task: EvaluationTask,
    *,
    title: str,
    real_cards: Sequence[Card],
    synthetic_cards: Sequence[Card],
    notes: Sequence[str],
    lineage: Mapping[str, Any] | None = None,
    plans: Sequence[PlanCoverage] = (),
    show_real_rows: bool = False,
) -> Report:
    """Return the report on a synthetic set; its cards name the embedders that measured it."""
    facts = list_score_embedders(scores)
    own = [
        replace(card, notes=(*card.notes, *note_embedders_on_card(facts)))
        for card in synthetic_cards
    ]
    return build_report(
        title=title,
        train=train,
        synthetic=synthetic,
        holdout=holdout,
        scores=scores,
        gates=apply_gates(scores, task.options.gates),
        cards=(*real_cards, *own),
        lineage=lineage,
        target=task.options.target,
        where=task.where,
        show_real_rows=show_real_rows,
        notes=notes,
        plans=plans,
        embedders=facts,
    )


def note_excluded_metrics(train: Dataset, options: EvaluateOptions) -> list[str]:
    """Return a note that names what a quick look excludes."""
    full, quick = (
        {name for name, _ in default_metrics(train.schema.kinds, quick=quick)}
        for quick in (False, options.quick)
    )
    named = ", ".join(sorted(full - quick))
    return [f"A quick look, without {named}; a full one measures these too."] if named else []


def _default_metrics(options: EvaluateOptions, kinds: Iterable[str]) -> Metrics:
    return [*default_metrics(kinds, quick=options.quick), *attack_metrics(options.attacks)]


def _require_rows(train: Dataset | None, synthetic: Dataset, where: Where | None) -> None:
    """Raise an error where no row of a set meets the condition."""
    for name, rows in (("real", train), ("synthetic", synthetic)):
        if rows is not None and len(rows.where(where)) == 0:
            raise DataError(
                f"no {name} row meets the condition: {where}",
                got=f"0 of {len(rows)} rows",
                todo="correct the condition, or give data that hold such rows",
            )
