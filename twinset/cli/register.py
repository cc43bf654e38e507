"""`twinset register`: a file into the catalogue."""

from __future__ import annotations

from pathlib import Path


def command(
    file: Path,
    /,
    *,
    name: str | None = None,
    licence: str = "",
    synthetic: bool = False,
    root: Path = Path(".twinset"),
) -> None:
    """Put a file into the catalogue, and print its reference.

    Parameters
    ----------
    file : Path
        A CSV, Parquet or JSON-Lines file, a folder of images, or a file of labelled texts.
    name : str
        Name of the set; by default that of the file, with -real or -synthetic behind it.
    licence : str
        Licence of the data, an SPDX id.
    synthetic : bool
        The rows are synthetic, not real.
    root : Path
        Folder of the catalogue.
    """
    from twinset.catalog import Catalog
    from twinset.core.data.dataset import Origin
    from twinset.core.errors import RecipeError
    from twinset.ingest.draft_recipe import recipe_name
    from twinset.ingest.input_table import open_table

    origin: Origin = "synthetic" if synthetic else "real"
    dataset = open_table(file)
    named = dataset.with_card(
        name=name or f"{recipe_name(file.name.partition('.')[0])}-{origin}",
        origin=origin,
        licence=licence,
    )
    ids = [f"{named.card.name}-{row}" for row in range(len(named))]
    named = named.with_reserved(ids=ids)
    catalog = Catalog(root)
    others = [v for v in catalog.sets() if v.name == named.card.name and v.origin != origin]
    if others:
        raise RecipeError(
            f"the name '{named.card.name}' belongs to {others[0].origin} rows",
            got=f"{origin} rows",
            todo="choose another name with --name",
        )
    version = catalog.register(named.card.name, [named], named.card)
    print(version.ref)
