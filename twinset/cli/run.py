"""`twinset run`: carry out a recipe."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from twinset.cli import EXIT_GATE, EXIT_OK
from twinset.cli.files import check_places, write_text
from twinset.cli.progress import progress_bar
from twinset.cli.terminal import paint, print_json, print_paths, print_summary, print_table
from twinset.core.errors import TwinsetError

if TYPE_CHECKING:
    from twinset.recipe import AugmentStep, GenerateStep, Recipe
    from twinset.workflows.run import RunResult


def command(
    recipe: Path,
    /,
    *,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    dry_run: bool = False,
    root: Path = Path(".twinset"),
    junit: Path | None = None,
    workers: int = 1,
    json: bool = False,
) -> int:
    """Carry out a recipe: make, measure, register and deliver a set.

    What an earlier run finished is kept; an interrupted run goes on where it stopped. Exit code 3
    means that a gate failed.

    Parameters
    ----------
    recipe : Path
        The recipe: a YAML file, or the bare name of a shipped one, e.g. quickstart.
    set_ : list[str]
        Change a value of the recipe for this run, e.g. --set source.path=my.csv; may be repeated. The
        key is a path with dots, and lists are counted from 0: --set generate.0.rows=40 makes 40 rows
        in the first step. The value is YAML.
    dry_run : bool
        Tell the steps, and make nothing.
    root : Path
        Folder of the catalogue.
    junit : Path
        Write gates and verdicts as JUnit XML to this file, one test case a metric.
    workers : int
        Threads; the result does not depend on them.
    json : bool
        Print the result as JSON.
    """
    changes = tuple(set_ or ())
    check_places({"--junit": junit}, (recipe,))
    if dry_run:
        return _print_plan(recipe, changes, root, json)
    from twinset.workflows.run import run

    was_there = root.exists()
    try:
        with progress_bar() as progress:
            result = run(recipe, root=root, overrides=changes, workers=workers, progress=progress)
    except TwinsetError:
        if not was_there:
            _remove_if_empty(root)
        raise
    if junit is not None:
        write_text(junit, _junit(result))
    if json:
        print_json(_plain(result))
    else:
        _print(result)
    return EXIT_OK if result.passed else EXIT_GATE


def _remove_if_empty(root: Path) -> None:
    """Remove a catalogue that a mistaken run began and that holds no more than copies of its source."""
    from twinset.catalog import Catalog

    if root.is_dir() and all(version.origin == "real" for version in Catalog(root).sets()):
        shutil.rmtree(root)


def _print(result: RunResult) -> None:
    print_summary(result.summary)
    for note in result.report.get("notes", ()):
        print(f"Note: {note}")
    print()
    print_paths({"report": result.report_path, "delivered": result.delivered})
    made = sum(step.state == "made" for step in result.steps)
    print(f"{made} steps made, {len(result.steps) - made} kept from an earlier run.")
    if not result.passed:
        print(paint("A gate failed: exit code 3.", "red"))


def _junit(result: RunResult) -> str:
    from twinset.core.contracts import Score
    from twinset.report.gates import Gate
    from twinset.report.junit import junit_xml

    scores = [Score.from_json(score) for score in result.report["scores"]]
    gates = [Gate(**gate) for gate in result.report["gates"]]
    return junit_xml({result.report["title"]: (scores, gates)})


def _plain(result: RunResult) -> dict[str, object]:
    return {
        "passed": result.passed,
        "report_path": result.report_path,
        "delivered": result.delivered,
        "versions": result.versions,
        "steps": [asdict(step) for step in result.steps],
        "report": result.report,
    }


def _print_plan(path: Path, changes: tuple[str, ...], root: Path, json: bool) -> int:
    from twinset.recipe import load_recipe
    from twinset.workflows.run import plan

    recipe = load_recipe(path, changes)
    steps = plan(recipe, root=root)
    if json:
        print_json({"name": recipe.name, "steps": [asdict(step) for step in steps]})
        return EXIT_OK
    texts = _texts(recipe)
    print(f"{recipe.name}: {len(steps)} steps; nothing was made.\n")
    print_table(
        ("step", "state", "what"),
        [(step.name, step.state, texts.get(step.name, "")) for step in steps],
    )
    return EXIT_OK


def _texts(recipe: Recipe) -> dict[str, str]:
    """Say of each step what goes in and how many rows come out, as far as the recipe tells."""
    texts = {}
    source = recipe.source
    if source is not None:
        inputs = {"fetch": source.fetch, "path": source.path, "set": source.set_}
        texts["source"] = next(f"{key} {value}" for key, value in inputs.items() if value)
        on = f" on {recipe.split.on}" if recipe.split.on else ""
        texts["split"] = f"{recipe.split.by}{on}, {recipe.split.holdout_fraction:.0%} holdout"
    for name, step in recipe.named_steps():
        texts[name] = f"{step.use}: {_rows(step, recipe)}"
    chosen = recipe.evaluate.metrics
    texts["measure"] = "default metrics" if chosen is None else f"{len(chosen)} metrics"
    texts["report"] = f"{len(recipe.evaluate.gates)} gates"
    texts["deliver"] = f"{', '.join(recipe.deliver.formats)} to {recipe.delivery_folder()}"
    return texts


def _rows(step: GenerateStep | AugmentStep, recipe: Recipe) -> str:
    from twinset.core.data.where import Where
    from twinset.recipe import AugmentStep

    where = f" where {Where.from_value(step.where)}" if step.where else ""
    if isinstance(step, AugmentStep):
        varied = f"row of '{step.of}'" if step.of else "training row"
        return f"{step.copies} of each {varied}{where}{', in its place' if step.replace else ''}"
    if step.counts:
        return (
            f"{sum(count.rows for count in step.counts):,} rows under {len(step.counts)} conditions"
        )
    if step.cover is not None:
        noun = {1: "level", 2: "pair", 3: "triple"}[step.cover.strength]
        return f"as few rows as hold every {noun} of {', '.join(step.cover.factors)}{where}"
    if step.rows is not None:
        return f"{step.rows:,} rows{where}"
    if step.follows_brief and recipe.brief.want:
        wanted = ", ".join(f"{label}: {rows:,}" for label, rows in recipe.brief.want.items())
        return f"rows up to {{{wanted}}}"
    return f"as many rows as the train set has{where}"
