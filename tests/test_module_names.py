"""No module binds a top-level name twice: the second binding would silently replace the first."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOPS = ("twinset", "generators", "augment", "evaluation")


def bound_twice(text: str) -> list[str]:
    """Return the top-level names that a module assigns or defines more than once."""
    counts: Counter[str] = Counter()
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                counts.update(x.id for x in ast.walk(target) if isinstance(x, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            counts[node.target.id] += 1
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            is_overload = any("overload" in ast.dump(one) for one in node.decorator_list)
            counts[node.name] += not is_overload
    return sorted(name for name, n in counts.items() if n > 1 and name != "_")


@pytest.mark.parametrize("top", TOPS)
def test_no_name_is_bound_twice(top: str) -> None:
    found = {
        str(file.relative_to(ROOT)): names
        for file in sorted((ROOT / top).rglob("*.py"))
        if (names := bound_twice(file.read_text(encoding="utf-8")))
    }
    assert not found


def test_the_check_sees_tuples_and_functions() -> None:
    assert bound_twice("A, B = 1, 2\nA = 3\ndef f(): ...\ndef f(): ...\n_ = 1\n_ = 2\n") == [
        "A",
        "f",
    ]
