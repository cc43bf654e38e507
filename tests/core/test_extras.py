"""Optional libraries: every module imports them the same way, and an absent one is a sentence."""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinset.cli import main
from twinset.core.errors import MissingExtraError
from twinset.core.extras import EXTRAS, optional

ROOT = Path(__file__).parents[2]
FOLDERS = ("twinset", "generators", "augment", "evaluation")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {
    "cv2": "opencv-python-headless",
    "imblearn": "imbalanced-learn",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}


def distributions(requirements: list[str]) -> set[str]:
    """Return the names in a list of requirements, with those of the project's own extras."""
    found = set()
    for line in requirements:
        name = re.split(r"[<>=\[ ]", line, maxsplit=1)[0].lower()
        own = re.search(r"\[(.*)\]", line) if name == "twinset" else None
        for extra in own.group(1).split(",") if own else ():
            found |= distributions(PROJECT["optional-dependencies"][extra])
        found.add(name)
    return found


def imported() -> Iterator[tuple[str, str, bool]]:
    """Yield (place, module, runs) of each absolute import and each call of `optional`."""
    for path in sorted(file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text())
        for_types = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            for part in node.body
            for inner in ast.walk(part)
        }
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", name, id(node) not in for_types


def test_libraries_outside_the_base_installation_are_imported_by_optional() -> None:
    base = {DISTRIBUTIONS.get(name, name) for name in distributions(PROJECT["dependencies"])}
    own = {"twinset", *sys.stdlib_module_names}
    brought = {"joblib", "markupsafe", "pydantic_core"}  # with scikit-learn, Jinja2 and pydantic
    known = base | own | brought
    wrong = [
        (place, name)
        for place, name, runs in imported()
        if runs and (root := name.partition(".")[0]) not in known
        if DISTRIBUTIONS.get(root, root).lower() not in known
    ]
    assert not wrong


def test_types_are_found_without_pandas() -> None:
    # pyarrow imports pandas to answer `to_pandas_dtype`, and fails where it is absent.
    files = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    assert not [file for file in files if "to_pandas_dtype" in file.read_text()]


@pytest.mark.parametrize("library", sorted(EXTRAS))
def test_the_extra_brings_the_library(library: str) -> None:
    brought = distributions(PROJECT["optional-dependencies"][EXTRAS[library]])
    assert DISTRIBUTIONS.get(library, library) in brought


def test_an_absent_library_is_a_sentence_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(MissingExtraError, match=r"'trimesh'.*pip install 'twinset\[3d\]'"):
        optional("trimesh.creation")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("raise ImportError('libGL.so.1: cannot open\\nshared object file')", "libGL.so.1: cannot"),
        ("import no_such_library_xyz", "no module 'no_such_library_xyz'"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_not_called_absent(
    fault: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cv2.py").write_text(fault)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cv2", raising=False)
    with pytest.raises(MissingExtraError, match=f"is installed and cannot be loaded; got {reason}"):
        optional("cv2")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "shapes"),
        ("run", "shapes", "--workers", "2"),
        ("run", "defects"),
        ("shards", "shapes", "shards"),
        ("shards", "defects", "shards"),
        ("tiles", "images", "tiles"),
    ],
    ids=" ".join,
)
def test_commands_for_images_name_the_extra_and_write_nothing(
    words: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cv2", None)
    (tmp_path / "images").mkdir()
    shutil.copy(ROOT / "docs" / "images" / "report.png", tmp_path / "images")
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "pip install 'twinset[image]'" in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob("*.tar"))
    assert not (tmp_path / "tiles").exists()
