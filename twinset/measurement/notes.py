"""Notes of reports and cards: rules, disclosed real values, a single label, embedders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from twinset.core.contracts import Score
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.findings import ComparisonBasis
from twinset.core.rules.enforce import REPAIRED, RuleEnforcer
from twinset.core.rules.violations import violations

_MAX_REPAIR_NOTES = 3  # more rules than that are summed up in one note
_SMALL_CELL = 11  # a value in fewer rows may point at persons (the rule of CMS on small cells)


def note_kept_values(train: Dataset | None, synthetic: Dataset) -> list[str]:
    """Return one sentence on columns whose rare real values occur in the synthetic rows, if any.

    Column names and counts, never a value.

    >>> towns = ["Oslo"] * 30 + ["Bergen"] * 2
    >>> real, both = (Dataset.from_arrow(pa.table({"town": t})) for t in (towns, ["Oslo", "Bergen"]))
    >>> note_kept_values(real, both)[0][:80]
    "Real values are kept as they are in 'town' (1 of 2 values in fewer than 11 rows)"
    >>> note_kept_values(real, both.slice(0, 1))
    []
    """
    found: list[str] = []
    for field in () if train is None else train.schema.of_kind("category"):
        assert train is not None
        if field.role == "target" or not pa.types.is_string(field.stored_type):
            continue
        if field.name not in synthetic.schema.names:
            continue
        codes, levels = train.codes(field.name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        used = set(synthetic.codes(field.name)[1])
        rare = sum(0 < n < _SMALL_CELL and level in used for n, level in zip(counts, levels))
        if rare:
            found.append(
                f"'{field.name}' ({rare:,} of {len(levels):,} values in fewer than {_SMALL_CELL} rows)"
            )
    if not found:
        return []
    return [
        f"Real values are kept as they are in {', '.join(found)}. Where such values name persons, "
        "declare the column as an identifier or exclude it."
    ]


def note_rules(train: Dataset | None, synthetic: Dataset, cards: Sequence[Card]) -> list[str]:
    """Return how many synthetic rows break rules, and how many real rows do or were repaired.

    `train`: real rows, for rules that depend on the combinations that occur. `cards`: cards of the
    real set and of the steps, with their notes on rules.

    >>> from dataclasses import replace
    >>> from twinset.core.data.rule import Rule
    >>> d = Dataset.from_arrow(pa.table({"age": [31, -1, 50]}))
    >>> ruled = replace(d.schema, rules=(Rule("range", ("age",), {"low": 0}),))
    >>> note_rules(None, replace(d, schema=ruled), ())
    ['Rule range(age): broken in 1 of 3 synthetic rows.']
    """
    rules, n = synthetic.schema.rules, len(synthetic)
    if not rules:
        return []
    notes = []
    for rule in rules:
        broken = violations(rule, synthetic)
        if train is not None and rule.kind != "unique":
            enforcer = RuleEnforcer.learn(train, [rule])
            assert enforcer is not None
            broken = broken | ~enforcer.none_broken(synthetic)
        if broken.any():
            notes.append(f"Rule {rule}: broken in {int(broken.sum()):,} of {n:,} synthetic rows.")
    if not notes:
        subject = f"All {len(rules)} rules hold" if len(rules) > 1 else f"The rule {rules[0]} holds"
        notes.append(f"{subject} in all {n:,} synthetic rows.")
    of_cards = dict.fromkeys(n for card in cards for n in card.notes if n.startswith("Rule "))
    repairs = [note for note in of_cards if REPAIRED in note]
    notes += [note for note in of_cards if note not in repairs]
    if len(repairs) > _MAX_REPAIR_NOTES:
        repairs = [
            f"{len(repairs)} rules were repaired in synthetic rows; the cards state how often each."
        ]
    return [*notes, *repairs]


def note_single_label(
    train: Dataset, synthetic: Dataset, target: str | None, where: Where | None
) -> list[str]:
    """Return a note where synthetic rows have one label and real ones several: compare like with like."""
    if where is not None or target is None:
        return []
    if not train.schema[target].has_levels:
        return []
    labels = []
    for rows in (synthetic, train):
        codes, levels = rows.codes(target)
        labels.append([levels[code] for code in np.unique(codes[codes >= 0])])
    if len(labels[0]) != 1 or len(labels[1]) < 2:
        return []
    label = f"{target} = {labels[0][0]}"
    return [
        f"every synthetic row has {label}, and real rows have other labels too: what differs below "
        f'differs for that reason; to compare like with like, add --where "{label}"'
    ]


UNUSED = "left out"
"""Key of the notes on embedders that could not be used, beside the columns."""


def list_score_embedders(scores: Sequence[Score]) -> dict[str, Any]:
    """Return the embedders that scores rest on: column -> embedder -> its facts."""
    found: dict[str, Any] = {}
    for score in scores:
        basis = score.finding(ComparisonBasis)
        if basis is not None and basis.embedders:
            found |= basis.embedders
            found |= {UNUSED: basis.unused_embedders} if basis.unused_embedders else {}
    return found


def note_embedders(found: Mapping[str, Any]) -> list[str]:
    """Return one sentence a column on its embedders, from `list_score_embedders`.

    >>> note_embedders({"photo": {"classical": {"kind": "classical features", "size": 210}}})[0]
    "The images of 'photo' were compared by: classical (classical features, 210 numbers)."
    """
    notes = [
        f"The {noun} of '{column}' were compared by: "
        + "; ".join(f"{name} ({_describe_embedder(one)})" for name, one in embedders.items())
        + "."
        for column, noun, embedders in _iterate_columns(found)
    ]
    return [*notes, *found.get(UNUSED, ())]


def note_embedders_on_card(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the notes of a card on the embedders that a set was measured by, one a column.

    >>> note_embedders_on_card({"photo": {"eye": {"weights": "eye.onnx", "weights_sha256": "ab12"}}})
    ("images of 'photo' measured by: eye (weights SHA-256 ab12)",)
    """
    notes = []
    for column, noun, embedders in _iterate_columns(found):
        names = [
            f"{name} (weights SHA-256 {one['weights_sha256']})" if "weights_sha256" in one else name
            for name, one in embedders.items()
        ]
        notes.append(f"{noun} of '{column}' measured by: {', '.join(names)}")
    return tuple(notes)


