"""Examples in docstrings run, public things are documented, and components document every setting."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import io
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

from twinset.registry import (
    KINDS,
    ComponentKind,
    component_class,
    component_names,
    documented_settings,
    list_components,
    parameters,
)

ROOT = Path(__file__).parents[1]
FOLDERS = ("twinset", "generators", "augment", "evaluation")
FILES = sorted(path for top in FOLDERS for path in (ROOT / top).rglob("*.py"))


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "twinset" else ("twinset", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def has_example(file: Path) -> bool:
    return ">>> " in file.read_text(encoding="utf-8")


def package(file: Path) -> str:
    return "/".join(file.relative_to(ROOT).parts[:2])


EXAMPLES = {place: list(files) for place, files in groupby(filter(has_example, FILES), key=package)}


def run_examples(file: Path) -> str:
    """Return the report of the failed examples of a module, empty if none failed."""
    module = importlib.import_module(module_name(file))
    report = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    examples = [found for found in doctest.DocTestFinder().find(module) if found.examples]
    assert examples, f"{file}: the examples are where doctest does not see them"
    failed = sum(runner.run(example, out=report.write).failed for example in examples)
    return report.getvalue() if failed else ""


@pytest.mark.parametrize("place", EXAMPLES)
def test_examples_run(place: str) -> None:
    reports = [report for file in EXAMPLES[place] if (report := run_examples(file))]
    missing = [report for report in reports if "MissingExtraError" in report]
    assert [report for report in reports if report not in missing] == []
    if missing:
        pytest.skip("; ".join(report.strip().splitlines()[-1] for report in missing))


def public_things(file: Path) -> Iterator[tuple[str, str | None]]:
    """Yield name and docstring of the module, its public classes and functions, and their methods."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    yield "the module", ast.get_docstring(tree)
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            if not _is_overload(node):
                yield node.name, ast.get_docstring(node)
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                        yield f"{node.name}.{inner.name}", ast.get_docstring(inner)


def _is_overload(node: ast.AST) -> bool:
    return any(getattr(d, "id", "") == "overload" for d in getattr(node, "decorator_list", ()))


@pytest.mark.parametrize("top", FOLDERS)
def test_public_things_say_what_they_are(top: str) -> None:
    lacking = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in FILES
        if file.relative_to(ROOT).parts[0] == top
        for name, text in public_things(file)
        if not text
    ]
    assert not lacking, "\n".join(lacking)


@pytest.mark.parametrize("kind", KINDS)
def test_components_document_their_settings_and_no_others(kind: ComponentKind) -> None:
    for name in component_names(kind):
        settings = parameters(kind, name)
        assert [f"{name}: {s.name}" for s in settings if not s.help] == []
        documented = documented_settings(component_class(kind, name))
        assert set(documented) <= {setting.name for setting in settings}, name


@pytest.mark.parametrize("kind", KINDS)
def test_components_have_an_example_and_a_text(kind: ComponentKind) -> None:
    for info in list_components(kind):
        file = inspect.getsourcefile(component_class(kind, info.name))
        assert file is not None
        assert has_example(Path(file)), f"{info.name}: one runnable example is required"
        assert info.text.endswith((".", ":")), info.name
        assert len(info.text) <= 100, info.name
