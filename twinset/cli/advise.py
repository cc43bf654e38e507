"""`twinset advise`: should the rare class of this file be balanced, and how?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from twinset.cli.files import check_places, write_text
from twinset.cli.progress import progress_bar
from twinset.cli.terminal import print_notes, print_paths, print_summary
from twinset.core.errors import RecipeError

if TYPE_CHECKING:
    from twinset.report.advice import Advice


def command(
    data: Path,
    /,
    *,
    target: str | None = None,
    positive: str | None = None,
    time: str | None = None,
    group: str | None = None,
    amount: str | None = None,
    cost: float | None = None,
    alert_rate: float = 0.01,
    delay: float | None = None,
    time_unit: str | None = None,
    test_fraction: float | None = None,
    ratio: Annotated[list[float] | None, Parameter(name="--ratio")] = None,
    model: Annotated[list[str] | None, Parameter(name="--model")] = None,
    seed: int | None = None,
    html: Path | None = None,
    recipe: Path | None = None,
    force: bool = False,
    workers: int = 1,
    json: bool = False,
) -> None:
    """Say whether the rare class of a file should be balanced, how, and what that is worth.

    Ways to balance are compared inside the train rows, "none" among them. The best one is then tested
    once on rows that nothing was chosen by. The page is written beside the data's name into the
    working folder unless --html names another place.

    Parameters
    ----------
    data : Path
        A CSV, Parquet or JSON-Lines file of real rows, or a recipe that tells table, target and split.
    target : str
        Column that models will predict; it has two labels. By default the one that looks like it.
    positive : str
        Label that counts as positive; by default the rarer one.
    time : str
        Column that says when a row happened: the latest rows are then tested on.
    group : str
        Column of the entity, e.g. the card: no card then occurs in both train and test.
    amount : str
        Column that says what is lost when a positive row is missed.
    cost : float
        Price of a missed positive row where an alert costs 1; with --amount, of one unit of it.
    alert_rate : float
        Share of rows that can be looked at.
    delay : float
        How long labels take to arrive, in days or in the unit of the time.
    time_unit : str
        What a time of plain numbers counts: second, minute, hour or day.
    test_fraction : float
        Share of rows to test on; by default 0.3, or the holdout fraction of the recipe.
    ratio : list[float]
        Rare rows per common row to try, e.g. --ratio 0.05; may be repeated.
    model : list[str]
        Model to ask: boosted, linear, lightgbm or xgboost; may be repeated.
    seed : int
        Seed of every draw; by default 1, or that of the recipe.
    html : Path
        Write the page to this file; an older page is replaced.
    recipe : Path
        Write the recipe that makes the chosen rows to this file, if rows are to be made.
    force : bool
        Overwrite the recipe if there is one.
    workers : int
        Threads; the result does not depend on them.
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
    from twinset.workflows.advise.models import DEFAULT_MODELS

    with progress_bar() as progress:
        found = advise(
            data,
            target=target,
            positive=positive,
            time=time,
            group=group,
            amount=amount,
            cost=cost,
            alert_rate=alert_rate,
            delay=delay,
            time_unit=time_unit,
            test_fraction=test_fraction,
            ratios=ratio,
            models=tuple(model or DEFAULT_MODELS),
            seed=seed,
            workers=workers,
            progress=progress,
        )
    _print_advice(found, page, recipe, json=json)


def _print_advice(found: Advice, page: Path | None, recipe: Path | None, *, json: bool) -> None:
    """Write what was asked for and print the rest."""
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
        print("No recipe is written: nothing is to be made.")
    print_paths(written)