def note_images(scores: Sequence[Score], guessed: str | None = None) -> list[str]:
    """Return the notes of a report on embedders, and on a target that was guessed."""
    found = list_score_embedders(scores)
    notes = note_embedders(found)
    if guessed is not None:
        notes.append(f"Models predict '{guessed}', the only column of labels.")
    if found:
        notes.append(
            "Other embedders, or the same with other weights, give other numbers: do not compare them "
            "with a report that names others."
        )
    return notes


def note_embedder_mismatch(scores: Mapping[str, Sequence[Score]]) -> list[str]:
    """Return a warning where candidates were not all compared by the same embedders."""
    by_name = {name: list_score_embedders(own) for name, own in scores.items()}
    first, *others = by_name.values()
    if all(found == first for found in others):
        return []
    lists = [
        f"{name}: {' and '.join(note_embedders_on_card(found)) or 'none'}"
        for name, found in by_name.items()
    ]
    return [
        "Not all candidates were compared by the same embedders, so that their numbers on images or texts "
        f"are not comparable ({'; '.join(lists)})"
    ]


def _iterate_columns(found: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """Return each column with the noun for its content and its embedders."""
    return [
        (column, next((str(x["of"]) for x in embedders.values() if "of" in x), "images"), embedders)
        for column, embedders in found.items()
        if column != UNUSED and embedders
    ]


def _describe_embedder(facts: Mapping[str, Any]) -> str:
    parts = [str(facts.get("kind", "no facts given"))]
    if "trained_on_images" in facts:
        labels = f" and {facts['labels']} labels" if facts.get("labels") else ""
        parts.append(f"{facts['trained_on_images']:,} images{labels}, seed {facts['seed']}")
    if "weights_sha256" in facts:
        file = f"'{facts['weights']}'" if facts.get("weights") else "its weights"
        parts.append(f"{file}, SHA-256 {facts['weights_sha256']}")
    if "size" in facts:
        parts.append(f"{facts['size']} numbers")
    return ", ".join(parts)
