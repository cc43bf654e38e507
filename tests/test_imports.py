"""Who may import whom, and who may print or open files: read from the source, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"generators": "generators", "augment": "augment", "evaluation": "evaluation"}
HEAVY = {
    "torch", "sdv", "albumentations", "faker", "imblearn", "cv2", "sklearn", "scipy", "pandas",
    "polars", "duckdb", "matplotlib", "onnxruntime", "safetensors", "timm", "torchvision",
    "httpx", "spacy", "tifffile", "imagecodecs",
}  # fmt: skip
# From the top down: a module imports from its own part of twinset and from the layers below it.
LAYERS = (
    {"__init__", "__main__", "cli"},
    {"workflows"},
    {"ingest", "generation", "report"},
    {"recipe", "catalog", "measurement", "sklearn"},
    {"io", "registry", "testing"},
    {"core"},
)
CORE_LAYERS = (
    {"contracts"},
    {"rules", "features"},
    {"data", "findings"},
    {"image", "text", "stats"},
    {"extras", "limits", "parameters"},
    {"errors", "seeding", "untrusted", "version"},
    {"quoting"},
)
MAX_LOOSE_MODULES = 4  # __init__, __main__, registry and one to spare
MAX_LAYERS_IN_A_FOLDER = 6
# Who may open data files through `io`: the catalogue, and those that bring data in and take it out.
IO_USERS = {"cli", "io", "catalog", "ingest", "generation", "workflows", "measurement", "recipe"}
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


@cache
def all_imports() -> list[Import]:
    """Return every import of the installed files."""
    return [found for file in source_files() for found in imports_of(file)]


def listed(found: list[Import]) -> str:
    return "\n".join(str(one) for one in found)


def test_there_is_something_to_look_at() -> None:
    assert len(source_files()) > 40
    assert any(one.target == "twinset.core.errors.TwinsetError" for one in all_imports())
    assert {room(module_name(one.file)) for one in all_imports()} >= {
        "core",
        "generators",
        "evaluation",
    }


def test_core_imports_only_core() -> None:
    wrong = [
        one
        for one in all_imports()
        if room(module_name(one.file)) == "core" and room(one.target) not in ("", "core")
    ]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_component_folder_imports_core_and_its_own_siblings_relatively(folder: str) -> None:
    wrong = []
    for one in all_imports():
        if room(module_name(one.file)) == folder and one.target.startswith("twinset"):
            written = one.file.read_text(encoding="utf-8").splitlines()[one.line - 1]
            is_relative = "from ." in written
            if room(one.target) != (folder if is_relative else "core"):
                wrong.append(one)
    assert not wrong, listed(wrong)


def test_nothing_else_imports_a_component_folder() -> None:
    folders = {*FOLDERS, "configs"}
    wrong = [
        one
        for one in all_imports()
        if one.file.is_relative_to(ROOT / "twinset") and room(one.target) in folders
    ]
    assert not wrong, listed(wrong)


def graph_of(found: list[Import]) -> dict[str, set[str]]:
    """Return module -> modules of twinset that it imports, also in functions and for type checking."""
    names = {module_name(file) for file in source_files()}
    graph: dict[str, set[str]] = {name: set() for name in names}
    for one in found:
        target = one.target
        while target and target not in names:
            target = target.rpartition(".")[0]
        source = module_name(one.file)
        if target and target != source:
            graph[source].add(target)
    return graph


def cycles_in(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import one another, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = []
            while not group or group[-1] != name:
                group.append(stack.pop())
            groups.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return [group for group in groups if len(group) > 1]


def depth_of(graph: dict[str, set[str]]) -> int:
    """Return the number of layers of a graph without cycles."""
    depth: dict[str, int] = {}

    def visit(name: str) -> int:
        if name not in depth:
            depth[name] = 1 + max((visit(other) for other in graph[name]), default=0)
        return depth[name]

    return max((visit(name) for name in graph), default=0)


def layer_faults(found: list[Import], layers: tuple[set[str], ...], at: int) -> list[Import]:
    """Return the imports that go up, or across to another part of the same layer."""
    layer_of = {name: k for k, layer in enumerate(layers) for name in layer}

    def part(name: str) -> str:
        parts = name.split(".")
        return parts[at] if len(parts) > at else "__init__"

    wrong = []
    for one in found:
        source, target = part(module_name(one.file)), part(one.target)
        is_known = source in layer_of and target in layer_of and source != target
        if is_known and layer_of[target] <= layer_of[source]:
            wrong.append(one)
    return wrong


def test_no_modules_import_one_another() -> None:
    assert cycles_in(graph_of(all_imports())) == []


def test_every_part_stands_on_one_layer() -> None:
    parts = {room(module_name(file)) for file in source_files()} - {"", *FOLDERS}
    placed = [name for layer in LAYERS for name in layer]
    assert sorted(placed) == sorted(set(placed))
    assert parts <= set(placed), f"say in LAYERS where these stand: {parts - set(placed)}"


def test_no_part_imports_from_its_own_layer_or_one_above() -> None:
    own = [one for one in all_imports() if one.target.startswith("twinset.") and room(one.target)]
    wrong = [
        one for one in layer_faults(own, LAYERS, 1) if module_name(one.file) != "twinset.__main__"
    ]
    assert not wrong, listed(wrong)


def test_core_stands_on_five_layers() -> None:
    own = [
        one
        for one in all_imports()
        if module_name(one.file).startswith("twinset.core.")
        and one.target.startswith("twinset.core.")
    ]
    assert not (wrong := layer_faults(own, CORE_LAYERS, 2)), listed(wrong)
    parts = {module_name(file).split(".")[2] for file in (ROOT / "twinset" / "core").glob("*/*.py")}
    assert parts <= {name for layer in CORE_LAYERS for name in layer}


def test_no_folder_is_deeper_than_six_layers() -> None:
    graph = graph_of(all_imports())
    folders: dict[Path, set[str]] = {}
    for file in source_files():
        folders.setdefault(file.parent, set()).add(module_name(file))
    depths = {
        str(folder.relative_to(ROOT)): depth_of({name: graph[name] & names for name in names})
        for folder, names in folders.items()
    }
    deep = {name: depth for name, depth in depths.items() if depth > MAX_LAYERS_IN_A_FOLDER}
    assert not deep


def test_few_modules_lie_loose() -> None:
    assert len(list((ROOT / "twinset").glob("*.py"))) <= MAX_LOOSE_MODULES


def test_the_checks_of_the_structure_find_planted_faults() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}
    assert cycles_in(graph) == [["a", "b", "c"]]
    assert depth_of({"a": {"b"}, "b": {"c"}, "c": set()}) == 3
    file = ROOT / "twinset" / "io" / "toy.py"
    up = list(imports_of(file, "from twinset.report.report import render_page"))
    across = list(imports_of(file, "def f():\n    from twinset.testing import checks"))
    down = list(imports_of(file, "from twinset.core.errors import DataError"))
    assert [bool(layer_faults(found, LAYERS, 1)) for found in (up, across, down)] == [
        True,
        True,
        False,
    ]


def test_only_these_parts_touch_io() -> None:
    wrong = [
        one
        for one in all_imports()
        if room(one.target) == "io" and room(module_name(one.file)) not in IO_USERS
    ]
    assert not wrong, listed(wrong)


def test_heavy_libraries_are_imported_late() -> None:
    wrong = [
        one
        for one in all_imports()
        if one.at_import
        and one.target.split(".")[0] in HEAVY
        # The classes for scikit-learn extend its own: who imports them wants it.
        and not (room(module_name(one.file)) == one.target.split(".")[0] == "sklearn")
    ]
    assert not wrong, listed(wrong)


def test_the_package_imports_nothing_at_once() -> None:
    mine = [one for one in imports_of(ROOT / "twinset" / "__init__.py") if one.at_import]
    standard = {"__future__", "importlib", "typing"}
    mine = [one for one in mine if not one.target.startswith("twinset.core.version")]
    assert {one.target.split(".")[0] for one in mine} <= standard, listed(mine)


def calls(file: Path) -> Iterator[tuple[str, str]]:
    """Yield (place, name) of every call in a file; of a method the name alone."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            yield f"{file.relative_to(ROOT)}:{node.lineno} calls {name}", name


def test_only_cli_prints() -> None:
    files = [file for file in source_files() if room(module_name(file)) != "cli"]
    wrong = [place for file in files for place, name in calls(file) if name in ("print", "pprint")]
    # In the commands one function prints, and shows what would steer a terminal as escapes.
    cli = (ROOT / "twinset" / "cli").glob("*.py")
    files = [file for file in cli if file.name not in ("terminal.py", "__init__.py", "help.py")]
    wrong += [place for file in files for place, name in calls(file) if name == "print"]
    assert not wrong, "\n".join(wrong)


def test_core_and_components_open_no_file() -> None:
    silent = {"core", *FOLDERS}
    files = [file for file in source_files() if room(module_name(file)) in silent]
    wrong = [place for file in files for place, name in calls(file) if name in OPENERS]
    assert not wrong, "\n".join(wrong)


def test_no_file_is_longer_than_600_lines() -> None:
    counts = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in source_files()}
    assert not {str(file): count for file, count in counts.items() if count > 600}


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
