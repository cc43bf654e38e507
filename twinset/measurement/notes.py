"""Notes of a report and of cards: embedders, rules, kept real values, a single label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from twinset.core.contracts import Score
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.where import Where
from twinset.core.findings import ComparisonBasis
from twinset.core.rules.enforce import MENDED, RuleEnforcer
from twinset.core.rules.violations import violations

_MOST_MENDED = 3
SMALL_CELL = 11
"""A value in fewer rows than this may point at persons (the CMS rule on small cells)."""


def kept_values(train: Dataset | None, synthetic: Dataset) -> list[str]:
    """Return one sentence on the categories whose values a twin repeats though few real rows have them.

    Parameters
    ----------
    train : Dataset, optional
        The real rows that the generator may have learnt from.
    synthetic : Dataset
        The made rows; a value that none of them holds was not kept.

    Returns
    -------
    list of str
        One sentence with column names and counts, never a value; empty where there is nothing to say.

    Examples
    --------
    >>> towns = ["Oslo"] * 30 + ["Bergen"] * 2
    >>> real, made = (Dataset.from_arrow(pa.table({"town": t})) for t in (towns, ["Oslo", "Bergen"]))
    >>> kept_values(real, made)[0][:80]
    "Real values are kept as they are in 'town' (1 of 2 values in fewer than 11 rows)"
    >>> kept_values(real, made.slice(0, 1))
    []
    """
    told: list[str] = []
    if train is None:
        return told
    for field in train.schema.of_kind("category"):
        if field.role == "target" or not pa.types.is_string(field.stored_type):
            continue
        if field.name not in synthetic.schema.names:
            continue
        codes, levels = train.codes(field.name)
        counts = np.bincount(codes[codes >= 0], minlength=len(levels))
        made = set(synthetic.codes(field.name)[1])
        rare = sum(0 < n < SMALL_CELL and level in made for n, level in zip(counts, levels))
        if rare:
            told.append(
                f"'{field.name}' ({rare:,} of {len(levels):,} values in fewer than {SMALL_CELL} rows)"
            )
    if not told:
        return []
    return [
        f"Real values are kept as they are in {', '.join(told)}. Where such values name persons, "
        "declare the column as an identifier or leave it out."
    ]


def rule_notes(train: Dataset | None, synthetic: Dataset, cards: Sequence[Card]) -> list[str]:
    """Return what is to be said of the rules: whether they hold, and what was done for it.

    Parameters
    ----------
    train : Dataset, optional
        Real rows, which teach what a rule leaves open: the combinations that occur, what decides what.
    synthetic : Dataset
        The rows to check; the rules are those of its schema.
    cards : sequence of Card
        Cards of the real set and of the steps, which tell what real rows break and what was mended.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from twinset.core.data.rule import Rule
    >>> d = Dataset.from_arrow(pa.table({"age": [31, -1, 50]}))
    >>> ruled = replace(d.schema, rules=(Rule("range", ("age",), {"low": 0}),))
    >>> rule_notes(None, replace(d, schema=ruled), ())
    ['Rule range(age): broken in 1 of 3 made rows.']
    """
    rules = synthetic.schema.rules
    if not rules:
        return []
    told = []
    for rule in rules:
        broken = violations(rule, synthetic)
        if train is not None and rule.kind != "unique":
            keeper = RuleEnforcer.learn(train, [rule])
            assert keeper is not None
            broken = broken | ~keeper.none_broken(synthetic)
        if broken.any():
            n = int(broken.sum())
            told.append(f"Rule {rule}: broken in {n:,} of {len(synthetic):,} made rows.")
    if not told:
        what = f"All {len(rules)} rules hold" if len(rules) > 1 else f"The rule {rules[0]} holds"
        told.append(f"{what} in all {len(synthetic):,} made rows.")
    noted = dict.fromkeys(n for card in cards for n in card.notes if n.startswith("Rule "))
    mended = [note for note in noted if MENDED in note]
    told += [note for note in noted if note not in mended]
    if len(mended) > _MOST_MENDED:
        return [
            *told,
            f"{len(mended)} rules were mended in made rows; the cards tell how often each.",
        ]
    return [*told, *mended]


def note_single_label(
    train: Dataset, synthetic: Dataset, target: str | None, where: Where | None
) -> list[str]:
    """Return what to note of a set of one label beside a real one of several: compare like with like."""
    if where is not None or target is None:
        return []
    if not train.schema[target].has_levels:
        return []
    sides = []
    for rows in (synthetic, train):
        codes, levels = rows.codes(target)
        sides.append([levels[code] for code in np.unique(codes[codes >= 0])])
    if len(sides[0]) != 1 or len(sides[1]) < 2:
        return []
    label = f"{target} = {sides[0][0]}"
    return [
        f"every synthetic row has {label}, and real rows have other labels too: what differs below "
        f'differs for that reason; to compare like with like, add --where "{label}"'
    ]


LEFT_OUT = "left out"
"""Key of the facts under which embedders stand that could not be used."""

_OTHERS = (
    "Other embedders, or the same with other weights, give other numbers: hold this beside no report "
    "that names others."
)


def embedder_notes(found: Mapping[str, Any]) -> list[str]:
    """Return one sentence an image column on what looked at its images; of what `facts_of` gives.

    Examples
    --------
    >>> embedder_notes({"photo": {"classical": {"kind": "classical features", "size": 210}}})[0]
    "The images of 'photo' were compared by: classical (classical features, 210 numbers)."
    """
    notes = []
    for column, embedders in found.items():
        if column != LEFT_OUT and embedders:
            told = [f"{name} ({_describe_embedder(one)})" for name, one in embedders.items()]
            notes.append(
                f"The {_noun(embedders)} of '{column}' were compared by: {'; '.join(told)}."
            )
    return [*notes, *found.get(LEFT_OUT, ())]


def card_notes(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a card says of the embedders that a set was measured by, one note a column.

    Examples
    --------
    >>> card_notes({"photo": {"eye": {"weights": "eye.onnx", "weights_sha256": "ab12"}}})
    ("images of 'photo' measured by: eye (weights SHA-256 ab12)",)
    """
    notes = []
    for column, embedders in found.items():
        if column != LEFT_OUT and embedders:
            told = [
                f"{name} (weights SHA-256 {one['weights_sha256']})"
                if "weights_sha256" in one
                else name
                for name, one in embedders.items()
            ]
            notes.append(f"{_noun(embedders)} of '{column}' measured by: {', '.join(told)}")
    return tuple(notes)


