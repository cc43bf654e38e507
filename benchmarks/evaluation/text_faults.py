"""Faults to plant into real texts that were never used: what each does, and which pattern shows it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.evaluation.text_sets import Row

Rng = np.random.Generator
Plant = Callable[[list[Row], list[Row], Rng], list[Row]]
"""(fresh rows, train, rng) -> faulty rows."""


@dataclass(frozen=True)
class TextFault:
    """One kind of fault at one strength.

    Parameters
    ----------
    name : str
        What was done, with its strength.
    plant : callable
        What does it.
    shown : tuple of str
        What a good report names first: beginnings of patterns, or the label column.
    needs_spans : bool
        Whether it is about spans.
    only : str
        The only set it is planted into, where others hardly hold what it takes away.
    """

    name: str
    plant: Plant
    shown: tuple[str, ...]
    needs_spans: bool = False
    only: str = ""

    def fits(self, name: str) -> bool:
        """Return whether it is planted into the set of this name."""
        return name in (self.only or name) and (name == "snips" or not self.needs_spans)


def text_faults() -> list[TextFault]:
    """Return all kinds at all strengths."""
    return [*_of_labels(), *_of_texts(), *_of_sets(), *_of_spans()]


def _of_labels() -> list[TextFault]:
    found = [TextFault("a class dropped", _without_a_class, ("about",))]
    for share in (0.02, 0.05):
        found.append(TextFault(f"{share:.0%} of the labels flipped", _flipped(share), ("about",)))
    found.append(TextFault("a class at half its share", _halved_class, ("about",)))
    return found


def _of_texts() -> list[TextFault]:
    words = ("words", "pairs of words", "characters", "unknown words", "misspelt words")
    wording = ("shapes of words", "characters", "words like", "too little of words like")
    order = ("pairs of words", "order of words", "ends of said", "unknown order of words")
    found = [
        TextFault("case lost", each(lambda text, rng: text.lower()), wording),
        TextFault("all capitals in a fifth", each(_loud, 0.2), wording),
        TextFault("punctuation lost", each(_unmarked), (*wording, *words, *order), only="sms"),
        TextFault(
            "a third cut off in half of the texts",
            each(_cut, 0.5),
            ("length", "ends of said", "unknown last words", "about"),
        ),
        TextFault("one word in four lost", each(_thinned), ("length", *order)),
        TextFault("word order shuffled", each(_shuffled), order),
        TextFault("word order shuffled in a fifth", each(_shuffled, 0.2), order),
    ]
    for share in (0.05, 0.15):
        name = f"typos in {share:.0%} of the words"
        found.append(TextFault(name, each(_typos(share)), (*words, "different words")))
    return found


def _of_sets() -> list[TextFault]:
    varied = ("different words", "words", "pairs of words", "unknown order of words")
    return [
        TextFault("the rarer half of the words replaced", _poorer, varied),
        TextFault("a fifth are repeats", _repeated(0.2), ("repeats",)),
        TextFault("half are repeats", _repeated(0.5), ("repeats",)),
        TextFault("a slice removed", _without_a_slice, ("words", "about", "whole texts", "labels")),
        TextFault("only short texts", _short, ("length",)),
    ]


def _of_spans() -> list[TextFault]:
    found = []
    for share in (0.1, 1.0):
        found.append(
            TextFault(
                f"{share:.0%} of the spans shifted by one",
                _shifted(share),
                ("ends of marks",),
                True,
            )
        )
    found += [
        TextFault(
            "entity values swapped",
            _swapped(1.0),
            ("words of each label", "words", "contradicted labels"),
            True,
        ),
        TextFault(
            "entity values swapped in a fifth",
            _swapped(0.2),
            ("words of each label", "words", "contradicted labels"),
            True,
        ),
        TextFault("a tenth of the spans lost", _spans_lost, ("labels", "unmarked mentions"), True),
        TextFault(
            "a span label dropped",
            _label_dropped,
            ("labels", "words of each label", "unmarked mentions"),
            True,
        ),
    ]
    return found


def each(change: Callable[[str, Rng], str], share: float = 1.0) -> Plant:
    """Return a fault of single texts; spans that no longer fit are moved to where their text now is."""

    def plant(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
        made = []
        for row in rows:
            said = change(row["said"], rng) if rng.random() < share else row["said"]
            made.append(_with_text(row, said))
        return made

    return plant


def _with_text(row: Row, said: str) -> Row:
    if "marks" not in row:
        return {**row, "said": said}
    small, kept = said.lower(), []
    for mark in row["marks"]:
        at = small.find(row["said"][mark["start"] : mark["end"]].lower())
        if at >= 0:
            kept.append({**mark, "start": at, "end": at + mark["end"] - mark["start"]})
    return {**row, "said": said, "marks": kept}


def _loud(text: str, rng: Rng) -> str:
    return text.upper()


def _unmarked(text: str, rng: Rng) -> str:
    return re.sub(r"[^\w\s]", "", text)


def _cut(text: str, rng: Rng) -> str:
    words = text.split()
    return " ".join(words[: max(1, 2 * len(words) // 3)])


def _thinned(text: str, rng: Rng) -> str:
    words = text.split()
    kept = [word for word in words if rng.random() >= 0.25]
    return " ".join(kept or words[:1])


def _shuffled(text: str, rng: Rng) -> str:
    words = text.split()
    return " ".join(words[i] for i in rng.permutation(len(words)))


def _typos(share: float) -> Callable[[str, Rng], str]:
    def change(text: str, rng: Rng) -> str:
        return " ".join(_mistyped(w, rng) if rng.random() < share else w for w in text.split(" "))

    return change


def _mistyped(word: str, rng: Rng) -> str:
    if len(word) < 3:
        return word
    at = int(rng.integers(0, len(word) - 1))
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _classes(rows: Sequence[Row]) -> list[str]:
    return [label for label, _ in Counter(row["about"] for row in rows).most_common()]


def _without_a_class(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    rarest = _classes(train)[-1]
    return [row for row in rows if row["about"] != rarest]


def _halved_class(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    rarest = _classes(train)[-1]
    return [row for row in rows if row["about"] != rarest or rng.random() < 0.5]


def _flipped(share: float) -> Plant:
    def plant(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
        classes, made = _classes(train), []
        for row in rows:
            others = [label for label in classes if label != row["about"]]
            wrong = others[int(rng.integers(len(others)))]
            made.append({**row, "about": wrong} if rng.random() < share else row)
        return made

    return plant


def _poorer(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Replace each word of the rarer half of the vocabulary by a word of the other half."""
    used = Counter(word for row in train for word in row["said"].lower().split())
    ranked = [word for word, _ in used.most_common()]
    kept = set(ranked[: len(ranked) // 2])
    common = ranked[:200]

    def change(text: str, _: Rng) -> str:
        words = text.split()
        return " ".join(
            word if word.lower() in kept else common[int(rng.integers(len(common)))]
            for word in words
        )

    return [_with_text(row, change(row["said"], rng)) for row in rows]


def _repeated(share: float) -> Plant:
    def plant(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
        n = round(share * len(rows))
        kept = rows[n:]
        return kept + [kept[int(i)] for i in rng.integers(0, len(kept), n)]

    return plant


def _without_a_slice(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Drop the texts of the commonest class that hold the word which is commonest only there."""
    label = _classes(train)[0]
    words: Counter[str] = Counter()
    for row in train:
        inside = 1 if row["about"] == label else -1
        words.update(dict.fromkeys(set(row["said"].lower().split()), inside))
    word = words.most_common(1)[0][0]
    return [r for r in rows if r["about"] != label or word not in r["said"].lower().split()]


def _short(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Keep the shorter three quarters of the texts."""
    most = np.quantile([len(row["said"].split()) for row in train], 0.75)
    return [row for row in rows if len(row["said"].split()) <= most]


def marked(change: Callable[[Row, Rng], list[dict[str, Any]]]) -> Plant:
    return lambda rows, train, rng: [{**row, "marks": change(row, rng)} for row in rows]


def _shifted(share: float) -> Plant:
    def change(row: Row, rng: Rng) -> list[dict[str, Any]]:
        last = len(row["said"])
        return [
            {**mark, "start": mark["start"] + 1, "end": min(mark["end"] + 1, last)}
            if rng.random() < share and mark["start"] + 1 < min(mark["end"] + 1, last)
            else mark
            for mark in row["marks"]
        ]

    return marked(change)


def _spans_lost(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    return marked(lambda row, rng: [m for m in row["marks"] if rng.random() >= 0.1])(
        rows, train, rng
    )


def _label_dropped(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Drop all spans of the commonest label."""
    label = Counter(m["label"] for row in train for m in row["marks"]).most_common(1)[0][0]
    return marked(lambda row, rng: [m for m in row["marks"] if m["label"] != label])(
        rows, train, rng
    )


def _swapped(share: float) -> Plant:
    """Give two spans of a text each other's label, where their labels differ."""

    def change(row: Row, rng: Rng) -> list[dict[str, Any]]:
        marks = [dict(mark) for mark in row["marks"]]
        if len(marks) > 1 and rng.random() < share:
            one, other = rng.permutation(len(marks))[:2]
            marks[one]["label"], marks[other]["label"] = marks[other]["label"], marks[one]["label"]
        return marks

    return marked(change)
