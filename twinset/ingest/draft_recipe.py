"""Draft a recipe for a file, commented and runnable as it is, with guesses at the roles of its columns."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import RULE_KINDS, rules_to_json
from twinset.core.data.schema import TABULAR_KINDS, TILE_COLUMNS, Field, Schema
from twinset.core.data.where import Where
from twinset.core.rules.discover import ProposedRule, discover_rules
from twinset.io.reading.options import ReadOptions

_TARGET_NAMES = (
    "target", "label", "class", "y", "outcome", "diagnosis", "churn", "fraud", "default",
)  # fmt: skip
_PLAIN_KEYS = ("kind", "columns", "low", "high", "strict", "tolerance", "coefficients", "equals")
_MAX_LABELS = 20  # a category with more levels is rather a name or a code than a class to predict
# Distinct ids as a share of the rows: a column with more identifies rows, not their owners.
_MAX_DISTINCT = 0.9
_TIME_NAME = re.compile(r"(^|_)(time|timestamp|datetime|date|ts|when)$", re.IGNORECASE)
_OTHER_DATE = re.compile(r"birth|dob|born|expir|valid|due|until|end", re.IGNORECASE)


def flow(value: object) -> str:
    """Return plain values as YAML on one line.

    Examples
    --------
    >>> flow({"age": {"ge": 60}, "kind": "sum", "low": 1e-6})
    '{"age": {"ge": 60}, kind: sum, low: 1.0e-06}'
    """
    if isinstance(value, Mapping):
        keys = (key if key in _PLAIN_KEYS else quoted(key) for key in value)
        return "{" + ", ".join(f"{k}: {flow(v)}" for k, v in zip(keys, value.values())) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if isinstance(value, str):
        return value if value in RULE_KINDS else quoted(value)
    text = json.dumps(value)
    # 1e-06 would be read as a text.
    short = isinstance(value, float) and "e" in text and "." not in text
    return text.replace("e", ".0e") if short else text


def quoted(text: str) -> str:
    """Return `text` as a YAML scalar: a JSON string is one, once it holds no control characters.

    Examples
    --------
    >>> quoted('a "b"')
    '"a \\\\"b\\\\""'
    """
    return json.dumps(text, ensure_ascii=not text.isprintable())


def one_line(text: str) -> str:
    """Return `text` with every run of white space as one space, fit for a comment.

    Examples
    --------
    >>> one_line("two\\n  lines")
    'two lines'
    """
    return " ".join(text.split())


def draft_recipe(
    dataset: Dataset,
    *,
    path: str,
    name: str,
    target: Field | None,
    reason: str,
    read: ReadOptions | None = None,
) -> str:
    """Return a recipe as YAML text for a file; the reason for its target is a comment."""
    roles = guess_group_and_time(dataset)
    facts: dict[str, Any] = {"counts": {}, "rarest": ""}
    if target is not None and target.has_levels:
        codes, levels = dataset.codes(target.name)
        counts = {level: int((codes == code).sum()) for code, level in enumerate(levels)}
        rarest = min(counts, key=lambda level: (counts[level], level))
        facts = {"counts": counts, "rarest": rarest}
    return _render(
        "init.yaml",
        **_source(dataset, path, name, target, roles),
        **facts,
        read=_read_section(read),
        n_rows=len(dataset),
        reason=reason,
        rules=discover_rules(dataset),
        by="time" if roles.time else "group",
        on=roles.time or next(iter(roles.groups), ""),
        step=_step(dataset.schema),
        replaced=[field.name for field in dataset.schema.of_kind("id", "text")],
    )


def draft_counts(
    use: str,
    counts: Sequence[tuple[Where, int, str]],
    settings: Mapping[str, object] | None = None,
) -> str:
    """Return a generate section with rows under conditions, each with a comment, as YAML text.

    Examples
    --------
    >>> print(draft_counts("tabular.trees", [(Where({"age": {"ge": 60}}), 40, "too few")]), end="")
    generate:
      - use: tabular.trees
        name: slices
        counts:
          - {where: {"age": {"ge": 60}}, rows: 40}   # too few
    """
    lines = ["generate:", f"  - use: {use}", "    name: slices"]
    if settings:
        pairs = ", ".join(f"{name}: {flow(value)}" for name, value in settings.items())
        lines.append(f"    with: {{{pairs}}}")
    lines.append("    counts:")
    for where, rows, text in counts:
        spelled = f"{{where: {flow(where.to_json())}, rows: {rows}}}"
        lines.append(f"      - {spelled}   # {one_line(text)}")
    return "\n".join(lines) + "\n"


def draft_filling(
    dataset: Dataset,
    *,
    path: str,
    name: str,
    steps: str,
    seed: int,
    holdout_fraction: float,
    target: Field | None,
    read: ReadOptions | None = None,
) -> str:
    """Return a recipe as YAML text for a real table, with the generate section of `draft_counts`."""
    # The other columns of a row with an image are those of a real one, with or without rules.
    has_images = bool(dataset.schema.of_kind("image"))
    return _render(
        "gaps.yaml",
        **_source(dataset, path, name, target, GroupAndTime()),
        read=_read_section(read),
        rules=None if has_images else discover_rules(dataset),
        are_tiles=TILE_COLUMNS[0] in dataset.schema.names,  # those of one image stay together
        steps=steps,
        seed=seed,
        holdout_fraction=holdout_fraction,
    )


def draft_drawing(*, name: str, steps: str, seed: int) -> str:
    """Return a recipe as YAML text with the generate section of `draft_counts`, without a real set.

    Examples
    --------
    >>> steps = draft_counts("image.shapes", [(Where({"light": "night"}), 4, "too few")])
    >>> draft_drawing(name="nights", steps=steps, seed=1).splitlines()[2]
    'name: nights'
    """
    return _render("gaps_without_rows.yaml", name=name, steps=steps, seed=seed)


def seen_from(file: Path, folder: Path) -> str:
    """Return the path of `file` relative to `folder`, or absolute if there is no relative one."""
    try:
        return Path(os.path.relpath(file, folder)).as_posix()
    except ValueError:
        return file.resolve().as_posix()


def recipe_name(stem: str) -> str:
    """Return a name for a recipe: lower-case letters, digits and hyphens.

    Examples
    --------
    >>> recipe_name("Credit Card (2024)"), recipe_name("表")
    ('credit-card-2024', 'data')
    """
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:50] or "data"


def _source(
    dataset: Dataset, path: str, name: str, target: Field | None, roles: GroupAndTime
) -> dict[str, Any]:
    """Return what both recipes with a real set need."""
    return {
        "name": name,
        "path": path,
        "columns": dataset.schema.fields,
        "groups": roles.groups,
        "time": roles.time,
        "target": target,
        "task": "classification" if target is not None and target.has_levels else "regression",
    }


def _read_section(read: ReadOptions | None) -> str:
    """Return how the file is read as YAML on one line; empty where nothing was said on it."""
    usual = asdict(ReadOptions())
    given = {k: v for k, v in asdict(read or ReadOptions()).items() if v != usual[k]}
    pairs = (f"{key}: {flow(list(v) if isinstance(v, tuple) else v)}" for key, v in given.items())
    return "{" + ", ".join(pairs) + "}" if given else ""


def _step(schema: Schema) -> str:
    """Return the generator or augmenter to begin with."""
    kinds, n_texts = schema.kinds, len(schema.of_kind("text"))
    if n_texts == 1 and kinds & {"spans", "category"} and kinds <= {"text", "spans", "category"}:
        return "text.learned"
    if n_texts == 1 and "spans" in kinds:
        return "text.noise"
    return "image.albumentations" if kinds - TABULAR_KINDS - {"id", "text"} else "tabular.trees"


def _render(template: str, **values: object) -> str:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("twinset.ingest"),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  (YAML, not HTML)
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "commas": lambda number: f"{number:,}",
        "one_line": one_line,
        "quoted": quoted,
        "rule": _flow,
    }
    return environment.get_template(template).render(values)


def _flow(one: ProposedRule) -> str:
    (value,) = rules_to_json([one.rule])
    if one.rule.kind == "linear":
        del value["columns"]
    return flow(value)


@dataclass(frozen=True)
class GroupAndTime:
    """Columns with the entity and the time of a row; either may be unknown."""

    groups: tuple[str, ...] = ()  # of repeated ids: cards, customers; the first is to split by
    time: str = ""


def guess_target(dataset: Dataset) -> tuple[Field | None, str]:
    """Return the most likely target, and the reason in words.

    Only columns with 2 to 20 labels are considered: first by their names, then the last column.

    Examples
    --------
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"label": ["a", "b", "a"], "x": [1.5, 2.5, 3.5]}))
    >>> guess_target(d)[0].name
    'label'
    """
    labels = [field for field in dataset.schema.fields if _has_labels(field)]
    for field in labels:
        name = field.name.lower()
        if name in _TARGET_NAMES or name.startswith("is_"):
            return field, "a guess by its name"
    last = dataset.schema.fields[-1]
    if last in labels:
        return last, "a guess: the last column, and it holds labels"
    return None, "no column looks like labels; name one here if models are to predict it"


def guess_group_and_time(dataset: Dataset) -> GroupAndTime:
    """Return the columns of repeated ids, and the time of the rows.

    A column is the time if no value is missing and the rows are in its order, or if it is a date in a table
    with a repeated id; not if its name is that of a birth or an end.

    Examples
    --------
    >>> import pyarrow as pa
    >>> n = np.arange(60)
    >>> table = pa.table({"card": [f"C-{i % 30}" for i in n], "when": n, "amount": n % 7 + 0.5})
    >>> guess_group_and_time(Dataset.from_arrow(table))
    GroupAndTime(groups=('card',), time='when')
    """
    ids = {one.name: dataset.records[one.name].drop_null() for one in dataset.schema.of_kind("id")}
    groups = tuple(
        name
        for name, present in ids.items()
        if pc.count_distinct(present).as_py() <= _MAX_DISTINCT * len(present)
    )
    times = (field for field in dataset.schema.fields if _is_time(dataset, field, bool(groups)))
    return GroupAndTime(groups, next((field.name for field in times), ""))


def _is_time(dataset: Dataset, field: Field, has_groups: bool) -> bool:
    is_date = field.is_time
    named = field.is_numeric and _TIME_NAME.search(field.name)
    if not (is_date or named) or _OTHER_DATE.search(field.name):
        return False
    values = dataset.values(field.name)
    if len(values) < 2 or np.isnan(values).any() or values.min() == values.max():
        return False
    return (is_date and has_groups) or bool((np.diff(values) >= 0).all())


def _has_labels(field: Field) -> bool:
    if field.kind == "boolean":
        return True
    return field.kind == "category" and 2 <= len(field.levels or ()) <= _MAX_LABELS
