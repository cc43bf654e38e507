"""What was asked: a table and its columns, or a recipe that tells both."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from twinset.core.contracts import Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.errors import RecipeError
from twinset.ingest.draft_recipe import quoted, recipe_name
from twinset.ingest.guess_roles import guess_group_and_time, guess_target
from twinset.ingest.input_table import open_table
from twinset.ingest.locale_formats import local_notes
from twinset.ingest.real_data import declare
from twinset.recipe import Recipe, load_recipe
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import ColumnRoles, LabelledTable
from twinset.workflows.advise.strategies import Strategy, extra_rows, settings_of

TEST_FRACTION, SEED = 0.3, 1
_MAX_NAMED = 20


@dataclass(frozen=True)
class AdviceRequest:
    """A table, the meaning of its columns, and the numbers that go with them.

    Parameters
    ----------
    table : Dataset
        The rows.
    columns : Columns
        Which column means what.
    test_fraction : float
        Share of rows to test on.
    seed : int
        Decides every draw.
    name : str
        What the table is called.
    place : str
        Where it is, as the source of a recipe says it; empty for a table in memory.
    notes : tuple of str
        What was guessed.
    """

    table: Dataset
    columns: ColumnRoles
    test_fraction: float
    seed: int
    name: str
    place: str = ""
    notes: tuple[str, ...] = ()


def read_request(
    source: object,
    target: str | None,
    columns: ColumnRoles,
    test_fraction: float | None,
    seed: int | None,
    progress: Progress = silent,
) -> AdviceRequest:
    """Return what was asked; what is given by name goes before what a recipe says.

    Parameters
    ----------
    source : path or Arrow object
        A table, or a recipe (.yaml, .yml).
    target : str, optional
        The column to predict; without it, the recipe's, or the column that looks most like one.
    columns : Columns
        The other columns; its target is passed over.
    test_fraction, seed : float, int, optional
        By default those of the recipe, else 0.3 and 1.
    progress : callable
        Called with (step, bytes done, bytes in all).

    Raises
    ------
    RecipeError
        There is no target, or the recipe has no table that can be opened.
    """
    if isinstance(source, str | Path) and Path(source).suffix.lower() in (".yaml", ".yml"):
        return _of_recipe(load_recipe(Path(source)), target, columns, test_fraction, seed, progress)
    table = open_table(source)
    notes = (*_hints(table, columns), *local_notes(table))
    if target is None:
        found, reason = guess_target(table)
        if found is None:
            raise RecipeError(
                "no column looks like the one to predict",
                allowed=", ".join(table.schema.names[:_MAX_NAMED]),
                todo="name it by --target, in Python by target",
            )
        target = found.name
        notes = (f"'{target}' is taken as the target: {reason}", *notes)
    is_file = isinstance(source, str | Path)
    return AdviceRequest(
        table,
        replace(columns, target=target),
        TEST_FRACTION if test_fraction is None else test_fraction,
        SEED if seed is None else seed,
        Path(str(source)).name.partition(".")[0] if is_file else table.card.name,
        f"path: {Path(str(source)).as_posix()}" if is_file else "",
        notes,
    )


def _hints(table: Dataset, columns: ColumnRoles) -> list[str]:
    """Return what looks like a time or a group and was not named as one."""
    found = guess_group_and_time(table)
    hints = []
    if columns.time is None and found.time:
        hints.append(
            f"'{found.time}' looks like when rows happened: with --time {found.time} the latest are "
            "tested on"
        )
    if columns.group is None and found.groups:
        name = found.groups[0]
        hints.append(
            f"values of '{name}' repeat: with --group {name} no such group occurs in both train and test"
        )
    return hints


def _of_recipe(
    recipe: Recipe,
    target: str | None,
    columns: ColumnRoles,
    test_fraction: float | None,
    seed: int | None,
    progress: Progress,
) -> AdviceRequest:
    source, split = recipe.source, recipe.split
    target = target or recipe.brief.target
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
        declare(open_table(path), recipe),
        replace(
            columns,
            target=target,
            positive=columns.positive or recipe.brief.positive,
            time=columns.time or by.get("time"),
            group=columns.group or by.get("group"),
        ),
        split.holdout_fraction if test_fraction is None else test_fraction,
        recipe.seed if seed is None else seed,
        recipe.source_name,
        place,
    )


def recipe_of(
    labelled: LabelledTable, split: TrainTestSplit, strategy: Strategy, question: AdviceRequest
) -> str:
    """Return the recipe of a strategy that adds rows, as YAML text; empty where none is added.

    Parameters
    ----------
    case, cut : Case, Cut
        The table and its parts.
    strategy : Strategy
        What was chosen.
    question : Asked
        Where the table came from and how it is cut; a table in memory leaves its path to be filled in.
    """
    n = extra_rows(strategy, labelled.truth[split.train])
    if strategy.family not in ("rows", "repeat") or n == 0:
        return ""
    component = strategy.component or "tabular.bootstrap"
    name = recipe_name(question.name)[:40]
    kind, _, place = (question.place or "path: data.csv").partition(": ")
    columns = question.columns
    if columns.time is not None:
        split_text = f"by: time, on: {quoted(columns.time)}"
    elif columns.group is not None:
        split_text = f"by: group, on: {quoted(columns.group)}"
    else:
        split_text = "by: stratified"
    label = f"{{{quoted(labelled.target)}: {quoted(labelled.positive)}}}"
    settings = settings_of(component) if columns.group is not None else {}
    with_settings = f", with: {json.dumps(settings)}" if settings else ""
    return f"""\
# Written by `twinset advise`: {n:,} rows of the rare class, {strategy.title}.
# Run it with `twinset run`; it delivers the training rows, real and synthetic.
name: {name}-balanced
seed: {question.seed}
brief:
  task: classification
  target: {quoted(labelled.target)}
  positive: {quoted(labelled.positive)}
source: {{name: {name}-real, {kind}: {quoted(place)}, licence: NOASSERTION}}
split: {{{split_text}, holdout_fraction: {question.test_fraction:g}}}
generate:
  - {{use: {component}, where: {label}, rows: {n}{with_settings}}}
evaluate: {{metrics: default, gates: {{}}}}
deliver: {{to: {quoted(f"out/{name}-balanced")}, formats: [csv, parquet], include: training_set}}
"""
