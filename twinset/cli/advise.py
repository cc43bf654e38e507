"""`twinset advise`: should the rare class of this file be balanced, and how?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from twinset.cli.files import check_places, write_text
from twinset.cli.options import AdviseArguments, Flat, given
from twinset.cli.progress import progress_bar
from twinset.cli.terminal import print_notes, print_paths, print_summary
from twinset.core.errors import RecipeError

if TYPE_CHECKING:
    from twinset.report.advice import Advice


def command(
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
    if recipe is not None and recipe.exists() and not force:
        raise RecipeError(
            f"there is a '{recipe}' already", todo="choose another --recipe, or --force"
        )
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
