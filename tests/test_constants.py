"""Check that each numeric constant of the product has a comment with its reason.

`python tests/test_constants.py [FOLDER ...]` lists those without one.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
CODE = ("twinset", "generators", "augment", "evaluation")


def is_numeric(node: ast.expr) -> bool:
    """Return whether an expression consists of numbers only."""
    match node:
        case ast.Constant(value=value):
            return type(value) in (int, float)
        case ast.UnaryOp(operand=operand):
            return is_numeric(operand)
        case ast.BinOp(left=left, right=right):
            return is_numeric(left) and is_numeric(right)
        case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Dict(values=items):
            return bool(items) and all(map(is_numeric, items))
    return False


def without_reason(source: str) -> list[tuple[int, str]]:
    """Return line and name of the numeric module constants that no comment explains.

    A comment stands on a line of the statement, or directly above it.
    """
    lines = source.splitlines()
    found = []
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        own = any("#" in line for line in lines[node.lineno - 1 : node.end_lineno])
        above = node.lineno > 1 and lines[node.lineno - 2].startswith("#")
        if is_numeric(value) and not (own or above):
            found.append((node.lineno, name))
    return found


def all_missing() -> list[tuple[str, int, str]]:
    """Return file, line and name of every constant of the product without a reason."""
    files = [f for folder in CODE for f in sorted((ROOT / folder).rglob("*.py"))]
    return [
        (f.relative_to(ROOT).as_posix(), *hit)
        for f in files
        for hit in without_reason(f.read_text(encoding="utf-8"))
    ]


def test_numeric_constants_have_a_reason() -> None:
    assert all_missing() == []


def test_planted_constants_are_found() -> None:
    for source, names in [
        ("A = 1", ["A"]),
        ("A: int = -1", ["A"]),
        ("A = {'x': (1, 2.5)}", ["A"]),
        ("A = 3 * 1024", ["A"]),
        ("A = 1  # 1: no repeats", []),
        ("# No repeats.\nA = 1", []),
        ("A = (  # Red and green.\n    1,\n    2,\n)", []),
        ("# No repeats.\nA = 1\nB = 2", ["B"]),
        ("A = True\nB = 'x'\nC = ()\nD = {'x': 'y'}", []),
    ]:
        assert [name for _, name in without_reason(source)] == names


if __name__ == "__main__":
    for place, line, constant in all_missing():
        if not sys.argv[1:] or place.startswith(tuple(sys.argv[1:])):
            print(f"{place}:{line}: {constant}")
