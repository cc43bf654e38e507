"""Draft a recipe for a file: commented, and runnable as it is."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import RULE_KINDS, rules_to_json
from twinset.core.data.schema import TABULAR_KINDS, TILE_COLUMNS, Field
from twinset.core.data.where import Where
from twinset.core.rules.discover import ProposedRule, discover_rules
from twinset.ingest.guess_roles import GroupAndTime, guess_group_and_time


def flow(value: object) -> str:
    """Return plain values as YAML on one line.

    Examples
    --------
    >>> flow({"age": {"ge": 60}, "kind": "sum", "low": 1e-6})
    '{"age": {"ge": 60}, kind: sum, low: 1.0e-06}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)}: {flow(v)}" for k, v in value.items()) + "}"
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


def _key(name: str) -> str:
    plain = ("kind", "columns", "low", "high", "strict", "tolerance", "coefficients", "equals")
    return name if name in plain else quoted(name)


_TILE_OF = TILE_COLUMNS[0]  # tiles of one image stay together in a split


def draft_recipe(
    dataset: Dataset, *, path: str, name: str, target: Field | None, reason: str
) -> str:
    """Return a recipe as YAML text for a file; the reason for its target is a comment."""
    roles = guess_group_and_time(dataset)
    sections = [
        _head(dataset, name),
        _brief(dataset, target, reason),
        _source(dataset, path, name, roles) + _rules(discover_rules(dataset)),
        _split(target, roles),
        _steps(dataset),
        _rest(name),
    ]
    return "\n".join(sections)


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
) -> str:
    """Return a recipe as YAML text for a real table, with the generate section of `draft_counts`."""
    head = f"""\
# Written by `twinset gaps`: the rows that a synthetic set lacks. Run it with `twinset run`, and add
# the rows that it delivers to that set.
name: {name}
seed: {seed}
"""
    brief = "brief: {task: other}\n"
    if target is not None:
        task = "classification" if _is_class(target) else "regression"
        brief = f"brief: {{task: {task}, target: {quoted(target.name)}}}\n"
    by = f"by: group, on: {_TILE_OF}" if _TILE_OF in dataset.schema.names else "by: stratified"
    split = f"split: {{{by}, holdout_fraction: {holdout_fraction}}}\n"
    source = _source(dataset, path, name, GroupAndTime())
    if dataset.schema.of_kind("image"):
        # The other columns of a row are those of a real one, with or without rules.
        rest = _few_slices(name, "[]", "they hold pixels of real images", "[parquet, coco]")
        return "\n".join([head, brief, source, split, steps, rest])
    leaks = "[privacy.exact_copies, privacy.nearest_record]"
    rest = _few_slices(name, leaks, "only copies are searched for", "[csv, parquet]")
    source += _rules(discover_rules(dataset))
    return "\n".join([head, brief, source, split, steps, rest])


def _few_slices(name: str, metrics: str, reason: str, formats: str) -> str:
    return f"""\
evaluate:
  # Rows of a few slices are not meant to resemble the whole table: {reason}.
  metrics: {metrics}
deliver: {{to: {quoted(f"out/{name}")}, formats: {formats}}}
"""


def draft_drawing(*, name: str, steps: str, seed: int) -> str:
    """Return a recipe as YAML text with the generate section of `draft_counts`, without a real set.

    Examples
    --------
    >>> steps = draft_counts("image.shapes", [(Where({"light": "night"}), 4, "too few")])
    >>> draft_drawing(name="nights", steps=steps, seed=1).splitlines()[2]
    'name: nights'
    """
    head = f"""\
# Written by `twinset gaps`: the rows that a set lacks. Add settings of the generator that describe
# your set (`with:`, see `twinset show`), run it with `twinset run`, and add the rows that it delivers.
name: {name}
seed: {seed}
brief: {{task: other}}
"""
    rest = f"""\
evaluate:
  # Rows of a few slices are not meant to resemble the whole set, and no real rows were used.
  metrics: []
deliver: {{to: {quoted(f"out/{name}")}, formats: [parquet]}}
"""
    return "\n".join([head, steps, rest])


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


def _head(dataset: Dataset, name: str) -> str:
    return f"""\
# Written by `twinset init` for {len(dataset):,} rows and {len(dataset.schema.fields)} columns.
# Run it with `twinset run`; `twinset run --dry-run` shows the steps, `twinset schema` every key.
name: {name}
seed: 7                       # the same seed gives the same files
"""


