"""The labelled table that advice is given on, by request or recipe, with its test set and folds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.errors import DataError, RecipeError, SchemaError
from twinset.core.stats.hypothesis_tests import areas
from twinset.ingest.draft_recipe import guess_group_and_time, guess_target, quoted, recipe_name
from twinset.ingest.input_table import inspect_table, name_target, open_table
from twinset.ingest.real_data import declare
from twinset.ingest.table_reading import read_columns
from twinset.recipe import Recipe, load_recipe
from twinset.report.reading import reading_notes
from twinset.workflows.advise.strategies import Strategy, extra_rows, settings_of
from twinset.workflows.options import AdviseOptions

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

_MICROSECONDS_PER_DAY = 86_400e6  # datetimes count microseconds, advice counts days
# Unit of a time column of plain numbers -> number of them in a day.
_UNITS_PER_DAY = {"second": 86_400.0, "minute": 1_440.0, "hour": 24.0, "day": 1.0}


@dataclass(frozen=True)
class LabelledTable:
    """A table with a rare class; arrays have one entry per row, shape (n,)."""

    dataset: Dataset  # features and target; the target has two labels
    target: str
    positive: str  # the rare label
    features: tuple[str, ...]  # columns that models see
    truth: Mask  # which rows are of the rare class
    # in days for datetimes and where the unit is known, else in its own unit
    time: Floats | None = None
    group: Rows | None = None  # code of each row's entity
    amount: Floats | None = None  # loss when a row of the rare class is missed
    in_days: bool = False  # whether `time` counts days
    excluded: tuple[str, ...] = ()  # columns that models do not see: keys, free text, time, group

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def base_rate(self) -> float:
        """Share of the rare class, in (0, 1)."""
        return float(self.truth.mean())


def read_labelled_table(source: object, columns: AdviseOptions) -> LabelledTable:
    """Return the labelled table of a file or a table, given the roles of its columns.

    >>> import pyarrow as pa
    >>> table = pa.table({"x": [0.5, 1.0, 1.5, 2.0], "fraud": [0, 0, 1, 0]})
    >>> labelled = read_labelled_table(table, AdviseOptions(target="fraud"))
    >>> labelled.positive, labelled.features, labelled.base_rate
    ('1', ('x',), 0.25)
    """
    target = columns.target or ""
    real = name_target(open_table(source, read=columns.read), target, columns.positive)
    positive, truth = _labels(real, columns)
    time, in_days = _time(real, columns)
    special = {target, columns.time, columns.group}
    special |= {f.name for f in real.schema.fields if f.role in ("group", "identifier", "split")}
    fields = [field for field in real.schema.fields if field.name not in special]
    features = tuple(field.name for field in fields if field.is_tabular)
    if not features:
        raise SchemaError("no column is left to predict from", todo="give numbers or categories")
    shown = real.select([*features, target]).without_reserved()
    return LabelledTable(
        dataset=replace(shown, schema=replace(shown.schema, rules=())),
        target=target,
        positive=positive,
        features=features,
        truth=truth,
        time=time,
        group=None if columns.group is None else real.codes(columns.group)[0].astype(np.int64),
        amount=None if columns.amount is None else _amount(real, columns.amount),
        in_days=in_days,
        excluded=tuple(name for name in real.schema.names if name not in shown.schema.names),
    )


def _labels(real: Dataset, columns: AdviseOptions) -> tuple[str, Mask]:
    target = columns.target or ""
    codes, levels = real.codes(target)
    if (codes < 0).any():
        raise DataError(
            f"the target '{target}' has {int((codes < 0).sum()):,} missing values",
            todo="fill or remove these rows",
        )
    if len(levels) != 2:
        raise DataError(
            f"the target '{target}' does not have two labels",
            got=f"{len(levels):,} different values",
            allowed="2",
            todo="name a column that says yes or no",
        )
    counts = np.bincount(codes, minlength=2)
    chosen = int(np.argmin(counts)) if columns.positive is None else levels.index(columns.positive)
    return levels[chosen], codes == chosen


def _time(real: Dataset, columns: AdviseOptions) -> tuple[Floats | None, bool]:
    if columns.time is None:
        return None, False
    kind = real.schema[columns.time].kind
    if kind not in ("datetime", "number", "integer"):
        raise _wrong_kind(real, columns.time, "time", "times", "datetime, number, integer")
    values = real.values(columns.time)
    if not np.isfinite(values).all():
        raise DataError(
            f"the time column '{columns.time}' has {int((~np.isfinite(values)).sum()):,} missing values",
            todo="fill or remove these rows, or give no time",
        )
    if kind == "datetime":
        return values / _MICROSECONDS_PER_DAY, True
    if columns.time_unit is None:
        return values, False
    return values / _UNITS_PER_DAY[columns.time_unit], True


def _amount(real: Dataset, name: str) -> Floats:
    if not real.schema[name].is_numeric:
        raise _wrong_kind(real, name, "amount", "numbers", "")
    values = real.values(name)
    if not np.isfinite(values).all() or (values < 0).any():
        raise DataError(
            f"the amount column '{name}' cannot be used as a price",
            got="missing or negative values",
            todo="fill or remove these rows, or give one price by cost",
        )
    return values


def _wrong_kind(real: Dataset, name: str, role: str, content: str, allowed: str) -> SchemaError:
    doubts = reading_notes(read_columns(real.select([name])))
    return SchemaError(
        f"the {role} column '{name}' holds no {content}",
        got=f"a column of kind {real.schema[name].kind}",
        allowed=allowed,
        todo=doubts[0] if doubts else "",
    )


# The documented default of `delay`: a share of the time before the test set, at most a week.
GAP_SHARE, GAP_DAYS = 0.05, 7.0
# of the train positives, for the sake of separate groups; beyond, groups are divided
_MAX_LOST = 0.5
# of the positives come before the first fold by time, so that each can be trained on
_FIRST_TEST = 0.4
# of the time before a fold: a longer gap would leave the first fold without rows
_MAX_GAP_SHARE = 0.25


@dataclass(frozen=True)
class TrainTestSplit:
    """Train and test rows, each ascending."""

    train: Rows
    test: Rows
    method: str = ""  # in plain words
    gap: float = 0.0  # time excluded before the test set, in the unit of the time; 0 without time


def split_test_set(
    labelled: LabelledTable, test_fraction: float, delay: float | None, rng: np.random.Generator
) -> TrainTestSplit:
    """Return the split whose test set no choice is based on.

    With a time the latest rows are the test set, and the rows within `delay` before them are excluded,
    because their labels are not known yet when the model is trained. With a group, no group
    occurs in both train and test. Otherwise rows are drawn at random, each class at its share.
    """
    test, method = np.zeros(len(labelled), dtype=bool), "at random, each class at its share"
    gap = 0.0
    if labelled.time is not None:
        start = np.sort(labelled.time)[int(np.ceil(len(labelled) * (1 - test_fraction))) - 1]
        test = labelled.time > start
        span = float(start - labelled.time.min())
        default = min(GAP_SHARE * span, GAP_DAYS if labelled.in_days else np.inf)
        gap = default if delay is None else delay
        train = labelled.time <= start - gap
        method = "the latest rows are tested on"
        if labelled.group is not None:
            train, test = _separate_groups(labelled.group, labelled.truth, train, test, rng)
            method += ", no group in both train and test"
    elif labelled.group is not None:
        test = _draw_groups(labelled, test_fraction, rng)
        train, method = ~test, "whole groups are tested on"
    else:
        for label in (False, True):
            rows = np.flatnonzero(labelled.truth == label)
            test[rng.permutation(rows)[: max(1, round(test_fraction * len(rows)))]] = True
        train = ~test
    for name, part in (("train set", train), ("test set", test)):
        if not _has_both(labelled.truth[part]):
            raise DataError(
                f"the {name} lacks one of the two classes",
                got=f"{int(part.sum()):,} rows, {int(labelled.truth[part].sum()):,} positive",
                todo="give more rows, another test fraction, or no time or group",
            )
    return TrainTestSplit(np.flatnonzero(train), np.flatnonzero(test), method, gap)


def inner_folds(
    labelled: LabelledTable, rows: Rows, n_folds: int, gap: float, rng: np.random.Generator
) -> Iterator[TrainTestSplit]:
    """Yield folds inside `rows`; every fold trains and tests on real rows only.

    With a time the positives are divided into stretches of equal size, and each of the last `n_folds` is
    tested on after training on all that came before, less the gap. With a group, no group occurs in both
    train and test. A fold whose train or test rows lack a class is skipped.
    """
    truth = labelled.truth[rows]
    if labelled.time is not None:
        parts = _folds_by_time(labelled.time[rows], truth, n_folds, gap)
        if labelled.group is not None:
            group = labelled.group[rows]
            parts = (_separate_groups(group, truth, train, test, rng) for train, test in parts)
    else:
        units = labelled.group[rows] if labelled.group is not None else np.arange(len(rows))
        fold = _assign_folds(units, truth, n_folds, rng)
        parts = ((fold != k, fold == k) for k in range(n_folds))
    for train, test in parts:
        if _has_both(truth[train]) and _has_both(truth[test]):
            yield TrainTestSplit(rows[train], rows[test])


def _has_both(truth: Mask) -> bool:
    return bool(truth.any() and not truth.all())


def _folds_by_time(
    time: Floats, truth: Mask, n_folds: int, gap: float
) -> Iterator[tuple[Mask, Mask]]:
    positives = np.sort(time[truth])
    shares = np.linspace(_FIRST_TEST, 1.0, n_folds + 1)
    at = np.clip((shares * len(positives)).astype(int) - 1, 0, len(positives) - 1)
    edges = positives[at]
    edges[-1] = time.max()
    for start, end in pairwise(edges):
        test = (time > start) & (time <= end)
        train = time <= start - min(gap, _MAX_GAP_SHARE * (start - time.min()))
        yield train, test


def _shuffled_groups(units: Rows, truth: Mask, rng: np.random.Generator) -> tuple[Rows, list[Rows]]:
    """Return the code of each row's group, and the groups with and those without positives, shuffled."""
    _, code = np.unique(units, return_inverse=True)
    is_positive = np.bincount(code, weights=truth) > 0
    kinds = (is_positive, ~is_positive)
    return code, [rng.permutation(np.flatnonzero(kind)) for kind in kinds]


