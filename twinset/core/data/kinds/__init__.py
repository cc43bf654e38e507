"""Kinds of columns, one module each; `KINDS` finds them by their files."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import MappingProxyType

from twinset.core.data.kinds.kind import BLOB, ColumnKind, ColumnSample, Encoding, plain_values

_NAMES = sorted(module.name for module in iter_modules(__path__) if module.name != "kind")
KINDS: Mapping[str, ColumnKind] = MappingProxyType(
    {name: import_module(f"{__name__}.{name}").KIND for name in _NAMES}
)
"""Name -> kind."""
TABULAR_KINDS = frozenset(name for name, kind in KINDS.items() if kind.is_tabular)

__all__ = [
    "BLOB",
    "KINDS",
    "TABULAR_KINDS",
    "ColumnKind",
    "ColumnSample",
    "Encoding",
    "plain_values",
]
