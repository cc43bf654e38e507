"""Make the virtual environments of peers, one for each.

    python -m benchmarks.tabular.peers install sdv          (or several names, or all)
    python -m benchmarks.tabular.peers list

They lie in ``benchmarks/tabular/.venvs`` and are not part of the repository. SDV is under BUSL-1.1.
R's synthpop is not a Debian package and is not installed here; tables it made are among the
released ones that are scored.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks.tabular.jobs import VENVS

_OF_2024 = ("numpy==1.26.4", "pandas==2.2.3", "scikit-learn==1.5.2", "scipy==1.13.1",
            "pyarrow==17.0.0")  # fmt: skip
# Versions that the committed results were made with; older libraries need those of their time.
PACKAGES: dict[str, tuple[str, ...]] = {
    "sdv": ("sdv==2.0.0", "pyarrow"),
    "mostly": ("mostlyai-engine==2.7.3", "pyarrow"),
    "arfpy": ("arfpy==0.1.1", *_OF_2024),
    "forest": ("ForestDiffusion==1.0.6", "pandas", "pyarrow"),
}


def install(name: str) -> None:
    """Make one environment, unless it is there."""
    python = VENVS / name / "bin" / "python"
    if not python.exists():
        VENVS.mkdir(exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENVS / name)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES[name]], check=True)
    print(f"{name}: installed")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("install", "list"))
    parser.add_argument("names", nargs="*", help=f"all, or of {', '.join(PACKAGES)}")
    options = parser.parse_args()
    if unknown := set(options.names) - {*PACKAGES, "all"}:
        parser.error(f"Expected peers of {', '.join(PACKAGES)}, got {', '.join(sorted(unknown))}.")
    if options.what == "list":
        for name, packages in PACKAGES.items():
            there = "installed" if (VENVS / name / "bin" / "python").exists() else "not installed"
            print(f"{name}: {there}; {', '.join(packages)}")
        return
    for name in PACKAGES if "all" in options.names else options.names:
        install(name)


if __name__ == "__main__":
    main()
