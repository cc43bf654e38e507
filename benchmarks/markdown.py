"""Markdown of results: tables, common cells, and pages whose marked blocks are replaced.

A page is prose around blocks that a benchmark writes between <!-- begin NAME --> and <!-- end NAME -->.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

NOTHING = "–"
_BLOCK = re.compile(r"<!-- begin ([^\n]+) -->\n(.*?)\n?<!-- end \1 -->", re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table: | a | b |, |---|---|, | 1 | 2 |."""
    lines = [_line(head), "|---" * len(head) + "|", *map(_line, rows)]
    return "\n".join(lines)


def _line(cells: Sequence[object]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def row_table(columns: Sequence[tuple[str, str]], rows: Iterable[Mapping[str, object]]) -> str:
    """Return a table whose columns are given as headings and formats of a row's fields."""
    head, forms = [name for name, _ in columns], [form for _, form in columns]
    return table(head, [[form.format(**row) for form in forms] for row in rows])


def percent(found: Sequence[bool | None]) -> str:
    """Return the share of true values in percent, those that are None left out."""
    known = [value for value in found if value is not None]
    return f"{100 * np.mean(known):.0f} %" if known else NOTHING


def count(found: Sequence[bool | None]) -> str:
    """Return how many of the values that are not None are true, e.g. ``5/6``."""
    known = [value for value in found if value is not None]
    return f"{sum(known)}/{len(known)}" if known else NOTHING


def spread(values: Sequence[float], digits: int = 3, to: str = " to ", separator: str = "") -> str:
    """Return mean, least and greatest value, e.g. ``0.858 (0.840 to 0.870)``."""
    figures = (np.mean(values), min(values), max(values))
    mean, low, high = (f"{x:{separator}.{digits}f}" for x in figures)
    return f"{mean} ({low}{to}{high})"


def signed(mean: float, low: float, high: float, digits: int = 3) -> str:
    """Return a difference and its interval, e.g. ``+0.042 (+0.000 to +0.085)``."""
    shown = [f"{x:+.{digits}f}" for x in (mean, low, high)]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def listed(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items()) + "."


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def blocks_of(text: str) -> dict[str, str]:
    """Return the content of each marked block of a page."""
    return dict(_BLOCK.findall(text))


def write_page(page: Path, blocks: Mapping[str, str], template: Path | None = None) -> None:
    """Replace the marked blocks of a page; the prose around them stays."""
    source = page if page.exists() or template is None else template
    text = source.read_text("utf-8") if source.exists() else ""
    for name, content in blocks.items():
        block = f"<!-- begin {name} -->\n{content}\n<!-- end {name} -->"
        if f"<!-- begin {name} -->" in text:
            text = _BLOCK.sub(lambda m, n=name, b=block: b if m[1] == n else m[0], text)  # type: ignore[misc]
        else:
            text += f"\n{block}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, "utf-8")
