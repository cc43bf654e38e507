"""Who may import whom, and who may print or open files: read from the source, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"generators": "generators", "augment": "augment", "evaluation": "evaluation"}
HEAVY = {
    "torch", "sdv", "albumentations", "faker", "imblearn", "cv2", "sklearn", "scipy", "pandas",
    "polars", "duckdb", "matplotlib", "onnxruntime", "safetensors", "timm", "torchvision",
    "httpx", "spacy",
}  # fmt: skip
# From the top down; a module may import from its own floor and from those below it.
FLOORS = (
    {"cli", "__main__"},
    {"sklearn"},
    {"advising", "pipeline", "oneshot", "drafting", "filling", "plans", "sharding"},
    {
        "appraisal", "comparing", "filler", "joining", "making", "planning", "remaking", "reporting",
        "shortfalls", "sourcing", "tables", "text_sides", "varying",
    },
    {
        "balance", "canaries", "canary_trial", "catalog", "delivery", "disclosure", "embedded_sets",
        "embedder_notes", "embedders", "fetch", "guessing", "io", "leaks", "likeness", "local_formats",
        "made_cards",
        "measure", "paraphrasing",
        "part_verdicts", "parts", "plan_coverage", "recipe",
        "question", "registry", "remembered", "report", "sampling", "scene_plans", "scoring", "seen_rows",
        "sides", "testing",
        "tiles", "twin_note", "verdicts", "wanted", "yaml_text", "_settings",
    },
    {"core"},
)  # fmt: skip
# pipeline with its two hands, shards, tiles, the one-shot twin with its tables, catalogue and delivery.
IO_USERS = {
    "embedders", "pipeline", "sharding", "sourcing", "tiles", "oneshot", "tables", "text_sides", "catalog",
    "delivery", "io",
}  # fmt: skip
OPENERS = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "imread", "imwrite"}


@dataclass(frozen=True)
class Import:
    """One imported module: where, what, and whether it is loaded with the importing module."""

    file: Path
    line: int
    target: str
    at_import: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.target}"


def source_files() -> list[Path]:
    """Return the installed Python files of the repository."""
    return sorted(path for top in ("twinset", *FOLDERS) for path in (ROOT / top).rglob("*.py"))


def module_name(file: Path) -> str:
    """Return the name that a file is imported by."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "twinset" else ("twinset", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(file: Path, text: str | None = None) -> Iterator[Import]:
    """Yield every import of a file, also those in functions and for type checking."""
    tree = ast.parse(file.read_text(encoding="utf-8") if text is None else text)
    late = {id(inner) for node in ast.walk(tree) if _is_late(node) for inner in ast.walk(node)}
    package = module_name(file).split(".")
    if file.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, id(node) not in late)
        elif isinstance(node, ast.ImportFrom):
            head = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*head, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Import(file, node.lineno, f"{base}.{alias.name}", id(node) not in late)


def _is_late(node: ast.AST) -> bool:
    """Whether what stands inside is not run when the module is imported."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def room(name: str) -> str:
    """Return the part of twinset that a module belongs to; empty for other packages."""
    parts = name.split(".")
    return parts[1] if parts[0] == "twinset" and len(parts) > 1 else ""


ALL = [found for file in source_files() for found in imports_of(file)]


def told(found: list[Import]) -> str:
    return "\n".join(str(one) for one in found)


def test_there_is_something_to_look_at() -> None:
    assert len(source_files()) > 40
    assert any(one.target == "twinset.core.errors.TwinsetError" for one in ALL)
    assert {room(module_name(one.file)) for one in ALL} >= {"core", "generators", "evaluation"}


def test_core_imports_only_core() -> None:
    wrong = [
        one
        for one in ALL
        if room(module_name(one.file)) == "core" and room(one.target) not in ("", "core")
    ]
    assert not wrong, told(wrong)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_component_folder_imports_core_and_its_own_siblings_relatively(folder: str) -> None:
    wrong = []
    for one in ALL:
        if room(module_name(one.file)) == folder and one.target.startswith("twinset"):
            written = one.file.read_text(encoding="utf-8").splitlines()[one.line - 1]
            is_relative = "from ." in written
            if room(one.target) != (folder if is_relative else "core"):
                wrong.append(one)
    assert not wrong, told(wrong)


def test_nothing_else_imports_a_component_folder() -> None:
    folders = {*FOLDERS, "configs"}
    wrong = [
        one
        for one in ALL
        if one.file.is_relative_to(ROOT / "twinset") and room(one.target) in folders
    ]
    assert not wrong, told(wrong)


def test_every_room_stands_on_one_floor() -> None:
    rooms = {room(module_name(file)) for file in source_files()} - {"", *FOLDERS}
    placed = [name for floor in FLOORS for name in floor]
    assert sorted(placed) == sorted(set(placed))
    assert rooms <= set(placed), f"say in FLOORS where these stand: {rooms - set(placed)}"


def test_no_room_imports_from_a_floor_above() -> None:
    floor_of = {name: i for i, floor in enumerate(FLOORS) for name in floor}
    wrong = [
        one
        for one in ALL
        if room(module_name(one.file)) in floor_of
        and room(one.target) in floor_of
        and floor_of[room(one.target)] < floor_of[room(module_name(one.file))]
    ]
    assert not wrong, told(wrong)


def test_only_these_rooms_touch_io() -> None:
    wrong = [
        one
        for one in ALL
        if room(one.target) == "io" and room(module_name(one.file)) not in IO_USERS
    ]
    assert not wrong, told(wrong)


def test_heavy_libraries_are_imported_late() -> None:
    wrong = [
        one
        for one in ALL
        if one.at_import
        and one.target.split(".")[0] in HEAVY
        # The classes for scikit-learn extend its own: who imports them wants it.
        and not (room(module_name(one.file)) == one.target.split(".")[0] == "sklearn")
    ]
    assert not wrong, told(wrong)


def test_the_face_imports_nothing_at_once() -> None:
    mine = [one for one in imports_of(ROOT / "twinset" / "__init__.py") if one.at_import]
    standard = {"__future__", "importlib", "typing"}
    assert {one.target.split(".")[0] for one in mine} <= standard, told(mine)


def calls(file: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, name) of every call in a file; of a method the name alone."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            yield f"{file.relative_to(ROOT)}:{node.lineno} calls {name}", name


def test_only_cli_prints() -> None:
    files = [file for file in source_files() if room(module_name(file)) != "cli"]
    wrong = [place for file in files for place, name in calls(file) if name in ("print", "pprint")]
    assert not wrong, "\n".join(wrong)


def test_core_and_components_open_no_file() -> None:
    silent = {"core", *FOLDERS}
    files = [file for file in source_files() if room(module_name(file)) in silent]
    wrong = [place for file in files for place, name in calls(file) if name in OPENERS]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_longer_than_350_lines() -> None:
    counts = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in source_files()}
    assert not {str(file): count for file, count in counts.items() if count > 350}


def test_the_reader_of_imports_sees_every_form() -> None:
    text = (
        "import torch\nfrom twinset import io\nfrom . import _x\nfrom .._y import z\n"
        "def f():\n    import cv2\nif TYPE_CHECKING:\n    import pandas\n"
    )
    found = list(imports_of(ROOT / "generators" / "tabular" / "toy.py", text))
    assert [(one.target, one.at_import) for one in found] == [
        ("torch", True),
        ("twinset.io", True),
        ("twinset.generators.tabular._x", True),
        ("twinset.generators._y.z", True),
        ("cv2", False),
        ("pandas", False),
    ]
