"""Changes of the candidate: the language of the case files, and mechanisms that cases share.

A step is a mapping: `where` (a pandas query), `share` of the rows that meet it or `count`, and `set`,
column -> expression; or `frame`, an expression for the whole candidate. Expressions are Python: run
only your own files. They see x (the cells of the column in the chosen rows), d (these rows), c (the
candidate), train, holdout, spare, rng, np, pd, cv2 and the functions of this module.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import pandas as pd

from benchmarks.independent.sets import Frame, Parts

Step = Mapping[str, Any]


def change(parts: Parts, steps: Sequence[Step], seed: int) -> tuple[Frame, list[int]]:
    """Return the candidate after all steps, and the numbers of the rows that were chosen."""
    rng = np.random.default_rng([seed, 18])
    candidate, chosen = parts.candidate.copy(), set()
    for step in steps:
        if "frame" in step:
            candidate = evaluate(step["frame"], parts, candidate, rng).reset_index(drop=True)
            continue
        rows = choose(candidate, step, rng)
        chosen |= set(rows.tolist())
        chosen_rows = candidate.iloc[rows].copy()
        for name, text in step["set"].items():
            x = chosen_rows.get(name)
            cells = evaluate(text, parts, candidate, rng, d=chosen_rows, x=x)
            candidate[name] = _put(candidate[name], rows, cells)
    return candidate, sorted(chosen)


def evaluate(text: str, parts: Parts, candidate: Frame, rng: Any, **more: Any) -> Any:
    """Return the value of an expression of a case file."""
    names = {"train": parts.train, "holdout": parts.holdout, "spare": parts.spare, "c": candidate}
    shared = {k: v for k, v in globals().items() if not k.startswith("_")}
    return eval(text, {**shared, **names, "rng": rng, **more})


def choose(frame: Frame, step: Step, rng: Any) -> Any:
    """Return the numbers of the rows of a step, in random order."""
    rows = np.arange(len(frame))
    if "where" in step:
        rows = rows[frame.eval(step["where"]).fillna(False).to_numpy(bool)]
    n = min(step.get("count", round(step.get("share", 1.0) * len(rows))), len(rows))
    if n == 0:
        raise ValueError(f"no row meets {step.get('where')}")
    return rng.permutation(rows)[:n]


def _put(column: Any, rows: Any, cells: Any) -> Any:
    """Return a column with new cells; whole numbers stay whole beside others and texts."""
    cells = list(cells) if isinstance(cells, list) or np.ndim(cells) else [cells] * len(rows)
    values = column.astype(object).to_numpy(copy=True)
    if column.dtype.kind == "i":
        cells = [int(v) if isinstance(v, float) and v.is_integer() else v for v in cells]
    for row, cell in zip(rows, cells):
        values[row] = cell
    return pd.Series(values, index=column.index, dtype=object).infer_objects()


def some(frame: Frame, n: int, rng: Any) -> Frame:
    """Return n random rows."""
    return frame.iloc[rng.permutation(len(frame))[:n]].reset_index(drop=True)


def replace_rows(c: Frame, rows: Frame, rng: Any) -> Frame:
    """Return the candidate with random rows replaced by others."""
    kept = c.iloc[rng.permutation(len(c))[len(rows) :]]
    return pd.concat([kept, rows[c.columns]], ignore_index=True).iloc[rng.permutation(len(c))]


def permute(frame: Frame, columns: Sequence[str], rng: Any, within: str | None = None) -> Frame:
    """Return the frame with a block of columns moved together to other rows."""
    frame, columns = frame.copy(), list(columns)
    order = np.arange(len(frame))
    keys = frame[within] if within else pd.Series(0, index=frame.index)
    for level in keys.unique():
        rows = np.flatnonzero((keys == level).to_numpy())
        order[rows] = rng.permutation(rows)
    frame[columns] = frame[columns].to_numpy()[order]
    return frame.infer_objects()


def numbers(frame: Frame) -> list[str]:
    """Return the columns that hold numbers."""
    return [c for c in frame.columns if frame[c].dtype.kind in "if"]


def edit(rows: Frame, n: int, rng: Any, by: float = 1.0, columns: Sequence[str] = ()) -> Frame:
    """Return rows with n of their columns changed: numbers by about `by` steps, levels to another row's."""
    rows = rows.copy().astype(object)
    names, levels = list(columns or rows.columns), rows.copy()
    for i in range(len(rows)):
        for name in rng.permutation(names)[:n]:
            cell = rows[name].iloc[i]
            if isinstance(cell, int | float) and not isinstance(cell, bool) and cell == cell:
                step = by if float(cell).is_integer() else by * max(abs(cell) * 0.01, 1e-4)
                digits = 0 if float(cell).is_integer() else len(str(cell).partition(".")[2])
                moved = round(float(cell + step * rng.choice([-1, 1])), digits)
                rows.iat[i, rows.columns.get_loc(name)] = int(moved) if digits == 0 else moved
            else:
                others = levels[name][(levels[name] != cell) & levels[name].notna()]
                other = others.iloc[rng.integers(len(others))] if len(others) else cell
                rows.iat[i, rows.columns.get_loc(name)] = other
    return rows.infer_objects()


