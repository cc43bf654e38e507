"""`twinset schema`: the JSON Schema of recipes."""

from __future__ import annotations

from twinset.cli.terminal import print_json


def command() -> None:
    """Print the JSON Schema of recipes, for editors."""
    from twinset.recipe import recipe_schema

    print_json(recipe_schema())