def _assign_folds(units: Rows, truth: Mask, n_folds: int, rng: np.random.Generator) -> Rows:
    """Return the fold of each row; groups with and without positives are assigned separately."""
    code, kinds = _shuffled_groups(units, truth, rng)
    fold = np.empty(sum(map(len, kinds)), dtype=np.int64)
    for members in kinds:
        fold[members] = np.arange(len(members)) % n_folds
    return fold[code]


def _draw_groups(labelled: LabelledTable, fraction: float, rng: np.random.Generator) -> Mask:
    """Return the rows of this share of the groups with positives, and of the groups without."""
    assert labelled.group is not None
    code, kinds = _shuffled_groups(labelled.group, labelled.truth, rng)
    drawn = np.zeros(sum(map(len, kinds)), dtype=bool)
    for members in kinds:
        # One group at least stays in either set.
        n = int(np.clip(round(fraction * len(members)), 1, max(1, len(members) - 1)))
        drawn[members[:n]] = True
    return np.asarray(drawn[code])


def _separate_groups(
    group: Rows, truth: Mask, train: Mask, test: Mask, rng: np.random.Generator
) -> tuple[Mask, Mask]:
    """Return both without a common group; where nearly all groups are common, each keeps half of them."""
    shared = np.isin(group, group[test])
    before = int(truth[train].sum())
    if truth[train & ~shared].sum() > (1 - _MAX_LOST) * before:
        return train & ~shared, test
    half = _assign_folds(group, truth, 2, rng) == 0
    return train & ~half, test & half


