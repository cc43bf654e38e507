"""A request for advice: a table and its options, or a recipe that holds both."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from twinset.core.contracts import Progress, silent
from twinset.core.data.dataset import Dataset
from twinset.core.errors import RecipeError
from twinset.ingest.draft_recipe import guess_group_and_time, guess_target, quoted, recipe_name
from twinset.ingest.input_table import open_table
from twinset.ingest.locale_formats import local_notes
from twinset.ingest.real_data import declare
from twinset.recipe import Recipe, load_recipe
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import LabelledTable
from twinset.workflows.advise.strategies import Strategy, extra_rows, settings_of
from twinset.workflows.options import AdviseOptions

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
    """Return the request for a table or a recipe (.yaml, .yml); options override the recipe.

    Raises
    ------
    RecipeError
        There is no target, or the recipe has no table that can be opened.
    """
    if isinstance(source, str | Path) and Path(source).suffix.lower() in (".yaml", ".yml"):
        return _from_recipe(load_recipe(Path(source)), options, progress)
    table = open_table(source)
    notes = (*_role_hints(table, options), *local_notes(table))
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
        declare(open_table(path), recipe),
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
