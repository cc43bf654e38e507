"""Changes of the candidate: the language of the trial files, and mechanisms that cases share.

A step is a mapping: `where` (a pandas query), `share` of the rows that meet it or `count`, and `set`,
column -> expression; or `frame`, an expression for the whole candidate. Expressions are Python: run
only your own files. They see x (the cells of the column in the chosen rows), d (these rows), c (the
candidate), train, holdout, spare, rng, np, pd, cv2, re and the functions of this module.
"""

from __future__ import annotations

import re  # noqa: F401  # for expressions
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import pandas as pd

from benchmarks.independent.sets import Splits, Table

Step = Mapping[str, Any]


def change(parts: Splits, steps: Sequence[Step], seed: int) -> tuple[Table, list[int]]:
    """Return the candidate after all steps, and the numbers of the rows that were chosen."""
    rng = np.random.default_rng([seed, 18])
    candidate, chosen = parts.candidate.copy(), set()
    for step in steps:
        if "frame" in step:
            candidate = evaluate(step["frame"], parts, candidate, rng).reset_index(drop=True)
            continue
        rows = choose(candidate, step, rng)
        chosen |= set(rows.tolist())
        d = candidate.iloc[rows].copy()
        for name, text in step["set"].items():
            cells = evaluate(text, parts, candidate, rng, d=d, x=d.get(name))
            candidate[name] = _put(candidate[name], rows, cells)
    return candidate, sorted(chosen)


def evaluate(text: str, parts: Splits, candidate: Table, rng: Any, **more: Any) -> Any:
    """Return the value of an expression of a trial file."""
    names = {"train": parts.train, "holdout": parts.holdout, "spare": parts.spare, "c": candidate}
    return eval(text, {**globals(), **names, "rng": rng, **more})


def choose(frame: Table, step: Step, rng: Any) -> Any:
    """Return the numbers of the rows of a step, in random order."""
    rows = np.arange(len(frame))
    if "where" in step:
        rows = rows[frame.eval(step["where"]).fillna(False).to_numpy(bool)]
    return rng.permutation(rows)[: step.get("count", round(step.get("share", 1.0) * len(rows)))]


def _put(column: Any, rows: Any, cells: Any) -> Any:
    """Return a column with new cells; whole numbers stay whole beside others and texts."""
    many = isinstance(cells, list) or np.ndim(cells)
    cells = list(cells) if many else [cells] * len(rows)
    values = column.astype(object).to_numpy(copy=True)
    for row, cell in zip(rows, cells):
        whole = column.dtype.kind == "i" and isinstance(cell, float) and cell.is_integer()
        values[row] = int(cell) if whole else cell
    return pd.Series(values, index=column.index, dtype=object).infer_objects()


def some(frame: Table, n: int, rng: Any) -> Table:
    """Return n random rows."""
    return frame.iloc[rng.permutation(len(frame))[:n]].reset_index(drop=True)


def replace_rows(c: Table, rows: Table, rng: Any) -> Table:
    """Return the candidate with random rows replaced by others."""
    kept = c.iloc[rng.permutation(len(c))[len(rows) :]]
    return pd.concat([kept, rows[c.columns]], ignore_index=True).iloc[rng.permutation(len(c))]


def permute(frame: Table, columns: Sequence[str], rng: Any) -> Table:
    """Return the table with a block of columns moved together to other rows."""
    moved = frame[list(columns)].iloc[rng.permutation(len(frame))].set_index(frame.index)
    return frame.assign(**{name: moved[name] for name in columns})


def numbers(frame: Table) -> list[str]:
    """Return the columns that hold numbers."""
    return [c for c in frame.columns if frame[c].dtype.kind in "if"]


def edit(rows: Table, n: int, rng: Any, columns: Sequence[str] = ()) -> Table:
    """Return rows with n cells changed: numbers by one step or 1 %, levels to those of another row."""
    rows, before = rows.astype(object), rows
    for i in range(len(rows)):
        for name in rng.permutation(list(columns or rows.columns))[:n]:
            cell = rows[name].iloc[i]
            if isinstance(cell, int | float) and not isinstance(cell, bool) and cell == cell:
                digits = 0 if float(cell).is_integer() else len(str(cell).partition(".")[2])
                step = 1 if digits == 0 else max(abs(cell) * 0.01, 10.0**-digits)
                sign = rng.choice([-1, 1]) if abs(cell) >= step else 1  # no amount falls below zero
                cell = round(float(cell + step * sign), digits)
                cell = cell if digits else int(cell)
            else:
                others = before[name][(before[name] != cell) & before[name].notna()]
                cell = others.iloc[rng.integers(len(others))] if len(others) else cell
            rows.iat[i, rows.columns.get_loc(name)] = cell
    return rows.infer_objects()


def places(column: Any) -> int:
    """Return the number of decimals of a column, at most 6."""
    return next((n for n in range(6) if (column.dropna().round(n) == column.dropna()).all()), 6)


def neighbors(rows: Table, frame: Table, k: int) -> Any:
    """Return for each row the k nearest rows of a frame: ranks of numbers, equality of levels."""
    both, blocks = pd.concat([rows, frame], ignore_index=True), []
    for name in both.columns:
        if name in numbers(frame):
            ranks = both[name].astype(float).rank(pct=True)
            blocks.append(ranks.fillna(0.5).to_numpy()[:, None] * 2)
        elif frame[name].nunique() <= 40:
            blocks.append(pd.get_dummies(both[name]).to_numpy(float))
    points = np.hstack(blocks).astype(np.float32)
    a, b = points[: len(rows)], points[len(rows) :]
    distance = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def interpolate(frame: Table, n: int, rng: Any, near: int = 5) -> Table:
    """Return n rows between a row and one of its nearest: numbers in between, levels of one of both."""
    base = some(frame, n, rng)
    if len(base) < n:
        base = pd.concat([base, some(frame, n - len(base), rng)], ignore_index=True)
    mates = neighbors(base, frame, near + 1)[:, 1:]
    other = frame.iloc[mates[np.arange(len(base)), rng.integers(near, size=len(base))]]
    other, weight = other.reset_index(drop=True), rng.random(len(base))
    for name in base.columns:
        if name in numbers(frame):
            moved = base[name] + weight * (other[name] - base[name])
            whole = frame[name].dtype.kind == "i"
            base[name] = moved.round().astype(int) if whole else moved.round(places(frame[name]))
        else:
            base[name] = base[name].where(pd.Series(weight < 0.5), other[name])
    return base


def jpeg(pixels: Any, quality: int) -> Any:
    """Return an image after lossy compression."""
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def shift_spans(spans: Any, by: int, n: int) -> Any:
    """Return spans moved by some characters, inside a text of n characters."""
    ends = ((s, max(s["start"] + by, 0), min(s["end"] + by, n)) for s in spans)
    return [{**s, "start": start, "end": end} for s, start, end in ends if start < end]


def replace_in(text: str, spans: Any, number: int, new: str) -> tuple[str, Any]:
    """Return a text and its spans after one span got another text."""
    start, end = spans[number]["start"], spans[number]["end"]
    by = len(new) - (end - start)
    moved = [{k: v + by if k != "label" and v >= end else v for k, v in s.items()} for s in spans]
    return text[:start] + new + text[end:], moved


def stable(text: object) -> int:
    """Return a number that depends on a text only."""
    return crc32(str(text).encode())