_MIN_AUC_OF_LEAK = 0.995  # of one column: it ranks nearly every rare row before every common one
_MIN_LEVEL_ROWS = 10  # rarer levels separate a few rare rows by chance
_MOSTLY_ALONE = 0.9  # groups per row above which a column is a key, not a group


def data_warnings(labelled: LabelledTable, split: TrainTestSplit) -> list[str]:
    """Return notes on what makes an answer worthless, from the train rows alone."""
    rows, truth = labelled.dataset.take(split.train), labelled.truth[split.train]
    notes = [
        f"'{name}' alone gives the label away nearly always: if it is not known before the label is, "
        "leave it out"
        for name in labelled.features
        if _separates_classes(rows, name, truth)
    ]
    if labelled.group is not None and len(np.unique(labelled.group)) > _MOSTLY_ALONE * len(
        labelled
    ):
        notes.append("nearly every group has one row only: is this the column of the card?")
    return notes


def _separates_classes(rows: Dataset, name: str, truth: Mask) -> bool:
    """Return whether a column alone ranks nearly every rare row before, or behind, every common one."""
    if rows.schema[name].has_levels:
        scores = _level_rates(rows.codes(name)[0], truth)
    else:
        values = rows.values(name)
        # A gap may give the label away, too: it is put below all values.
        scores = np.where(np.isnan(values), -np.inf, values)
    area = float(areas(scores[~truth], scores[truth])[0])
    return max(area, 1 - area) >= _MIN_AUC_OF_LEAK


def _level_rates(codes: npt.NDArray[np.integer], truth: Mask) -> Floats:
    """Return for each row the share of rare rows of its level; rare levels get that of all rows."""
    shifted = codes.astype(np.int64) + 1
    n = np.bincount(shifted)
    rate = np.bincount(shifted, weights=truth) / np.maximum(n, 1)
    return np.where(n >= _MIN_LEVEL_ROWS, rate, truth.mean())[shifted]


TEST_FRACTION, SEED = 0.3, 1  # the documented defaults without a recipe
_MAX_NAMED = 20  # columns in an error: more fill a terminal


@dataclass(frozen=True)
class AdviceRequest:
    """A table and the options with every default filled in."""

    table: Dataset
    options: AdviseOptions
    test_fraction: float
    seed: int
    name: str  # of the table
    place: str = ""  # as the source of a recipe writes it; empty for a table in memory
    notes: tuple[str, ...] = ()  # what was guessed


