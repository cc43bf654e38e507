"""The recipe that makes the chosen rows again, beside the real set and under the same split."""

from __future__ import annotations

import json

from twinset.ingest.draft_recipe import quoted, recipe_name
from twinset.workflows.advise.folds import TrainTestSplit
from twinset.workflows.advise.labelled_table import LabelledTable
from twinset.workflows.advise.request import AdviceRequest
from twinset.workflows.advise.strategies import Strategy, extra_rows, settings_of


def recipe_of(
    case: LabelledTable, cut: TrainTestSplit, strategy: Strategy, question: AdviceRequest
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
    n = extra_rows(strategy, case.truth[cut.train])
    if strategy.family not in ("rows", "repeat") or n == 0:
        return ""
    component = strategy.component or "tabular.bootstrap"
    name = recipe_name(question.name)[:40]
    kind, _, place = (question.place or "path: data.csv").partition(": ")
    columns = question.columns
    if columns.time is not None:
        split = f"by: time, on: {quoted(columns.time)}"
    elif columns.group is not None:
        split = f"by: group, on: {quoted(columns.group)}"
    else:
        split = "by: stratified"
    label = f"{{{quoted(case.target)}: {quoted(case.positive)}}}"
    settings = settings_of(component) if columns.group is not None else {}
    told = f", with: {json.dumps(settings)}" if settings else ""
    return f"""\
# Written by `twinset advise`: {n:,} rows of the rare class, {strategy.title}.
# Run it with `twinset run`; it delivers the training rows, real and made.
name: {name}-balanced
seed: {question.seed}
brief:
  task: classification
  target: {quoted(case.target)}
  positive: {quoted(case.positive)}
source: {{name: {name}-real, {kind}: {quoted(place)}, licence: NOASSERTION}}
split: {{{split}, holdout_fraction: {question.test_fraction:g}}}
generate:
  - {{use: {component}, where: {label}, rows: {n}{told}}}
evaluate: {{metrics: default, gates: {{}}}}
deliver: {{to: {quoted(f"out/{name}-balanced")}, formats: [csv, parquet], include: training_set}}
"""