def _brief(dataset: Dataset, target: Field | None, reason: str) -> str:
    if target is None:
        return f"""\
brief:
  task: other
  # target: COLUMN            # {reason}
"""
    lines = ["brief:", "  task: classification" if _is_class(target) else "  task: regression"]
    lines.append(f"  target: {quoted(target.name)}   # {reason}")
    if _is_class(target):
        codes, levels = dataset.codes(target.name)
        counts = {level: int((codes == code).sum()) for code, level in enumerate(levels)}
        rarest = min(counts, key=lambda level: (counts[level], level))
        if len(levels) == 2:
            comment = f"the rarer label: {counts[rarest]:,} rows"
            lines.append(f"  positive: {quoted(rarest)}   # {comment}")
        lines.append(f"  # want: {{{quoted(rarest)}: {10 * counts[rarest]}}}   # rows per label")
    return "\n".join(lines) + "\n"


def _source(dataset: Dataset, path: str, name: str, roles: GroupAndTime) -> str:
    lines = [
        "source:",
        f"  name: {name}-real",
        f"  path: {quoted(path)}",
        "  licence: NOASSERTION          # an SPDX id, e.g. CC-BY-4.0; the twin inherits it",
        "  provenance: {}                # where the data come from",
        "  # The inferred kinds and roles of the columns; correct what is wrong. Roles: feature, target,",
        "  # identifier, sensitive, group, time, split.",
        "  schema:",
    ]
    for field in dataset.schema.fields:
        role, comment = "", ""
        if field.name in roles.groups:
            role, comment = ", role: group", "   # its values repeat: the entity of a row"
        elif field.name == roles.time:
            role = ", role: time"
        elif field.role == "identifier":
            role = ", role: identifier"
        lines.append(f"    {quoted(field.name)}: {{kind: {field.kind}{role}}}{comment}")
    return "\n".join(lines) + "\n"


def _rules(found: Sequence[ProposedRule]) -> str:
    """Return the rules without violations as lines of the recipe, those with few as comments."""
    kept = [one for one in found if one.holds]
    lines = [
        "  # Rules that all real rows satisfy; synthetic rows will satisfy them. Remove accidental ones."
    ]
    lines.append("  rules:" if kept else "  rules: []")
    for one in kept:
        lines.append(f"    - {_flow(one)}   # {one_line(one.text)}; {one.support_rows:,} rows")
    nearly = [one for one in found if not one.holds]
    if nearly:
        lines.append("    # Broken by a few rows: errors in the data, or no rules at all.")
    for one in nearly:
        share = f"broken by {one.broken_rows:,} of {one.support_rows:,} rows"
        lines.append(f"    # - {_flow(one)}   # {one_line(one.text)}; {share}")
    return "\n".join(lines) + "\n"


def _flow(one: ProposedRule) -> str:
    (value,) = rules_to_json([one.rule])
    if one.rule.kind == "linear":
        del value["columns"]
    return flow(value)


def _split(target: Field | None, roles: GroupAndTime) -> str:
    if roles.time or roles.groups:
        by, on = ("time", roles.time) if roles.time else ("group", roles.groups[0])
        reason = {
            "time": "the holdout has the latest rows, as a model in use is applied to later ones",
            "group": "an entity has all its rows in the holdout, or all in the train set",
        }
        return f"""\
split:
  by: {by}
  on: {quoted(on)}   # a guess: {reason[by]}
  holdout_fraction: 0.2       # no generator is fitted on these rows
"""
    how = "every label keeps its share" if target is not None and _is_class(target) else "at random"
    return f"""\
split:
  by: stratified              # {how}; or time, group, given (with `on: COLUMN`)
  holdout_fraction: 0.2       # no generator is fitted on these rows
"""


def _steps(dataset: Dataset) -> str:
    kinds, n_texts = dataset.schema.kinds, len(dataset.schema.of_kind("text"))
    if n_texts == 1 and kinds & {"spans", "category"} and kinds <= {"text", "spans", "category"}:
        return f"""\
generate:                     # real texts recombined; `twinset list` shows other generators
  - use: text.learned
    rows: {len(dataset)}
"""
    if n_texts == 1 and "spans" in kinds:
        return """\
augment:                      # real texts, with the typing errors of hurried writers; spans move too
  - use: text.noise
    copies: 1
"""
    replaced = [field.name for field in dataset.schema.of_kind("id", "text")]
    if dataset.schema.kinds - TABULAR_KINDS - {"id", "text"}:
        return """\
augment:                      # real rows, varied; `twinset list augmenter` shows other augmenters
  - use: image.albumentations
    copies: 1
"""
    names = ", ".join(" ".join(name.split()) for name in replaced)
    note = f"  # Generated again, never copied: {names}.\n" if replaced else ""
    return f"""\
generate:                     # `twinset list generator` shows other generators
{note}  - use: tabular.trees
    rows: {len(dataset)}
"""


def _rest(name: str) -> str:
    return f"""\
evaluate:
  metrics: default
  # A gate that is missed ends the run with exit code 3, e.g. {{privacy.exact_copies: {{max: 0}}}}.
  gates: {{}}
report:
  show_real_rows: false
deliver:
  to: out/{name}
  formats: [csv, parquet]
"""


def _is_class(field: Field) -> bool:
    return field.has_levels
