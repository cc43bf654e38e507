"""Faults to plant into real texts that were never used, and the patterns that a report should name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.datasets import TextRow, sms, snips

Rng = np.random.Generator
Rows = list[TextRow]
Marks = list[dict[str, Any]]
Change = Callable[[str, Rng], str]
Plant = Callable[[Rows, Rows, Rng], Rows]
"""(fresh rows, train, rng) -> faulty rows."""

SIZES = {"snips": (4_000, 2_000, 4_000), "sms": (2_200, 1_100, 2_200)}  # train, fresh, holdout
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


def text_parts(name: str, seed: int) -> list[Rows]:
    """Return three disjoint random parts of a set: train, fresh rows and holdout."""
    rows = snips("train") if name == "snips" else sms()
    order = np.random.default_rng(seed).permutation(len(rows))
    return [[rows[i] for i in part] for part in np.split(order, np.cumsum(SIZES[name]))[:3]]


@dataclass(frozen=True)
class TextFault:
    """One kind of fault at one strength."""

    plant: Plant
    shown: tuple[str, ...]  # names that a good report gives first: beginnings, or the label column
    sets: tuple[str, ...] = ("snips", "sms")  # sets that it is planted into


def each(change: Change, share: float = 1.0) -> Plant:
    """Return a fault of single texts; spans move to where their text now is, or are dropped."""
    return lambda rows, train, rng: [
        _with_text(row, change(row["said"], rng) if rng.random() < share else row["said"])
        for row in rows
    ]


def _with_text(row: TextRow, text: str) -> TextRow:
    if "marks" not in row:
        return {**row, "said": text}
    small, found = text.lower(), []
    for mark in row["marks"]:
        at = small.find(row["said"][mark["start"] : mark["end"]].lower())
        if at >= 0:
            found.append({**mark, "start": at, "end": at + mark["end"] - mark["start"]})
    return {**row, "said": text, "marks": found}


def marked(change: Callable[[TextRow, Rng], Marks]) -> Plant:
    """Return a fault of the spans of single texts."""
    return lambda rows, train, rng: [{**row, "marks": change(row, rng)} for row in rows]


def words(change: Change, share: float = 1.0, blank: str | None = " ") -> Change:
    """Return a change of a share of the words of a text."""
    return lambda text, rng: " ".join(
        change(word, rng) if rng.random() < share else word for word in text.split(blank)
    )


def _pick(values: Sequence[Any], rng: Rng) -> Any:
    return values[int(rng.integers(len(values)))]


def word_list(change: Callable[[list[str], Rng], list[str]]) -> Change:
    """Return a change of the list of the words of a text."""
    return lambda text, rng: " ".join(change(text.split(), rng))


def _swap_letters(word: str, rng: Rng) -> str:
    if len(word) < 3:
        return word
    at = int(rng.integers(0, len(word) - 1))
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _misspell(word: str, rng: Rng) -> str:
    if len(word) < 3:
        return word
    at, letter = int(rng.integers(len(word))), _LETTERS[int(rng.integers(26))]
    return word[:at] + ("", word[at] * 2, letter)[int(rng.integers(3))] + word[at + 1 :]


def _swap_words(own: list[str], rng: Rng) -> list[str]:
    if len(own) > 1:
        at = int(rng.integers(len(own) - 1))
        own[at : at + 2] = own[at + 1], own[at]
    return own


def _cut_off(text: str, rng: Rng) -> str:
    return text[: int(rng.integers(len(text) // 2, len(text)))] if len(text) > 3 else text


def _mojibake(text: str, rng: Rng) -> str:
    at = int(rng.integers(len(text) + 1))
    return text[:at] + "Ã\u0083Â©" + text[at:]


def _ranked(rows: Rows, *, lower: bool = False) -> list[str]:
    texts = [row["said"].lower() if lower else row["said"] for row in rows]
    return [word for word, _ in Counter(w for text in texts for w in text.split()).most_common()]


def _classes(rows: Rows) -> list[str]:
    return [label for label, _ in Counter(row["about"] for row in rows).most_common()]


def _class_share(rows: Rows, train: Rows, rng: Rng, share: float) -> Rows:
    rarest = _classes(train)[-1]
    return [r for r in rows if r["about"] != rarest or (share and rng.random() < share)]


def _flipped(rows: Rows, train: Rows, rng: Rng, share: float) -> Rows:
    classes, found = _classes(train), []
    for row in rows:
        wrong = _pick([label for label in classes if label != row["about"]], rng)
        found.append({**row, "about": wrong} if rng.random() < share else row)
    return found


def _poorer(rows: Rows, train: Rows, rng: Rng) -> Rows:
    """Replace each word of the rarer half of the vocabulary by a common word."""
    ranked = _ranked(train, lower=True)
    left, common = set(ranked[: len(ranked) // 2]), ranked[:200]

    def change(text: str) -> str:
        return " ".join(w if w.lower() in left else _pick(common, rng) for w in text.split())

    return [_with_text(row, change(row["said"])) for row in rows]


def _plainer(rows: Rows, train: Rows, rng: Rng) -> Rows:
    common = _ranked(train)[:100]
    return each(words(lambda w, r: _pick(common, r), 0.1, None))(rows, train, rng)


def _other_words(rows: Rows, train: Rows, rng: Rng) -> Rows:
    """Replace every second longer word of the rarest class by a word that only other classes use."""
    rarest = _classes(train)[-1]
    own = set(_ranked([row for row in train if row["about"] == rarest], lower=True))
    rest = [word for row in train if row["about"] != rarest for word in row["said"].lower().split()]
    others = [w for w, n in Counter(rest).most_common() if w not in own and n > 1][:300]
    spoil = each(lambda text, rng: " ".join(
        _pick(others, rng) if len(word) > 3 and rng.random() < 0.5 else word
        for word in text.split()
    ))  # fmt: skip
    return [spoil([row], train, rng)[0] if row["about"] == rarest else row for row in rows]


def _repeated(rows: Rows, train: Rows, rng: Rng, share: float) -> Rows:
    n = round(share * len(rows))
    return rows[n:] + [rows[n:][int(i)] for i in rng.integers(0, len(rows) - n, n)]


def _near_repeated(rows: Rows, train: Rows, rng: Rng) -> Rows:
    """Replace a fifth of the rows by others in which one word is another one of the set."""
    n = len(rows) // 5
    left = rows[n:]
    every = [word for row in left for word in row["said"].split()]

    def change(text: str, rng: Rng) -> str:
        own = text.split()
        if own:
            own[int(rng.integers(len(own)))] = _pick(every, rng)
        return " ".join(own)

    return left + each(change)([left[int(i)] for i in rng.integers(0, len(left), n)], train, rng)


def _without_a_slice(rows: Rows, train: Rows, rng: Rng) -> Rows:
    """Drop the texts of the most frequent class that hold the word which is most frequent only there."""
    label, used = _classes(train)[0], Counter[str]()
    for row in train:
        inside = 1 if row["about"] == label else -1
        used.update(dict.fromkeys(set(row["said"].lower().split()), inside))
    word = used.most_common(1)[0][0]
    return [r for r in rows if r["about"] != label or word not in r["said"].lower().split()]


def _by_length(rows: Rows, train: Rows, rng: Rng, level: float, longer: bool) -> Rows:
    """Leave the texts above or up to a quantile of the number of words."""
    bound = np.quantile([len(row["said"].split()) for row in train], level)
    return [row for row in rows if (len(row["said"].split()) > bound) == longer]


def _renumbered(rows: Rows, train: Rows, rng: Rng) -> Rows:
    """Draw every digit again; texts stay as long as they are, and spans in their places."""
    draw = partial(re.sub, r"\d", lambda digit: str(rng.integers(10)))
    return [{**row, "said": draw(row["said"])} for row in rows]


def _joined(rows: Rows, train: Rows, rng: Rng) -> Rows:
    others = rng.permutation(len(rows))
    return [
        {**row, "said": f"{row['said']} {rows[int(at)]['said']}"} if rng.random() < 0.2 else row
        for row, at in zip(rows, others)
    ]


def _shifted(share: float) -> Plant:
    def moved(mark: dict[str, Any], last: int, rng: Rng) -> dict[str, Any]:
        start, end = mark["start"] + 1, min(mark["end"] + 1, last)
        hit = rng.random() < share and start < end
        return {**mark, "start": start, "end": end} if hit else mark

    return marked(lambda row, rng: [moved(m, len(row["said"]), rng) for m in row["marks"]])


def _fewer(share: float) -> Plant:
    return marked(lambda row, rng: [m for m in row["marks"] if rng.random() >= share])


def _span_labels(train: Rows) -> list[str]:
    return [mark["label"] for row in train for mark in row["marks"]]


def _label_dropped(rows: Rows, train: Rows, rng: Rng) -> Rows:
    label = Counter(_span_labels(train)).most_common(1)[0][0]
    return [{**r, "marks": [m for m in r["marks"] if m["label"] != label]} for r in rows]


def _merged(rows: Rows, train: Rows, rng: Rng) -> Rows:
    """Give the second most frequent label of spans the name of the most frequent one."""
    (one, _), (two, _) = Counter(_span_labels(train)).most_common(2)
    return [
        {**r, "marks": [{**m, "label": one} if m["label"] == two else m for m in r["marks"]]}
        for r in rows
    ]


def _swapped(share: float) -> Plant:
    """Return a fault that exchanges the labels of two spans of a text."""

    def change(row: TextRow, rng: Rng) -> Marks:
        marks = [dict(mark) for mark in row["marks"]]
        if len(marks) > 1 and rng.random() < share:
            one, other = rng.permutation(len(marks))[:2]
            marks[one]["label"], marks[other]["label"] = marks[other]["label"], marks[one]["label"]
        return marks

    return marked(change)


def _relabelled(rows: Rows, train: Rows, rng: Rng) -> Rows:
    labels = _span_labels(train)
    return marked(lambda row, rng: [
        {**m, "label": _pick(labels, rng)} if rng.random() < 0.1 else m for m in row["marks"]
    ])(rows, train, rng)  # fmt: skip


def _longer(row: TextRow, rng: Rng) -> Marks:
    """Extend a fifth of the spans to the next word, where no other span begins before its end."""
    said, found = row["said"], []
    starts = [mark["start"] for mark in row["marks"]]
    for mark in row["marks"]:
        blank = said.find(" ", mark["end"] + 1)
        end = blank if blank > 0 else len(said)
        free = not any(mark["end"] <= start < end for start in starts) and end > mark["end"]
        found.append({**mark, "end": end} if rng.random() < 0.2 and free else mark)
    return found


def _added(rows: Rows, train: Rows, rng: Rng) -> Rows:
    """Mark a word that is in no span, with a label of the set, in a fifth of the texts."""
    labels = _span_labels(train)

    def change(row: TextRow, rng: Rng) -> Marks:
        said, marks = row["said"], row["marks"]
        ends = np.cumsum([len(word) + 1 for word in said.split(" ")]) - 1
        free = [
            (int(end) - len(word), int(end))
            for word, end in zip(said.split(" "), ends)
            if word and not any(m["start"] < end and end - len(word) < m["end"] for m in marks)
        ]
        if not free or rng.random() >= 0.2:
            return list(marks)
        start, end = _pick(free, rng)
        new = {"start": start, "end": end, "label": _pick(labels, rng), "value": said[start:end]}
        return sorted([*marks, new], key=lambda mark: mark["start"])

    return marked(change)(rows, train, rng)


def _one_value(rows: Rows, train: Rows, rng: Rng) -> Rows:
    """Give every span of a label the same words, the most frequent ones, in half of the texts."""
    used: dict[str, Counter[str]] = {}
    for row in train:
        for mark in row["marks"]:
            value = row["said"][mark["start"] : mark["end"]]
            used.setdefault(mark["label"], Counter())[value] += 1

    def change(row: TextRow) -> TextRow:
        said, marks, at = "", [], 0
        for mark in sorted(row["marks"], key=lambda mark: mark["start"]):
            counts = used.get(mark["label"])
            old = row["said"][mark["start"] : mark["end"]]
            value = counts.most_common(1)[0][0] if counts else old
            said += row["said"][at : mark["start"]]
            place = {"start": len(said), "end": len(said) + len(value), "value": value}
            marks.append({**mark, **place})
            said, at = said + value, mark["end"]
        return {**row, "said": said + row["said"][at:], "marks": marks}

    return [change(row) if rng.random() < 0.5 else row for row in rows]


_WORDS = ("unknown words", "misspelt words", "words", "pairs of words")
_SHUFFLED = word_list(lambda w, r: [w[i] for i in r.permutation(len(w))])
_ORDER = ("unknown order of words", "pairs of words", "order of words", "ends of said")
_WORDING = ("shapes of words", "characters", "words like", "too little of words like")
_LETTERING = ("unknown characters", "characters", "shapes of words", *_WORDS)
_VARIED = ("different words", "words", "pairs of words", "unknown order of words")
_HEADS = (*_ORDER, "words like a at the beginning", "too little of words like Aa at the begin")
_VALUES = ("words of each label", "words", "contradicted labels")
_ENDS = ("needless marks", "words of each label", "ends of marks", "contradicted labels")
_S = ("snips",)  # the set with spans

TEXT_FAULTS: dict[str, dict[str, TextFault]] = {
    "Kinds that the metrics were made for": {
        "a class dropped": TextFault(lambda f, t, r: _class_share(f, t, r, 0), ("about",)),
        "2% of the labels flipped": TextFault(lambda f, t, r: _flipped(f, t, r, 0.02), ("about",)),
        "5% of the labels flipped": TextFault(lambda f, t, r: _flipped(f, t, r, 0.05), ("about",)),
        "a class at half its share": TextFault(lambda f, t, r: _class_share(f, t, r, 0.5), ("about",)),
        "case lost": TextFault(each(lambda t, r: t.lower()), _WORDING),
        "all capitals in a fifth": TextFault(each(lambda t, r: t.upper(), 0.2), _WORDING),
        "punctuation lost": TextFault(  # SNIPS hardly has any
            each(lambda t, r: re.sub(r"[^\w\s]", "", t)), (*_WORDING, *_WORDS, *_ORDER), ("sms",)),
        "a third cut off in half of the texts": TextFault(
            each(word_list(lambda w, r: w[: max(1, 2 * len(w) // 3)]), 0.5),
            ("length", "ends of said", "unknown last words", "about")),
        "one word in four lost": TextFault(
            each(word_list(lambda w, r: [x for x in w if r.random() >= 0.25] or w[:1])),
            ("length", *_ORDER)),
        "word order shuffled": TextFault(each(_SHUFFLED), _ORDER),
        "word order shuffled in a fifth": TextFault(each(_SHUFFLED, 0.2), _ORDER),
        "typos in 5% of the words": TextFault(
            each(words(_swap_letters, 0.05)), (*_WORDS, "characters", "different words")),
        "typos in 15% of the words": TextFault(
            each(words(_swap_letters, 0.15)), (*_WORDS, "characters", "different words")),
        "the rarer half of the words replaced": TextFault(_poorer, _VARIED),
        "a fifth are repeats": TextFault(lambda f, t, r: _repeated(f, t, r, 0.2), ("repeats",)),
        "half are repeats": TextFault(lambda f, t, r: _repeated(f, t, r, 0.5), ("repeats",)),
        "a slice removed": TextFault(_without_a_slice, ("words", "about", "whole texts", "labels")),
        "only short texts": TextFault(lambda f, t, r: _by_length(f, t, r, 0.75, False), ("length",)),
        "10% of the spans shifted by one": TextFault(_shifted(0.1), ("ends of marks",), _S),
        "100% of the spans shifted by one": TextFault(_shifted(1.0), ("ends of marks",), _S),
        "entity values swapped": TextFault(_swapped(1.0), _VALUES, _S),
        "entity values swapped in a fifth": TextFault(_swapped(0.2), _VALUES, _S),
        "a tenth of the spans lost": TextFault(_fewer(0.1), ("labels", "unmarked mentions"), _S),
        "a span label dropped": TextFault(
            _label_dropped, ("labels", "words of each label", "unmarked mentions"), _S),
    },
    "Further kinds": {
        "a letter lost, doubled or wrong in 5% of the words": TextFault(
            each(words(_misspell, 0.05)), _WORDS),
        "two neighbouring words swapped in half": TextFault(each(word_list(_swap_words), 0.5), _ORDER),
        "other numbers": TextFault(_renumbered, ("numbers", *_LETTERING)),
        "a quarter cut off within a word": TextFault(
            each(_cut_off, 0.25), ("length", "ends of said", "unknown last words", *_ORDER, *_WORDS)),
        "case lost in a third": TextFault(
            each(lambda t, r: t.lower(), 0.33), (*_LETTERING, "words like", "too little of words like")),
        "please added to a fifth": TextFault(
            each(lambda t, r: f"{t} please", 0.2), ("ends of said", '"please"', *_WORDS)),
        "letters broken in a twentieth": TextFault(each(_mojibake, 0.05), _LETTERING),
        "markup left in a twentieth": TextFault(
            each(lambda t, r: f"<p>{t}</p>", 0.05),
            ("ends of said", '"<', '">', '"p', *_ORDER, *_LETTERING)),
        "the words of a class replaced": TextFault(
            _other_words, (*_ORDER, *_WORDS, "about", "whole texts")),
        "a tenth in another language": TextFault(
            each(lambda t, r: str(_pick(_GERMAN, r)), 0.1), ("repeats", *_WORDS, *_ORDER)),
        "a fifth are repeats but for a word": TextFault(
            _near_repeated, ("near repeats", "repeats")),
        "a twentieth are empty": TextFault(
            each(lambda t, r: "", 0.05), ("unknown lengths", "length", "repeats")),
        "a twentieth of the spans lost": TextFault(
            _fewer(0.05), ("unmarked mentions", "labels"), _S),
        "labels of a tenth of the spans drawn": TextFault(
            _relabelled, ("contradicted labels", "words of each label"), _S),
        "a fifth of the spans a word too long": TextFault(marked(_longer), _ENDS, _S),
        "a wrong span in a fifth": TextFault(_added, (*_ENDS, "labels"), _S),
    },
    "Kinds written down last": {
        "the first word lost in a fifth": TextFault(
            each(lambda t, r: " ".join(t.split()[1:]) or t, 0.2), ("length", *_HEADS)),
        "only long texts": TextFault(lambda f, t, r: _by_length(f, t, r, 0.25, True), ("length",)),
        "every twentieth word doubled": TextFault(
            each(words(lambda w, r: f"{w} {w}", 0.05, None)), ("length", *_ORDER)),
        "two texts in one in a fifth": TextFault(_joined, ("length", "unknown lengths", *_ORDER)),
        "a tenth of the blanks lost": TextFault(
            each(lambda t, r: "".join(c for c in t if c != " " or r.random() >= 0.1)),
            (*_WORDS, "length")),
        "rare words made common in a tenth": TextFault(
            _plainer, ("different words", "unmarked mentions", *_WORDS, *_ORDER)),
        "one value a label in half of the texts": TextFault(
            _one_value, ("words of each label", "repeats", "near repeats", "different words", *_WORDS), _S),
        "two span labels made one": TextFault(
            _merged, ("labels", "words of each label", "contradicted labels"), _S),
    },
}  # fmt: skip
