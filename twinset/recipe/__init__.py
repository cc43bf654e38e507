"""The recipe: what to do, parsed, checked and digested; all faults are reported at once."""

from twinset.recipe._parse import load_recipe, parse_recipe, shipped_file
from twinset.recipe._recipe import Recipe, file_schema, recipe_schema
from twinset.recipe._sections import (
    Brief,
    ColumnSpec,
    Deliver,
    LabelSpec,
    ReportSpec,
    Source,
    Split,
)
from twinset.recipe._steps import (
    AugmentStep,
    CountSpec,
    Evaluate,
    GateSpec,
    GenerateStep,
    MetricUse,
)
from twinset.recipe._yaml import read_yaml, spell_path

__all__ = [
    "AugmentStep",
    "Brief",
    "ColumnSpec",
    "CountSpec",
    "Deliver",
    "Evaluate",
    "GateSpec",
    "GenerateStep",
    "LabelSpec",
    "MetricUse",
    "Recipe",
    "ReportSpec",
    "Source",
    "Split",
    "file_schema",
    "load_recipe",
    "parse_recipe",
    "read_yaml",
    "recipe_schema",
    "shipped_file",
    "spell_path",
]