def read_request(
    source: object, options: AdviseOptions, progress: Progress = silent
) -> AdviceRequest:
    """Return the request for a table or a recipe (.yaml, .yml); options override the recipe."""
    if isinstance(source, str | Path) and Path(source).suffix.lower() in (".yaml", ".yml"):
        return _from_recipe(load_recipe(Path(source)), options, progress)
    table, reading = inspect_table(source, options.read)
    named = (options.target, options.time, options.group, options.amount)
    notes = (*_role_hints(table, options), *reading_notes(reading, named))
    if options.target is None:
        found, reason = guess_target(table)
        if found is None:
            raise RecipeError(
                "no column looks like the one to predict",
                allowed=", ".join(table.schema.names[:_MAX_NAMED]),
                todo="name it by --target, in Python by target",
            )
        options = replace(options, target=found.name)
        notes = (f"'{found.name}' is taken as the target: {reason}", *notes)
    is_file = isinstance(source, str | Path)
    return AdviceRequest(
        table,
        options,
        TEST_FRACTION if options.test_fraction is None else options.test_fraction,
        SEED if options.seed is None else options.seed,
        Path(str(source)).name.partition(".")[0] if is_file else table.card.name,
        f"path: {Path(str(source)).as_posix()}" if is_file else "",
        notes,
    )


def _role_hints(table: Dataset, options: AdviseOptions) -> list[str]:
    """Return notes on columns that look like a time or a group and were not named as one."""
    found = guess_group_and_time(table)
    hints = []
    if options.time is None and found.time:
        hints.append(
            f"'{found.time}' looks like when rows happened: with --time {found.time} the latest are "
            "tested on"
        )
    if options.group is None and found.groups:
        name = found.groups[0]
        hints.append(
            f"values of '{name}' repeat: with --group {name} no such group occurs in both train and test"
        )
    return hints


def _from_recipe(recipe: Recipe, options: AdviseOptions, progress: Progress) -> AdviceRequest:
    source, split = recipe.source, recipe.split
    target = options.target or recipe.brief.target
    if target is None or source is None or source.set_ is not None:
        raise RecipeError(
            f"the recipe '{recipe.name}' cannot be advised on",
            got="no target" if target is None else "no file as its source",
            allowed="a brief with a target, and a source with path or fetch",
        )
    if source.fetch is not None:
        from twinset.io.fetch import fetch

        path, place = fetch(source.fetch, progress), f"fetch: {source.fetch}"
    else:
        path, place = recipe.source_path(), f"path: {source.path}"
    by = {split.by: split.on}
    return AdviceRequest(
        declare(open_table(path, read=source.read_options()), recipe),
        replace(
            options,
            target=target,
            positive=options.positive or recipe.brief.positive,
            time=options.time or by.get("time"),
            group=options.group or by.get("group"),
        ),
        split.holdout_fraction if options.test_fraction is None else options.test_fraction,
        recipe.seed if options.seed is None else options.seed,
        recipe.source_name,
        place,
    )


def recipe_of(
    labelled: LabelledTable, split: TrainTestSplit, strategy: Strategy, request: AdviceRequest
) -> str:
    """Return the recipe of a strategy that adds rows, as YAML text; empty where none is added.

    For a table in memory the path of the source is a placeholder.
    """
    n = extra_rows(strategy, labelled.truth[split.train])
    if strategy.family not in ("rows", "repeat") or n == 0:
        return ""
    component = strategy.component or "tabular.bootstrap"
    name = recipe_name(request.name)[:40]
    kind, _, place = (request.place or "path: data.csv").partition(": ")
    options = request.options
    if options.time is not None:
        split_text = f"by: time, on: {quoted(options.time)}"
    elif options.group is not None:
        split_text = f"by: group, on: {quoted(options.group)}"
    else:
        split_text = "by: stratified"
    label = f"{{{quoted(labelled.target)}: {quoted(labelled.positive)}}}"
    settings = settings_of(component) if options.group is not None else {}
    with_settings = f", with: {json.dumps(settings)}" if settings else ""
    return f"""\
# Written by `twinset advise`: {n:,} rows of the rare class, {strategy.title}.
# Run it with `twinset run`; it delivers the training rows, real and synthetic.
name: {name}-balanced
seed: {request.seed}
brief:
  task: classification
  target: {quoted(labelled.target)}
  positive: {quoted(labelled.positive)}
source: {{name: {name}-real, {kind}: {quoted(place)}, licence: NOASSERTION}}
split: {{{split_text}, holdout_fraction: {request.test_fraction:g}}}
generate:
  - {{use: {component}, where: {label}, rows: {n}{with_settings}}}
evaluate: {{metrics: default, gates: {{}}}}
deliver: {{to: {quoted(f"out/{name}-balanced")}, formats: [csv, parquet], include: training_set}}
"""
