"""Training data with a twin: make it, register it beside the real set, measure it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from twinset.core.version import __version__

if TYPE_CHECKING:
    from twinset.catalog import Catalog
    from twinset.core.data.dataset import Dataset
    from twinset.core.data.schema import Field, Schema
    from twinset.core.data.where import Where
    from twinset.core.errors import TwinsetError
    from twinset.recipe import load_recipe
    from twinset.registry import list_components
    from twinset.workflows.advise.advise import advise
    from twinset.workflows.compare import compare
    from twinset.workflows.evaluate import evaluate
    from twinset.workflows.gaps import gaps
    from twinset.workflows.leaks import leaks
    from twinset.workflows.run import run
    from twinset.workflows.twin import twin

# Name -> module that holds it; imported on first use, so that `import twinset` costs nothing.
_HOMES = {
    "Catalog": "twinset.catalog",
    "Dataset": "twinset.core.data.dataset",
    "Field": "twinset.core.data.schema",
    "Schema": "twinset.core.data.schema",
    "TwinsetError": "twinset.core.errors",
    "Where": "twinset.core.data.where",
    "advise": "twinset.workflows.advise.advise",
    "compare": "twinset.workflows.compare",
    "evaluate": "twinset.workflows.evaluate",
    "gaps": "twinset.workflows.gaps",
    "leaks": "twinset.workflows.leaks",
    "list_components": "twinset.registry",
    "load_recipe": "twinset.recipe",
    "run": "twinset.workflows.run",
    "twin": "twinset.workflows.twin",
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
    "leaks",
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
