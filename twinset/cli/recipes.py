"""Commands that carry out a recipe: `run`, `plan` and `shards`."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from twinset.cli import EXIT_GATE, EXIT_OK
from twinset.cli.options import Count, Flat
from twinset.cli.terminal import (
    check_places,
    print_json,
    print_lines,
    print_notes,
    print_paths,
    print_reading,
    print_summary,
    print_table,
    progress_bar,
    write_text,
)
from twinset.core.errors import TwinsetError

if TYPE_CHECKING:
    from twinset.generation.coverage_plan import CoveragePlan
    from twinset.recipe import AugmentStep, GenerateStep, Recipe
    from twinset.workflows.run import RunResult

_MAX_SHOWN = 20  # kinds of scenes on a terminal: one screen; --csv and --json hold all


@dataclass(frozen=True, kw_only=True)
class RecipeArguments:
    """Options of every command on a recipe.

    Parameters
    ----------
    set_ : list[str]
        Change a value of the recipe, e.g. --set source.path=my.csv; may be repeated. The key is a path
        with dots, and lists are counted from 0: --set generate.0.rows=40 makes 40 rows in the first
        step. The value is YAML.
    root : Path
        Folder of the catalogue.
    json : bool
        Print everything as JSON.
    """

    set_: Annotated[list[str] | None, Parameter(name="--set")] = None
    root: Path = Path(".twinset")
    json: bool = False

    @property
    def place(self) -> dict[str, Any]:
        """Arguments of a workflow: the catalogue, and the changes to the recipe."""
        return {"root": self.root, "overrides": tuple(self.set_ or ())}


def run(
    recipe: Path,
    /,
    *,
    options: Annotated[RecipeArguments, Flat] = RecipeArguments(),
    dry_run: bool = False,
    junit: Path | None = None,
    workers: Count = 1,
) -> int:
    """Carry out a recipe: make, measure, register and deliver a set.

    What an earlier run finished is kept; an interrupted run goes on where it stopped. Exit code 3
    means that a gate failed.

    Parameters
    ----------
    recipe : Path
        The recipe: a YAML file, or the bare name of a shipped one, e.g. quickstart.
    dry_run : bool
        Tell the steps, and make nothing.
    junit : Path
        Write gates and verdicts as JUnit XML to this file, one test case a metric.
    workers : int
        Threads; the result does not depend on them.
    """
    check_places({"--junit": junit}, (recipe,))
    if dry_run:
        return _print_plan(recipe, options)
    from twinset.workflows.run import run

    was_there = options.root.exists()
    try:
        with progress_bar() as progress:
            result = run(recipe, **options.place, workers=workers, progress=progress)
    except TwinsetError:
        if not was_there:
            _remove_if_empty(options.root)
        raise
    if junit is not None:
        write_text(junit, _junit(result))
    if options.json:
        keys = ("passed", "report_path", "delivered", "versions", "steps", "report")
        content = {key: getattr(result, key) for key in keys}
        content |= {"steps": [asdict(step) for step in result.steps]}
        read = {} if result.reading is None else {"reading": result.reading.to_json()}
        print_json(content | read)
    else:
        _print(result)
    return EXIT_OK if result.passed else EXIT_GATE


def _remove_if_empty(root: Path) -> None:
    """Remove a catalogue that a mistaken run began and that holds no more than copies of its source.

    It stays where another process uses it by now.
    """
    from twinset.catalog import Catalog

    catalog = Catalog(root)
    if not root.is_dir() or catalog.is_in_use:
        return
    if all(version.origin == "real" for version in catalog.sets()):
        shutil.rmtree(root)


def _print(result: RunResult) -> None:
    if result.reading is not None:
        print_reading(result.reading)
        print_lines()
    print_summary(result.summary)
    print_notes(result.report.get("notes", ()))
    print_lines()
    print_paths({"report": result.report_path, "delivered": result.delivered})
    made = sum(step.state == "made" for step in result.steps)
    print_lines(f"{made} steps made, {len(result.steps) - made} kept from an earlier run.")
    if not result.passed:
        print_lines("A gate failed: exit code 3.", colour="red")


def _junit(result: RunResult) -> str:
    from twinset.core.contracts import Score
    from twinset.report.exports import junit_xml
    from twinset.report.gates import Gate

    scores = [Score.from_json(score) for score in result.report["scores"]]
    gates = [Gate(**gate) for gate in result.report["gates"]]
    return junit_xml({result.report["title"]: (scores, gates)})


def _print_plan(path: Path, options: RecipeArguments) -> int:
    from twinset.recipe import load_recipe
    from twinset.workflows.run import plan

    recipe = load_recipe(path, options.place["overrides"])
    steps = plan(recipe, root=options.root)
    if options.json:
        print_json({"name": recipe.name, "steps": [asdict(step) for step in steps]})
        return EXIT_OK
    texts = _texts(recipe)
    print_lines(f"{recipe.name}: {len(steps)} steps; nothing was made.", "")
    rows = [(step.name, step.state, texts.get(step.name, "")) for step in steps]
    print_table(("step", "state", "what"), rows)
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
        n = sum(count.rows for count in step.counts)
        return f"{n:,} rows under {len(step.counts)} conditions"
    if step.cover is not None:
        noun = {1: "level", 2: "pair", 3: "triple"}[step.cover.strength]
        return f"as few rows as hold every {noun} of {', '.join(step.cover.factors)}{where}"
    if step.rows is not None:
        return f"{step.rows:,} rows{where}"
    if step.follows_brief and recipe.brief.want:
        wanted = ", ".join(f"{label}: {rows:,}" for label, rows in recipe.brief.want.items())
        return f"rows up to {{{wanted}}}"
    return f"as many rows as the train set has{where}"


def plan(
    recipe: Path,
    /,
    *,
    options: Annotated[RecipeArguments, Flat] = RecipeArguments(),
    predictions: Path | None = None,
    csv_file: Annotated[Path | None, Parameter(name="--csv")] = None,
) -> None:
    """Show which scenes the plans of a recipe ask for, and what they cover; nothing is made.

    Parameters
    ----------
    recipe : Path
        The recipe: a YAML file, or the bare name of a shipped one, e.g. road_edge_cases.
    predictions : Path
        A model's predictions, a row each: the conditions, and `correct` (true or false). Scenes where
        the model errs come first.
    csv_file : Path
        Write all scenes to this file, a row each.
    """
    check_places({"--csv": csv_file}, (recipe, predictions))
    from twinset.workflows.run import plans

    found = plans(recipe, **options.place, predictions=predictions)
    if csv_file is not None:
        write_text(csv_file, _as_csv(found))
    if options.json:
        print_json({name: _plan_json(one) for name, one in found.items()})
        return
    for number, (name, one) in enumerate(found.items()):
        print_lines(*[""][:number], f"{name}: {one.summary}.", "")
        _print_scenes(one)
        _print_missing(one)
    if csv_file is not None:
        print_lines("", f"All scenes: {csv_file}")


def _print_scenes(plan: CoveragePlan) -> None:
    counts = plan.counts()
    rows = [
        (n, *(where.conditions[name] for name in plan.factors)) for where, n in counts[:_MAX_SHOWN]
    ]
    if rows:
        print_table(("scenes", *plan.factors), rows)
    if len(counts) > _MAX_SHOWN:
        print_lines(f"... and {len(counts) - _MAX_SHOWN:,} more kinds of scenes")


def _print_missing(plan: CoveragePlan) -> None:
    """Say what comes less often than the plan wants, which a limit on its scenes can bring about."""
    if plan.n_met == plan.n_planned:
        return
    lacking = [row for row in plan.table if row["union"] < plan.at_least and row["wanted"]]
    print_lines("", f"Still too rare, {len(lacking):,} of them:")
    for row in lacking[:_MAX_SHOWN]:
        print_lines("  " + ", ".join(f"{name}: {level}" for name, level in row["levels"].items()))


def _plan_json(plan: CoveragePlan) -> dict[str, object]:
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


def shards(
    recipe: Path,
    to: Path,
    /,
    *,
    options: Annotated[RecipeArguments, Flat] = RecipeArguments(),
    rows_a_shard: Count = 1000,
    workers: Count = 1,
) -> None:
    """Make a recipe's images straight into WebDataset shards, as many as the disk holds.

    For sets too large to measure and register: memory holds a few images. A run that was interrupted
    or killed goes on where it stopped, and ends with the same bytes.

    Parameters
    ----------
    recipe : Path
        The recipe: a YAML file, or the bare name of a shipped one.
    to : Path
        Folder of the shards: new, empty, or begun by an earlier run.
    rows_a_shard : int
        Images in a shard.
    workers : int
        Processes; the result does not depend on them.
    """
    from twinset.workflows.shards import make_shards

    with progress_bar() as progress:
        made = make_shards(
            recipe,
            to,
            **options.place,
            rows_a_shard=rows_a_shard,
            workers=workers,
            progress=progress,
        )
    if options.json:
        counts = {"rows": made.n_rows, "shards": made.n_shards, "kept": made.n_kept}
        print_json({"folder": made.folder, **counts})
        return
    print_lines(made.folder)
    kept = f", {made.n_kept:,} of them kept from an earlier run" if made.n_kept else ""
    noun = "shard" if made.n_shards == 1 else "shards"
    print_lines(f"{made.n_rows:,} images in {made.n_shards:,} {noun}{kept}.")