def neighbours(rows: Frame, frame: Frame, k: int) -> Any:
    """Return for each row the k nearest rows of a frame: ranks of numbers, equality of levels."""
    both = pd.concat([rows, frame], ignore_index=True)
    blocks = []
    for name in both.columns:
        if name in numbers(frame):
            blocks.append(
                both[name].astype(float).rank(pct=True).fillna(0.5).to_numpy()[:, None] * 2
            )
        elif frame[name].nunique() <= 40:
            blocks.append(pd.get_dummies(both[name]).to_numpy(float))
    points = np.hstack(blocks).astype(np.float32)
    a, b = points[: len(rows)], points[len(rows) :]
    distance = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def interpolate(frame: Frame, n: int, rng: Any, near: int = 5, whole: bool = True) -> Frame:
    """Return n rows between a row and one of its nearest: numbers in between, levels of one of both."""
    base = some(frame, n, rng)
    mates = neighbours(base, frame, near + 1)[:, 1:]
    other = frame.iloc[mates[np.arange(len(base)), rng.integers(near, size=len(base))]].reset_index(
        drop=True
    )
    weight = rng.random(len(base))
    for name in base.columns:
        if name in numbers(frame) and name in numbers(base):
            moved = base[name] + weight * (other[name] - base[name])
            base[name] = moved.round() if whole and frame[name].dtype.kind == "i" else moved
            if whole and frame[name].dtype.kind == "i":
                base[name] = base[name].astype(int)
        else:
            base[name] = base[name].where(pd.Series(weight < 0.5), other[name])
    return base


def jpeg(pixels: Any, quality: int) -> Any:
    """Return an image after lossy compression."""
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)


def shift_spans(spans: Any, by: int, length: int) -> Any:
    """Return spans moved by some characters, inside the text."""
    moved = [
        {**s, "start": max(s["start"] + by, 0), "end": min(s["end"] + by, length)} for s in spans
    ]
    return [s for s in moved if s["start"] < s["end"]]


def replace_in(text: str, spans: Any, number: int, new: str) -> tuple[str, Any]:
    """Return a text and its spans after one span got another text."""
    old = spans[number]
    by = len(new) - (old["end"] - old["start"])
    moved = [
        {**s, "start": s["start"] + by, "end": s["end"] + by}
        if s["start"] >= old["end"]
        else dict(s)
        for s in spans
    ]
    moved[number] = {**old, "end": old["end"] + by}
    return text[: old["start"]] + new + text[old["end"] :], moved


def stable(text: object) -> int:
    """Return a number that depends on a text only."""
    return crc32(str(text).encode())


def substitute(pattern: str, new: str, texts: Any, count: int = 0) -> list[str]:
    """Return texts after a regular expression was replaced."""
    return [re.sub(pattern, new, text, count=count) for text in texts]
