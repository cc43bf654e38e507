"""Commands that look at files and write a recipe: `init`, `gaps` and `advise`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from twinset.cli.options import AdviseArguments, Count, Flat, Read, given
from twinset.cli.terminal import (
    check_new,
    check_places,
    print_json,
    print_notes,
    print_paths,
    print_reading,
    print_summary,
    print_table,
    progress_bar,
    write_text,
)
from twinset.core.errors import RecipeError


def init(
    file: Path,
    /,
    *,
    out: Path = Path("recipe.yaml"),
    target: str | None = None,
    read: Read = None,
    force: bool = False,
) -> None:
    """Look at a file and write a recipe for it, which runs as it is.

    What the columns were understood as is printed, uncertain decisions first.

    Parameters
    ----------
    file : Path
        A CSV, Parquet or JSON-Lines file, a folder of images, or a file of labelled texts.
    out : Path
        The recipe to write.
    target : str
        Column that models will predict; guessed when not given.
    read : list[str]
        How to read a CSV file, e.g. --read decimal=, --read text=zip; may be repeated.
    force : bool
        Overwrite the recipe if there is one.
    """
    from twinset.ingest.draft_recipe import draft_recipe, guess_target, recipe_name, seen_from
    from twinset.ingest.input_table import inspect_table, name_target
    from twinset.io.reading.options import read_options

    check_new("--out", out, force)
    options = read_options(read)
    dataset, reading = inspect_table(file, options)
    if target is None:
        field, reason = guess_target(dataset)
    else:
        dataset = name_target(dataset, target)
        field, reason = dataset.schema[target], "the column to predict"
    text = draft_recipe(
        dataset,
        path=seen_from(file, out.parent),
        name=recipe_name(file.name.partition(".")[0]),
        target=field,
        reason=reason,
        read=options,
    )
    write_text(out, text)
    if field is not None:
        reading = reading.with_target(field.name, field.kind)
    print_reading(reading)
    shown = f"'{field.name}' ({reason})" if field is not None else f"none ({reason})"
    print(f"Target: {shown}")
    print(f"Wrote {out}. Next: twinset run {out}")


def gaps(
    real: Path,
    synthetic: Path,
    /,
    *,
    out: Path | None = None,
    want: list[str] | None = None,
    population: list[str] | None = None,
    target: str | None = None,
    use: str | None = None,
    seed: Count | None = None,
    max_slices: Count = 10,
    read: Read = None,
    force: bool = False,
    json: bool = False,
) -> None:
    """Say which slices a synthetic file lacks, and write a recipe that makes them.

    A slice is a region of up to three conditions, such as "sex = F and age >= 60". The recipe asks a
    generator for as many rows of each as the synthetic file needs beside its own to have the real
    share of it, or the share that you declare. Run the recipe, and add its rows to the file.

    Parameters
    ----------
    real : Path
        A CSV, Parquet or JSON-Lines file; images as delivered, in Parquet, or a folder of annotated ones.
    synthetic : Path
        Such a file with the same columns.
    out : Path
        Write the recipe to this file.
    want : list[str]
        Share that a slice should have, e.g. --want "sex = F and age >= 60: 0.05"; may be repeated.
    population : list[str]
        True shares of a column, e.g. --population "sex={F: 0.51, M: 0.49}"; may be repeated.
    target : str
        Column that models will predict; goes into the recipe.
    use : str
        The generator: tabular.trees when not given, for images image.shapes, image.scenes or
        image.copy_paste, whichever can make their slices; see `twinset list generator`.
    seed : int
        Seed of the recipe.
    max_slices : int
        Slices to name.
    read : list[str]
        How to read the CSV file of real rows, e.g. --read decimal=,; may be repeated.
    force : bool
        Overwrite the recipe if there is one.
    json : bool
        Print everything as JSON.
    """
    check_new("--out", out, force)
    wanted = dict(_share(text) for text in want or ())
    shares = dict(_levels(text) for text in population or ())
    from twinset.workflows.gaps import gaps

    found = gaps(
        real,
        synthetic,
        want=wanted,
        population=shares,
        target=target,
        use=use,
        seed=seed,
        max_slices=max_slices,
        folder=None if out is None else out.parent,
        read=read,
    )
    if out is not None and found.recipe:
        write_text(out, found.recipe)
    if json:
        print_json(found.to_json())
        return
    if not found.missing:
        print("No slice of up to three conditions has surely too few rows.")
    else:
        print("Too few rows of:")
        obstacles = [f" ({g.obstacle_text})" if g.obstacle else "" for g in found.missing]
        rows = [(g.rows, f"{g.sentence}{text}") for g, text in zip(found.missing, obstacles)]
        print_table(("rows to make", "slice"), rows, indent="  ")
    if found.over:
        print("Too many rows of (adding rows does not cure these):")
        for sentence in found.over:
            print(f"  {sentence}")
    print_notes(found.notes)
    if found.recipe and out is not None:
        print(f"Wrote {out}. Next: twinset run {out}, then add its rows to {synthetic}")
    elif found.recipe:
        print(f"\n{found.recipe}", end="")


def _share(text: str) -> tuple[str, float]:
    """Read "CONDITION: SHARE"."""
    condition, sign, share = text.rpartition(":")
    try:
        if sign and condition.strip():
            return condition.strip(), float(share)
    except ValueError:
        pass
    raise RecipeError(
        "cannot read what is wanted", got=f"'{text}'", allowed="e.g. 'sex = F and age >= 60: 0.05'"
    )


def _levels(text: str) -> tuple[str, dict[object, float]]:
    """Read "COLUMN={LEVEL: SHARE, ...}"; as in recipes, yes and no are labels, not true and false."""
    from twinset.recipe import read_yaml

    column, sign, spelled = text.partition("=")
    read = read_yaml(spelled)
    shares = read.data
    if column and sign and not read.faults and isinstance(shares, dict):
        numbers = [share for share in shares.values() if type(share) in (int, float)]
        if len(numbers) == len(shares) > 0:
            return column, {level: float(share) for level, share in shares.items()}
    raise RecipeError(
        "cannot read the shares of a population",
        got=f"'{text}'",
        allowed="e.g. 'sex={F: 0.51, M: 0.49}'",
    )


if TYPE_CHECKING:
    from twinset.report.advice import Advice


def advise(
    data: Path,
    /,
    *,
    options: Annotated[AdviseArguments, Flat] = AdviseArguments(),
    html: Path | None = None,
    recipe: Path | None = None,
    force: bool = False,
    json: bool = False,
) -> None:
    """Say whether the rare class of a file should be balanced, how, and what that is worth.

    Strategies to balance are compared inside the train rows, "none" among them. The best one is then
    tested once on rows that no choice was based on. The page is written beside the data's name into the
    working folder unless --html names another place.

    Parameters
    ----------
    data : Path
        A CSV, Parquet or JSON-Lines file of real rows, or a recipe that gives table, target and split.
    html : Path
        Write the page to this file; an older page is replaced.
    recipe : Path
        Write the recipe of the chosen rows to this file, if rows are to be added.
    force : bool
        Overwrite the recipe if there is one.
    json : bool
        Print everything as JSON; the page is then written only to --html.
    """
    page = html if html is not None or json else Path(f"{data.name.partition('.')[0]}-advice.html")
    check_places({"--html": page, "--recipe": recipe}, (data,))
    check_new("--recipe", recipe, force)
    from twinset.workflows.advise.advise import advise

    with progress_bar() as progress:
        found = advise(data, progress=progress, **given(options))
    _print_advice(found, page, recipe, json=json)


def _print_advice(found: Advice, page: Path | None, recipe: Path | None, *, json: bool) -> None:
    """Write the requested files and print the rest."""
    forms = {"page": (page, found.to_html), "recipe": (recipe, lambda: found.recipe)}
    written = {}
    for name, (place, form) in forms.items():
        if place is not None and (content := form()):
            write_text(place, content)
            written[name] = place
    if json:
        print(found.to_json(), end="")
        return
    print_summary(found.summary())
    print_notes(found.notes)
    if recipe is not None and not found.recipe:
        print("No recipe is written: no rows are to be added.")
    print_paths(written)
