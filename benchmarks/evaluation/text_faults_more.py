"""Faults of further kinds and strengths, written down before any metric was tried on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.evaluation.text_faults import Plant, Rng, TextFault, each, marked
from benchmarks.evaluation.text_sets import Row

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_GERMAN = (
    "spiel bitte die neue Platte von gestern Abend",
    "wie wird das Wetter morgen früh in der Stadt",
    "ich komme heute leider etwas später nach Hause",
    "reserviere einen Tisch für vier Leute am Freitag",
    "kannst du mir sagen wann der nächste Zug fährt",
    "das Buch hat mir überhaupt nicht gefallen",
    "wo läuft der Film am Wochenende im Kino",
    "danke für deine Nachricht, ich melde mich bald",
)
_ORDER = ("unknown order of words", "pairs of words", "order of words", "ends of said")
_WORDS = ("unknown words", "misspelt words", "words", "pairs of words")


def more_text_faults() -> list[TextFault]:
    """Return the kinds that nothing was tuned on."""
    return [*_of_wording(), *_of_rows(), *_of_spans()]


def last_text_faults() -> list[TextFault]:
    """Return the kinds that were written down last."""
    beginnings = (
        *_ORDER,
        "words like a at the beginning",
        "too little of words like Aa at the begin",
    )
    return [
        TextFault("the first word lost in a fifth", each(_headless, 0.2), ("length", *beginnings)),
        TextFault("only long texts", _long, ("length",)),
        TextFault("every twentieth word doubled", each(_doubled), ("length", *_ORDER)),
        TextFault("two texts in one in a fifth", _joined, ("length", "unknown lengths", *_ORDER)),
        TextFault("a tenth of the blanks lost", each(_blanks_lost), (*_WORDS, "length")),
        TextFault(
            "rare words made common in a tenth",
            _plainer,
            ("different words", "unmarked mentions", *_WORDS, *_ORDER),
        ),
        TextFault(
            "one value a label in half of the texts",
            _one_value,
            ("words of each label", "repeats", "near repeats", "different words", *_WORDS),
            True,
        ),
        TextFault(
            "two span labels made one",
            _merged,
            ("labels", "words of each label", "contradicted labels"),
            True,
        ),
    ]


def _of_wording() -> list[TextFault]:
    letters = ("unknown characters", "characters", "shapes of words", *_WORDS)
    capitals = ("words like", "too little of words like")
    return [
        TextFault(
            "a letter lost, doubled or wrong in 5% of the words", each(_misspelt(0.05)), _WORDS
        ),
        TextFault("two neighbouring words swapped in half", each(_one_swap, 0.5), _ORDER),
        TextFault("other numbers", _renumbered, ("numbers", *letters)),
        TextFault(
            "a quarter cut off within a word",
            each(_cut_off, 0.25),
            ("length", "ends of said", "unknown last words", *_ORDER, *_WORDS),
        ),
        TextFault(
            "case lost in a third",
            each(lambda text, rng: text.lower(), 0.33),
            (*letters, *capitals),
        ),
        TextFault(
            "please added to a fifth",
            each(lambda text, rng: f"{text} please", 0.2),
            ("ends of said", '"please"', *_WORDS),
        ),
        TextFault("letters broken in a twentieth", each(_mojibake, 0.05), letters),
        TextFault(
            "markup left in a twentieth",
            each(lambda text, rng: f"<p>{text}</p>", 0.05),
            ("ends of said", '"<', '">', '"p', *_ORDER, *letters),
        ),
        TextFault(
            "the words of a class replaced",
            _other_words,
            (*_ORDER, *_WORDS, "about", "whole texts"),
        ),
    ]


def _of_rows() -> list[TextFault]:
    return [
        TextFault(
            "a tenth in another language",
            each(lambda text, rng: _GERMAN[int(rng.integers(len(_GERMAN)))], 0.1),
            ("repeats", *_WORDS, *_ORDER),
        ),
        TextFault(
            "a fifth are repeats but for a word", _near_repeated, ("near repeats", "repeats")
        ),
        TextFault(
            "a twentieth are empty",
            each(lambda text, rng: "", 0.05),
            ("unknown lengths", "length", "repeats"),
        ),
    ]


def _of_spans() -> list[TextFault]:
    ends = ("needless marks", "words of each label", "ends of marks", "contradicted labels")
    return [
        TextFault(
            "a twentieth of the spans lost", _fewer(0.05), ("unmarked mentions", "labels"), True
        ),
        TextFault(
            "labels of a tenth of the spans drawn",
            _relabelled,
            ("contradicted labels", "words of each label"),
            True,
        ),
        TextFault("a fifth of the spans a word too long", _longer, ends, True),
        TextFault("a wrong span in a fifth", _added, (*ends, "labels"), True),
    ]


def _misspelt(share: float) -> Callable[[str, Rng], str]:
    def spoilt(word: str, rng: Rng) -> str:
        if len(word) < 3:
            return word
        at, letter = int(rng.integers(len(word))), _LETTERS[int(rng.integers(26))]
        middle = ("", word[at] * 2, letter)[int(rng.integers(3))]
        return word[:at] + middle + word[at + 1 :]

    def change(text: str, rng: Rng) -> str:
        return " ".join(spoilt(w, rng) if rng.random() < share else w for w in text.split(" "))

    return change


def _one_swap(text: str, rng: Rng) -> str:
    words = text.split()
    if len(words) > 1:
        at = int(rng.integers(len(words) - 1))
        words[at : at + 2] = words[at + 1], words[at]
    return " ".join(words)


def _renumbered(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Draw every digit anew; texts keep their lengths, and spans their places."""

    def change(text: str) -> str:
        return "".join(str(rng.integers(10)) if c.isdecimal() else c for c in text)

    return [{**row, "said": change(row["said"])} for row in rows]


