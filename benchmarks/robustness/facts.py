"""Compare what a command registered or wrote with the declared facts."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile
import yaml

from benchmarks.robustness.sandbox import Outcome, Sandbox

REFERENCE = re.compile(r"^([\w.-]+@\d+)\b", re.MULTILINE)
SET_FACTS = {
    "rows",
    "columns",
    "kinds",
    "values",
    "total",
    "missing",
    "shapes",
    "peak",
    "objects",
    "spans",
}


PLAIN = {
    "rows": 40,
    "columns": ["account", "height", "town", "price"],
    "kinds": {"town": "category", "price": ["number", "integer"]},
    "values": {"town": ["Bern", "Oslo", "Rome"], "price": [0.0, 7.1, 14.2]},
}


def different_facts(facts: Mapping[str, Any], sandbox: Sandbox, outcome: Outcome) -> list[str]:
    """Return a sentence for each declared fact that does not hold."""
    wrong: list[str] = []
    if facts.get("plain"):  # the table that `rows` builds when nothing else is declared
        facts = {**PLAIN, **facts}
    if facts.keys() & SET_FACTS:
        wrong += set_facts(facts, sandbox, outcome)
    work, said = sandbox.work, (outcome.out + outcome.err).lower()
    wrong += [
        f"{name} was not written" for name in facts.get("exists", []) if not (work / name).exists()
    ]
    wrong += [f"{name} was written" for name in facts.get("absent", []) if list(work.glob(name))]
    wrong += [
        f"it does not mention {word!r}"
        for word in facts.get("says", [])
        if word.lower() not in said
    ]
    for name, n_rows in facts.get("csv_rows", {}).items():
        found = len(list(csv.reader((work / name).read_text("utf-8").splitlines()))) - 1
        if found != n_rows:
            wrong.append(f"{name} has {found} rows, not {n_rows}")
    if "recipe_kinds" in facts:
        drafted = yaml.safe_load((work / "recipe.yaml").read_text("utf-8"))["source"]["schema"]
        wrong += kinds_differ(facts["recipe_kinds"], {k: v["kind"] for k, v in drafted.items()})
    return wrong


def kinds_differ(expected: Mapping[str, Any], found: Mapping[str, str]) -> list[str]:
    """Return a sentence for each column of another kind."""
    return [
        f"{name} is {found.get(name)}, not {kind}"
        for name, kind in expected.items()
        if found.get(name) not in (kind if isinstance(kind, list) else [kind])
    ]


def set_facts(facts: Mapping[str, Any], sandbox: Sandbox, outcome: Outcome) -> list[str]:
    """Deliver the set that a command registered, and compare it with its facts."""
    references = REFERENCE.findall(outcome.out)
    if not references:
        return ["no reference was printed"]
    target = sandbox.root / "delivered"
    delivery = sandbox.run(["deliver", references[-1], str(target), "--real"])
    files = sorted(target.glob("*.parquet"))
    if delivery.exit_code or not files:
        return [f"the set cannot be delivered: {delivery.err.strip()[-200:]}"]
    records = pq.read_table(files[0])
    schema = next(iter(json.loads((target / "schema.json").read_text("utf-8")).values()))
    kinds = {field["name"]: field["kind"] for field in schema["fields"]}
    return [
        sentence
        for key, check in CHECKS.items()
        if key in facts
        for sentence in check(facts[key], records, kinds)
    ]


def is_equal(expected: Any, found: Any) -> bool:
    """Return whether a cell has the expected value: numbers as numbers, anything else as its text."""
    if expected is None or found is None:
        return expected is found
    if isinstance(expected, float) and isinstance(found, int | float):
        return math.isclose(expected, found, rel_tol=1e-15)
    found = int(found) if isinstance(found, float) and found.is_integer() else found
    return str(expected) in (
        str(found),
        str(found)[: len(str(expected))] if "00:00" in str(found) else None,
    )


def check_rows(expected: int, records: pa.Table, _: Mapping[str, str]) -> list[str]:
    """Compare the number of rows."""
    return [] if len(records) == expected else [f"{len(records)} rows, not {expected}"]


def check_columns(expected: Any, records: pa.Table, _: Mapping[str, str]) -> list[str]:
    """Compare the names of columns, or their number."""
    found = [name for name in records.column_names if name not in ("_id", "_origin", "_parents")]
    same = len(found) == expected if isinstance(expected, int) else found == expected
    return [] if same else [f"columns {str(found)[:120]}, not {expected}"]


def check_values(
    expected: Mapping[str, list[Any]], records: pa.Table, _: Mapping[str, str]
) -> list[str]:
    """Compare the first values of columns."""
    wrong = []
    for name, values in expected.items():
        if name not in records.column_names:
            return [f"no column {name!r}"]
        found = records[name].slice(0, len(values)).to_pylist()
        if len(found) != len(values) or not all(map(is_equal, values, found)):
            wrong.append(f"{name} begins {str(found)[:120]}, not {values}")
    return wrong


def check_total(
    expected: Mapping[str, float], records: pa.Table, _: Mapping[str, str]
) -> list[str]:
    """Compare the sums of columns."""
    wrong = []
    for name, total in expected.items():
        found = [v for v in records[name].to_pylist() if isinstance(v, int | float)]
        if not math.isclose(math.fsum(found), total, rel_tol=1e-9):
            wrong.append(f"the sum of {name} is {math.fsum(found)}, not {total}")
    return wrong


def check_missing(
    expected: Mapping[str, int], records: pa.Table, _: Mapping[str, str]
) -> list[str]:
    """Compare the number of missing cells of columns."""
    found = {name: records[name].null_count for name in expected}
    return [
        f"{name}: {found[name]} missing, not {n}"
        for name, n in expected.items()
        if found[name] != n
    ]


def decode(data: bytes) -> np.ndarray[Any, Any] | None:
    """Return the pixels of an image; those of TIFF files by another reader than OpenCV's."""
    if data[:2] in (b"II", b"MM"):
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            pixels: np.ndarray[Any, Any] = tiff.asarray()
            return np.moveaxis(pixels, 0, -1) if tiff.series[0].axes == "SYX" else pixels
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def decoded(records: pa.Table) -> list[np.ndarray[Any, Any] | None]:
    """Return the pixels of the images of a set."""
    return [decode(cell["bytes"]) for cell in records["image"].to_pylist()]


