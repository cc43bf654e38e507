"""Examples in docstrings run, public things are documented, and components document every setting."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from twinset.registry import (
    KINDS,
    component_class,
    component_names,
    documented_settings,
    list_components,
    parameters,
)

ROOT = Path(__file__).parents[1]
FOLDERS = ("twinset", "generators", "augment", "evaluation")
FILES = sorted(path for top in FOLDERS for path in (ROOT / top).rglob("*.py"))
COMPONENTS = [(kind, name) for kind in KINDS for name in component_names(kind)]


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "twinset" else ("twinset", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def has_example(file: Path) -> bool:
    return ">>> " in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", [f for f in FILES if has_example(f)], ids=module_name)
def test_examples_run(file: Path) -> None:
    module = importlib.import_module(module_name(file))
    said = io.StringIO()
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    examples = [found for found in doctest.DocTestFinder().find(module) if found.examples]
    assert examples, "the examples are where doctest does not see them"
    failed = sum(runner.run(example, out=said.write).failed for example in examples)
    if "MissingExtraError" in said.getvalue():
        pytest.skip(said.getvalue().strip().splitlines()[-1])
    assert failed == 0, said.getvalue()


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


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=lambda value: str(value))
def test_a_component_documents_its_settings_and_no_others(kind: str, name: str) -> None:
    settings = parameters(kind, name)
    silent = [setting.name for setting in settings if not setting.help]
    assert not silent
    documented = documented_settings(component_class(kind, name))
    assert set(documented) <= {setting.name for setting in settings}


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=lambda value: str(value))
def test_a_component_has_an_example_and_a_text(kind: str, name: str) -> None:
    file = inspect.getsourcefile(component_class(kind, name))
    assert file is not None
    assert has_example(Path(file)), "one runnable example is asked for"
    texts = {info.name: info.text for info in list_components(kind)}
    assert texts[name].endswith((".", ":"))
    assert len(texts[name]) <= 100
