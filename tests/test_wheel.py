"""The wheel holds what the tree holds, and works where a user has folders of the same names."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAPPED = ("generators", "augment", "evaluation", "configs")
PARTS = ("pyproject.toml", "README.md", "LICENSE", "twinset", *MAPPED)
DATA = (".py", ".yaml", ".typed", ".txt")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that the tree stays clean."""
    pytest.importorskip("build", reason="the package 'build' is not installed")
    pytest.importorskip("setuptools", minversion="77")
    copy = tmp_path_factory.mktemp("source")
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=ignore)
        else:
            shutil.copy(ROOT / part, copy / part)
    _run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"], copy)
    (built,) = (copy / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The python of a fresh environment that holds the wheel and sees this one's libraries."""
    home = tmp_path_factory.mktemp("environment")
    _run([sys.executable, "-m", "venv", "--without-pip", str(home)], home)
    python = home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
    ]
    _run([*pip, str(wheel)], home)
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = Path(_run([str(python), "-c", ask], home).strip())
    # A path file adds the libraries, and not this environment's own editable twinset.
    (site / "libraries.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


def test_the_wheel_holds_the_tree(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    shipped = {name for name in names if ".dist-info/" not in name}
    expected = set()
    for top in ("twinset", *MAPPED):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and (path.suffix in DATA or "templates" in path.parts):
                prefix = "" if top == "twinset" else "twinset/"
                expected.add(prefix + path.relative_to(ROOT).as_posix())
    expected = {
        name for name in expected if not name.endswith(".pyc") and "__pycache__" not in name
    }
    assert sorted(shipped) == sorted(expected)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_it_works_beside_folders_of_the_same_names(python: Path, tmp_path: Path) -> None:
    for name in ("generators", "evaluation", "configs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the user has this')\n")
    code = """
import json, importlib.resources
import twinset.generators.tabular.copula as copula
from twinset.registry import list_components
from twinset.recipe import recipe_schema
recipes = sorted(p.name for p in importlib.resources.files("twinset.configs").iterdir())
print(json.dumps({
    "file": copula.__file__,
    "names": [info.name for info in list_components()],
    "recipes": [name for name in recipes if name.endswith(".yaml")],
    "keys": sorted(recipe_schema()["properties"]),
}))
"""
    found = json.loads(_run([str(python), "-c", code], tmp_path))
    assert Path(found["file"]).is_relative_to(python.parents[1])
    files = [
        p for top in ("generators", "augment", "evaluation") for p in (ROOT / top).rglob("*.py")
    ]
    parts = [p.relative_to(ROOT).parts for p in files]
    components = [names for names in parts if not any(name.startswith("_") for name in names)]
    assert len(found["names"]) == len(components)
    assert found["recipes"] == sorted(p.name for p in (ROOT / "configs").glob("*.yaml"))
    assert {"name", "brief", "source"} <= set(found["keys"])


def test_its_command_runs(python: Path, tmp_path: Path) -> None:
    command = python.with_name("twinset.exe" if os.name == "nt" else "twinset")
    assert "tabular.copula" in _run([str(command), "list"], tmp_path)