def _noun(embedders: Mapping[str, Mapping[str, Any]]) -> str:
    return next((str(one["of"]) for one in embedders.values() if "of" in one), "images")


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


def image_notes(scores: Sequence[Score], guessed: str | None = None) -> list[str]:
    """Return what a report says of how images were looked at, as told by the scores.

    `guessed` is a column of labels that was taken as the target without being asked for.
    """
    found = list_score_embedders(scores)
    told = [] if guessed is None else [f"Models predict '{guessed}', the only column of labels."]
    return [*embedder_notes(found), *told, *([_OTHERS] if found else [])]


def list_score_embedders(scores: Sequence[Score]) -> dict[str, Any]:
    """Return which embedders the scores rest on: image column -> embedder -> its facts.

    Scores may have looked at different columns; all are told.
    """
    found: dict[str, Any] = {}
    for score in scores:
        basis = score.finding(ComparisonBasis)
        if basis is not None and basis.embedders:
            found |= basis.embedders
            found |= {LEFT_OUT: basis.unused_embedders} if basis.unused_embedders else {}
    return found


def note_embedder_mismatch(scores: Mapping[str, Sequence[Score]]) -> list[str]:
    """Return a warning where not every candidate was looked at by the same embedders."""
    looked = {name: list_score_embedders(own) for name, own in scores.items()}
    first, *others = looked.values()
    if all(found == first for found in others):
        return []
    told = [
        f"{name}: {' and '.join(card_notes(found)) or 'none'}" for name, found in looked.items()
    ]
    return [
        "Not the same embedders looked at all candidates, so that their numbers on images or texts must "
        f"not be held beside one another ({'; '.join(told)})"
    ]
