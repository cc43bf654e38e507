"""Training data with a twin: make it, register it beside the real set, measure it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinset.advising import advise
    from twinset.appraisal import evaluate
    from twinset.catalog import Catalog
    from twinset.comparing import compare
    from twinset.core.dataset import Dataset
    from twinset.core.errors import TwinsetError
    from twinset.core.schema import Field, Schema
    from twinset.core.where import Where
    from twinset.filling import gaps
    from twinset.oneshot import twin
    from twinset.pipeline import run
    from twinset.recipe import load_recipe
    from twinset.registry import list_components

__version__ = "0.1.0"

# Name -> module that holds it; imported on first use, so that `import twinset` costs nothing.
_HOMES = {
    "Catalog": "twinset.catalog",
    "Dataset": "twinset.core.dataset",
    "Field": "twinset.core.schema",
    "Schema": "twinset.core.schema",
    "TwinsetError": "twinset.core.errors",
    "Where": "twinset.core.where",
    "advise": "twinset.advising",
    "compare": "twinset.comparing",
    "evaluate": "twinset.appraisal",
    "gaps": "twinset.filling",
    "list_components": "twinset.registry",
    "load_recipe": "twinset.recipe",
    "run": "twinset.pipeline",
    "twin": "twinset.oneshot",
}

__all__ = [
    "Catalog",
    "Dataset",
    "Field",
    "Schema",
    "TwinsetError",
    "Where",
    "__version__",
    "advise",
    "compare",
    "evaluate",
    "gaps",
    "list_components",
    "load_recipe",
    "run",
    "twin",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'twinset' has no attribute '{name}'")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
