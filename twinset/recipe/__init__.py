"""The recipe: what to do, parsed, checked and digested; all faults are reported at once."""

from twinset.recipe._parse import load_recipe, parse_recipe, shipped_file
from twinset.recipe._recipe import Recipe, file_schema, recipe_schema
from twinset.recipe._steps import AugmentStep, GenerateStep
from twinset.recipe._yaml import read_yaml, spell_path

__all__ = [
    "AugmentStep",
    "GenerateStep",
    "Recipe",
    "file_schema",
    "load_recipe",
    "parse_recipe",
    "read_yaml",
    "recipe_schema",
    "shipped_file",
    "spell_path",
]
