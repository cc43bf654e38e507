"""The small language of predicates: columns, numbers, texts, + - * /, comparisons, and / or / not."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from twinset.core.errors import RecipeError

if TYPE_CHECKING:
    pass

_LONGEST, _DEEPEST = 2_000, 60
_PIECE = re.compile(r"'[^']*'|\"[^\"]*\"|`([^`]+)`")
_SINGLE_EQUALS = re.compile(r"(?<![<>=!])=(?!=)")
_WORDS = ("true", "false", "null")


@dataclass(frozen=True)
class Predicate:
    """An expression over columns that a row meets, does not meet, or leaves open (missing values).

    ``=`` and ``==`` are one; a column whose name is no plain word goes in backticks. Arithmetic on
    datetimes counts in days: ``end - start <= 30``. Nothing is ever evaluated as Python.

    Examples
    --------
    >>> Predicate.parse("age >= 18 or job != 'cook'").columns
    ('age', 'job')
    """

    text: str
    tree: ast.expr
    columns: tuple[str, ...]

    @classmethod
    def parse(cls, text: object) -> Predicate:
        """Return the predicate that `text` spells.

        Raises
        ------
        RecipeError
            It is not of the language.
        """
        if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
            raise RecipeError(
                "a rule 'predicate' needs an expression",
                got="none, or a longer one" if isinstance(text, str) else type(text).__name__,
                allowed=f"up to {_LONGEST:,} characters, {EXAMPLE}",
            )
        plain, names = _without_backticks(text.strip())
        try:
            tree = ast.parse(plain, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise fault(text, "it is no expression") from error
        found: list[str] = []
        _check(tree, text, names, found, 0)
        if not found:
            raise fault(text, "it names no column")
        return cls(text, tree, tuple(dict.fromkeys(found)))


def _without_backticks(text: str) -> tuple[str, list[str]]:
    """Return the text as Python's grammar reads it; quoted names become _0_, _1_, ..."""
    names: list[str] = []
    parts, at = [], 0
    for piece in _PIECE.finditer(text):
        parts.append(_SINGLE_EQUALS.sub("==", text[at : piece.start()]))
        if piece[1] is None:
            parts.append(piece[0].replace("\\", "\\\\"))
        else:
            parts.append(f"_{len(names)}_")
            names.append(piece[1])
        at = piece.end()
    parts.append(_SINGLE_EQUALS.sub("==", text[at:]))
    return "".join(parts), names


def _check(node: ast.expr, text: str, quoted: list[str], found: list[str], depth: int) -> None:
    """Refuse what is not of the language; put the real names of columns into the tree."""
    if depth > _DEEPEST:
        raise fault(text, "it is nested too deeply")
    if isinstance(node, ast.Name):
        if node.id in _WORDS:
            return
        if match := re.fullmatch(r"_(\d+)_", node.id):
            if int(match[1]) >= len(quoted):
                raise fault(text, f"'{node.id}' is no column name; put it in backticks")
            node.id = quoted[int(match[1])]
        found.append(node.id)
        return
    if isinstance(node, ast.Constant):
        if node.value is not None and not isinstance(node.value, bool | int | float | str):
            raise fault(text, "a constant is neither a number nor a text")
        return
    inner: list[ast.expr]
    if isinstance(node, ast.BoolOp):
        inner = node.values
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.UAdd):
        inner = [node.operand]
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        inner = [node.left, node.right]
    elif isinstance(node, ast.Compare):
        inner = [node.left, *node.comparators]
    elif isinstance(node, ast.Tuple | ast.List):
        inner = node.elts
    else:
        raise fault(text, f"'{_name_of(node)}' is not part of the language")
    for child in inner:
        _check(child, text, quoted, found, depth + 1)


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return type(node.op).__name__.lower()
    return type(node).__name__.lower()


EXAMPLE = "e.g. age >= 18 or job is null, `net price` * 1.2 <= price, state in ('new', 'paid')"


def fault(text: str, what: str) -> RecipeError:
    """Return the error that says why a predicate cannot be read."""
    return RecipeError(f"cannot read the predicate '{text}': {what}", allowed=EXAMPLE)


ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}
