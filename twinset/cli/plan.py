"""`twinset plan`: which scenes a recipe would make, and what they cover."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from twinset.cli.files import check_places, write_text
from twinset.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from twinset.generation.coverage_plan import CoveragePlan

_MAX_SHOWN = 20  # kinds of scenes on a terminal: one screen; --csv and --json hold all


def command(
    recipe: Path,
    /,
    *,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    predictions: Path | None = None,
    csv_file: Annotated[Path | None, Parameter(name="--csv")] = None,
    root: Path = Path(".twinset"),
    json: bool = False,
) -> None:
    """Show which scenes the plans of a recipe ask for, and what they cover; nothing is made.

    Parameters
    ----------
    recipe : Path
        The recipe: a YAML file, or the bare name of a shipped one, e.g. road_edge_cases.
    set_ : list[str]
        Change the recipe, e.g. --set generate.0.cover.strength=3; may be repeated.
    predictions : Path
        A model's predictions, a row each: the conditions, and `correct` (true or false). Scenes where
        the model errs come first.
    csv_file : Path
        Write all scenes to this file, a row each.
    root : Path
        Folder of the catalogue.
    json : bool
        Print everything as JSON.
    """
    check_places({"--csv": csv_file}, (recipe, predictions))
    from twinset.workflows.preview import plans

    found = plans(recipe, root=root, overrides=tuple(set_ or ()), predictions=predictions)
    if csv_file is not None:
        write_text(csv_file, _as_csv(found))
    if json:
        print_json({name: _plain(plan) for name, plan in found.items()})
        return
    for number, (name, plan) in enumerate(found.items()):
        print(("\n" if number else "") + f"{name}: {plan.summary}.\n")
        _print_scenes(plan)
        _print_missing(plan)
    if csv_file is not None:
        print(f"\nAll scenes: {csv_file}")


def _print_scenes(plan: CoveragePlan) -> None:
    counts = plan.counts()
    rows = [
        (n, *(where.conditions[name] for name in plan.factors)) for where, n in counts[:_MAX_SHOWN]
    ]
    if rows:
        print_table(("scenes", *plan.factors), rows)
    if len(counts) > _MAX_SHOWN:
        print(f"... and {len(counts) - _MAX_SHOWN:,} more kinds of scenes")


def _print_missing(plan: CoveragePlan) -> None:
    """Say what comes less often than the plan wants, which a limit on its scenes can bring about."""
    if plan.n_met == plan.n_planned:
        return
    lacking = [row for row in plan.table if row["union"] < plan.at_least and row["wanted"]]
    print(f"\nStill too rare, {len(lacking):,} of them:")
    for row in lacking[:_MAX_SHOWN]:
        print("  " + ", ".join(f"{name}: {level}" for name, level in row["levels"].items()))


def _plain(plan: CoveragePlan) -> dict[str, object]:
    return {
        "summary": plan.summary,
        "scenes": list(plan.rows),
        "wanted": plan.n_planned,
        "met_before": plan.n_met_before,
        "met": plan.n_met,
        "table": list(plan.table),
    }


def _as_csv(found: Mapping[str, CoveragePlan]) -> str:
    text = io.StringIO()
    names = list(dict.fromkeys(name for plan in found.values() for name in plan.factors))
    rows = csv.DictWriter(text, ["step", *names], lineterminator="\n")
    rows.writeheader()
    for step, plan in found.items():
        rows.writerows({"step": step, **row} for row in plan.rows)
    return text.getvalue()