def _cut_off(text: str, rng: Rng) -> str:
    return text[: int(rng.integers(len(text) // 2, len(text)))] if len(text) > 3 else text


def _mojibake(text: str, rng: Rng) -> str:
    at = int(rng.integers(len(text) + 1))
    return text[:at] + "Ã\u0083Â©" + text[at:]


def _other_words(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Replace every second longer word of the rarest class by a word that only other classes use."""
    rarest = Counter(row["about"] for row in train).most_common()[-1][0]
    own = {word for row in train if row["about"] == rarest for word in row["said"].lower().split()}
    used = Counter(
        w for row in train if row["about"] != rarest for w in row["said"].lower().split()
    )
    others = [word for word, n in used.most_common() if word not in own and n > 1][:300]

    def change(text: str, rng: Rng) -> str:
        return " ".join(
            others[int(rng.integers(len(others)))] if len(word) > 3 and rng.random() < 0.5 else word
            for word in text.split()
        )

    spoil = each(change)
    return [spoil([row], train, rng)[0] if row["about"] == rarest else row for row in rows]


def _near_repeated(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Replace a fifth of the rows by others in which one word is another one of the set."""
    n = len(rows) // 5
    kept = rows[n:]
    words = [word for row in kept for word in row["said"].split()]

    def change(text: str, rng: Rng) -> str:
        own = text.split()
        if own:
            own[int(rng.integers(len(own)))] = words[int(rng.integers(len(words)))]
        return " ".join(own)

    return kept + each(change)([kept[int(i)] for i in rng.integers(0, len(kept), n)], train, rng)


def _fewer(share: float) -> Plant:
    return marked(lambda row, rng: [m for m in row["marks"] if rng.random() >= share])


def _relabelled(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    labels = [mark["label"] for row in train for mark in row["marks"]]

    def change(row: Row, rng: Rng) -> list[dict[str, Any]]:
        return [
            {**mark, "label": labels[int(rng.integers(len(labels)))]}
            if rng.random() < 0.1
            else mark
            for mark in row["marks"]
        ]

    return marked(change)(rows, train, rng)


def _longer(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    def change(row: Row, rng: Rng) -> list[dict[str, Any]]:
        starts = [mark["start"] for mark in row["marks"]]
        return [
            _to_next_word(row["said"], m, starts) if rng.random() < 0.2 else m for m in row["marks"]
        ]

    return marked(change)(rows, train, rng)


def _to_next_word(said: str, mark: dict[str, Any], starts: Sequence[int]) -> dict[str, Any]:
    """Return the span with the next word in it, where no other span begins before its end."""
    blank = said.find(" ", mark["end"] + 1)
    end = blank if blank > 0 else len(said)
    free = not any(mark["end"] <= start < end for start in starts)
    return {**mark, "end": end} if free and end > mark["end"] else mark


def _added(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Mark a word that is in no span, with a label of the set, in a fifth of the texts."""
    labels = [mark["label"] for row in train for mark in row["marks"]]

    def change(row: Row, rng: Rng) -> list[dict[str, Any]]:
        said, marks = row["said"], row["marks"]
        ends = np.cumsum([len(word) + 1 for word in said.split(" ")]) - 1
        free = [
            (int(end) - len(word), int(end))
            for word, end in zip(said.split(" "), ends)
            if word and not any(m["start"] < end and end - len(word) < m["end"] for m in marks)
        ]
        if not free or rng.random() >= 0.2:
            return list(marks)
        start, end = free[int(rng.integers(len(free)))]
        label = labels[int(rng.integers(len(labels)))]
        new = {"start": start, "end": end, "label": label, "value": said[start:end]}
        return sorted([*marks, new], key=lambda mark: mark["start"])

    return marked(change)(rows, train, rng)


def _headless(text: str, rng: Rng) -> str:
    return " ".join(text.split()[1:]) or text


def _doubled(text: str, rng: Rng) -> str:
    return " ".join(f"{word} {word}" if rng.random() < 0.05 else word for word in text.split())


def _blanks_lost(text: str, rng: Rng) -> str:
    return "".join("" if c == " " and rng.random() < 0.1 else c for c in text)


def _long(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Keep the longer three quarters of the texts."""
    least = np.quantile([len(row["said"].split()) for row in train], 0.25)
    return [row for row in rows if len(row["said"].split()) > least]


def _joined(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Add the text of another row to every fifth one."""
    others = rng.permutation(len(rows))
    return [
        {**row, "said": f"{row['said']} {rows[int(at)]['said']}"} if rng.random() < 0.2 else row
        for row, at in zip(rows, others)
    ]


def _plainer(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Replace a tenth of the words by words of the commonest hundred."""
    used = Counter(word for row in train for word in row["said"].split())
    common = [word for word, _ in used.most_common(100)]

    def change(text: str, rng: Rng) -> str:
        return " ".join(
            common[int(rng.integers(len(common)))] if rng.random() < 0.1 else word
            for word in text.split()
        )

    return each(change)(rows, train, rng)


def _one_value(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Give every span of a label the same words, the commonest, in half of the texts."""
    used: dict[str, Counter[str]] = {}
    for row in train:
        for mark in row["marks"]:
            told = row["said"][mark["start"] : mark["end"]]
            used.setdefault(mark["label"], Counter())[told] += 1
    return [_with_values(row, used) if rng.random() < 0.5 else row for row in rows]


def _with_values(row: Row, used: dict[str, Counter[str]]) -> Row:
    said, marks, at = "", [], 0
    for mark in sorted(row["marks"], key=lambda mark: mark["start"]):
        counts = used.get(mark["label"])
        value = counts.most_common(1)[0][0] if counts else row["said"][mark["start"] : mark["end"]]
        said += row["said"][at : mark["start"]]
        marks.append({**mark, "start": len(said), "end": len(said) + len(value), "value": value})
        said, at = said + value, mark["end"]
    return {**row, "said": said + row["said"][at:], "marks": marks}


def _merged(rows: list[Row], train: list[Row], rng: Rng) -> list[Row]:
    """Call the second commonest label of spans by the name of the commonest."""
    labels = Counter(mark["label"] for row in train for mark in row["marks"]).most_common(2)
    (one, _), (two, _) = labels[0], labels[-1]

    def change(row: Row, rng: Rng) -> list[dict[str, Any]]:
        return [{**m, "label": one} if m["label"] == two else m for m in row["marks"]]

    return marked(change)(rows, train, rng)
