"""Make the virtual environments of peers and of the reference scorer, each its own.

    python -m benchmarks.tabular.peers install sdv          (or several names, or all)
    python -m benchmarks.tabular.peers list

They lie in ``benchmarks/tabular/.venvs`` and are not part of the repository. SDV is under BUSL-1.1.
R's synthpop is not a Debian package and is not installed here; tables it made are among the
released ones that are scored.
"""

from __future__ import annotations

import subprocess
import sys

from .jobs import VENVS

# What libraries of that age work with.
_OF_2024 = (
    "numpy==1.26.4",
    "pandas==2.2.3",
    "scikit-learn==1.5.2",
    "scipy==1.13.1",
    "pyarrow==17.0.0",
)

# Versions that the committed results were made with.
PACKAGES: dict[str, tuple[str, ...]] = {
    "sdv": ("sdv==2.0.0", "pyarrow"),
    "mostly": ("mostlyai-engine==2.7.3", "pyarrow"),
    "arfpy": ("arfpy==0.1.1", *_OF_2024),
    "forest": ("ForestDiffusion==1.0.6", "pandas", "pyarrow"),
    "sdmetrics": ("sdmetrics==0.11.1", *_OF_2024),
}


def install(name: str) -> None:
    """Make one environment, unless it is there."""
    python = VENVS / name / "bin" / "python"
    if python.exists():
        print(f"{name}: already there")
        return
    VENVS.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", str(VENVS / name)], check=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PACKAGES[name]], check=True)
    print(f"{name}: installed")


def main() -> int:
    """Run the command line; return the exit status."""
    words = sys.argv[1:]
    if words[:1] == ["install"] and len(words) > 1:
        wanted = tuple(PACKAGES) if words[1:] == ["all"] else tuple(words[1:])
        unknown = [name for name in wanted if name not in PACKAGES]
        if unknown:
            print(f"no peer is called {unknown[0]}; there are {', '.join(PACKAGES)}")
            return 2
        for name in wanted:
            install(name)
        return 0
    if words == ["list"]:
        for name, packages in PACKAGES.items():
            there = "installed" if (VENVS / name / "bin" / "python").exists() else "not installed"
            print(f"{name}: {there}; {', '.join(packages)}")
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main())
