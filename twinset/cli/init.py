"""`twinset init`: look at a file and write a recipe for it."""

from __future__ import annotations

from pathlib import Path

from twinset.cli.files import check_place, write_text
from twinset.cli.terminal import print_notes
from twinset.core.errors import RecipeError


def command(
    file: Path,
    /,
    *,
    out: Path = Path("recipe.yaml"),
    target: str | None = None,
    force: bool = False,
) -> None:
    """Look at a file and write a recipe for it, which runs as it is.

    Parameters
    ----------
    file : Path
        A CSV, Parquet or JSON-Lines file, a folder of images, or a file of labelled texts.
    out : Path
        The recipe to write.
    target : str
        Column that models will predict; guessed when not given.
    force : bool
        Overwrite the recipe if there is one.
    """
    from twinset.ingest.draft_recipe import draft_recipe, guess_target, recipe_name, seen_from
    from twinset.ingest.input_table import name_target, open_table
    from twinset.ingest.locale_formats import local_notes

    if out.exists() and not force:
        raise RecipeError(f"there is a '{out}' already", todo="choose --out, or --force")
    check_place(out)
    dataset = open_table(file)
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
    )
    write_text(out, text)
    shown = f"'{field.name}' ({reason})" if field is not None else f"none ({reason})"
    print(f"{len(dataset):,} rows, {len(dataset.schema.fields)} columns, target: {shown}")
    print_notes(local_notes(dataset))
    print(f"Wrote {out}. Next: twinset run {out}")