def check_shapes(expected: list[Any], records: pa.Table, _: Mapping[str, str]) -> list[str]:
    """Compare height, width and channels of each image."""
    found = [None if image is None else list(image.shape) for image in decoded(records)]
    return [] if found == expected else [f"images of {str(found)[:120]}, not {expected}"]


def check_peak(expected: float, records: pa.Table, _: Mapping[str, str]) -> list[str]:
    """Compare the largest pixel value with its least allowed one."""
    found = max(float(image.max()) for image in decoded(records) if image is not None)
    return [] if found >= expected else [f"the largest pixel is {found}, below {expected}"]


def counted(column: str) -> Callable[[int, pa.Table, Mapping[str, str]], list[str]]:
    """Return a check of the number of items in a column of lists."""

    def check(expected: int, records: pa.Table, _: Mapping[str, str]) -> list[str]:
        if column not in records.column_names:
            return [f"no column {column!r}"]
        found = sum(len(cell or []) for cell in records[column].to_pylist())
        return [] if found == expected else [f"{found} {column}, not {expected}"]

    return check


CHECKS: dict[str, Callable[[Any, pa.Table, Mapping[str, str]], list[str]]] = {
    "rows": check_rows,
    "columns": check_columns,
    "kinds": lambda expected, _, kinds: kinds_differ(expected, kinds),
    "values": check_values,
    "total": check_total,
    "missing": check_missing,
    "shapes": check_shapes,
    "peak": check_peak,
    "objects": counted("objects"),
    "spans": counted("spans"),
}
