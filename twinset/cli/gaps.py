"""`twinset gaps`: what a synthetic file lacks, and a recipe that makes exactly that."""

from __future__ import annotations

from pathlib import Path

from twinset.cli.files import check_place, write_text
from twinset.cli.terminal import print_json, print_notes, print_table
from twinset.core.errors import RecipeError


def command(
    real: Path,
    synthetic: Path,
    /,
    *,
    out: Path | None = None,
    want: list[str] | None = None,
    population: list[str] | None = None,
    target: str | None = None,
    use: str | None = None,
    seed: int | None = None,
    max_slices: int = 10,
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
    force : bool
        Overwrite the recipe if there is one.
    json : bool
        Print everything as JSON.
    """
    if out is not None:
        if out.exists() and not force:
            raise RecipeError(
                f"there is a '{out}' already", todo="choose another --out, or --force"
            )
        check_place(out)
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
