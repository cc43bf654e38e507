"""`twinset schema`: the JSON Schema of recipes, or of the files that a component reads."""

from __future__ import annotations

from twinset.cli.terminal import print_json


def command(name: str = "recipe", /) -> None:
    """Print the JSON Schema of recipes, or of a grammar of texts, for editors.

    Parameters
    ----------
    name
        "recipe", or the name of a component that reads a file of settings, e.g. text.templates.
    """
    from twinset.recipe import file_schema, recipe_schema

    print_json(recipe_schema() if name == "recipe" else file_schema(name))
