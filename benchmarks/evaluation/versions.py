"""What the proofs were made with."""

from __future__ import annotations

import platform
from importlib.metadata import version

_LIBRARIES = ("twinset", "numpy", "scipy", "scikit-learn", "pyarrow", "pandas")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide the figures."""
    return {"Python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
