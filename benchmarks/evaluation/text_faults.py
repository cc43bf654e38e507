"""Faults to plant into real texts that were never used, and the patterns that a report should name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from string import ascii_lowercase
from typing import Any

import numpy as np

from benchmarks.datasets import TextRow, sms, snips
from benchmarks.runner import load_yaml

Rng = np.random.Generator
Rows = list[TextRow]
Marks = list[dict[str, Any]]

SIZES = {"snips": (4_000, 2_000, 4_000), "sms": (2_200, 1_100, 2_200)}  # train, fresh, holdout
_YAML = load_yaml(__file__, "text_faults.yaml")


def text_parts(name: str, seed: int) -> list[Rows]:
    """Return three disjoint random parts of a set: train, fresh rows and holdout."""
    rows = snips("train") if name == "snips" else sms()
    order = np.random.default_rng(seed).permutation(len(rows))
    return [[rows[i] for i in part] for part in np.split(order, np.cumsum(SIZES[name]))[:3]]


def _pick(values: Sequence[Any], rng: Rng) -> Any:
    return values[int(rng.integers(len(values)))]


def _each(rows: Rows, change: Callable[[str], str], share: float, rng: Rng) -> Rows:
    """Change a share of the texts; spans move to where their text now is, or are dropped."""
    return [
        _with_text(row, change(row["said"]) if rng.random() < share else row["said"])
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


def _cut_off(text: str, rng: Rng) -> str:
    return text[: int(rng.integers(len(text) // 2, len(text)))] if len(text) > 3 else text


def _broken(text: str, rng: Rng) -> str:
    at = int(rng.integers(len(text) + 1))
    return text[:at] + "Ã\u0083Â©" + text[at:]


def _letters_swapped(word: str, rng: Rng) -> str:
    if len(word) < 3:
        return word
    at = int(rng.integers(0, len(word) - 1))
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _misspelt(word: str, rng: Rng) -> str:
    if len(word) < 3:
        return word
    at, letter = int(rng.integers(len(word))), ascii_lowercase[int(rng.integers(26))]
    return word[:at] + ("", word[at] * 2, letter)[int(rng.integers(3))] + word[at + 1 :]


def _neighbors_swapped(own: list[str], rng: Rng) -> list[str]:
    if len(own) > 1:
        at = int(rng.integers(len(own) - 1))
        own[at : at + 2] = own[at + 1], own[at]
    return own


TEXTS: dict[str, Callable[[str, Rng], str]] = {
    "small": lambda text, rng: text.lower(),
    "capitals": lambda text, rng: text.upper(),
    "unpunctuated": lambda text, rng: re.sub(r"[^\w\s]", "", text),
    "cut_off": _cut_off,
    "polite": lambda text, rng: f"{text} please",
    "broken": _broken,
    "marked_up": lambda text, rng: f"<p>{text}</p>",
    "german": lambda text, rng: str(_pick(_YAML["german"], rng)),
    "empty": lambda text, rng: "",
    "first_word_lost": lambda text, rng: " ".join(text.split()[1:]) or text,
    "blanks_lost": lambda text, rng: "".join(c for c in text if c != " " or rng.random() >= 0.1),
}
WORDS: dict[str, Callable[[str, Rng], str]] = {
    "letters_swapped": _letters_swapped,
    "misspelt": _misspelt,
}
LISTS: dict[str, Callable[[list[str], Rng], list[str]]] = {
    "two_thirds": lambda own, rng: own[: max(1, 2 * len(own) // 3)],
    "thinned": lambda own, rng: [word for word in own if rng.random() >= 0.25] or own[:1],
    "shuffled": lambda own, rng: [own[i] for i in rng.permutation(len(own))],
    "neighbors_swapped": _neighbors_swapped,
}


def _shifted(row: TextRow, labels: list[str], rng: Rng, by: float) -> Marks:
    found = []
    for mark in row["marks"]:
        start, end = mark["start"] + 1, min(mark["end"] + 1, len(row["said"]))
        hit = rng.random() < by and start < end
        found.append({**mark, "start": start, "end": end} if hit else mark)
    return found


def _swapped(row: TextRow, labels: list[str], rng: Rng, by: float) -> Marks:
    """Exchange the labels of two spans of a text."""
    marks = [dict(mark) for mark in row["marks"]]
    if len(marks) > 1 and rng.random() < by:
        one, other = rng.permutation(len(marks))[:2]
        marks[one]["label"], marks[other]["label"] = marks[other]["label"], marks[one]["label"]
    return marks


def _longer(row: TextRow, labels: list[str], rng: Rng, by: float) -> Marks:
    """Extend spans to the next word, where no other span begins before its end."""
    said, found = row["said"], []
    starts = [mark["start"] for mark in row["marks"]]
    for mark in row["marks"]:
        blank = said.find(" ", mark["end"] + 1)
        end = blank if blank > 0 else len(said)
        free = not any(mark["end"] <= start < end for start in starts) and end > mark["end"]
        found.append({**mark, "end": end} if rng.random() < by and free else mark)
    return found


def _added(row: TextRow, labels: list[str], rng: Rng, by: float) -> Marks:
    """Mark a word that is in no span, with a label of the set."""
    said, marks = row["said"], row["marks"]
    places = [(m.start(), m.end()) for m in re.finditer("[^ ]+", said)]
    free = [
        (start, end)
        for start, end in places
        if not any(m["start"] < end and start < m["end"] for m in marks)
    ]
    if not free or rng.random() >= by:
        return list(marks)
    start, end = _pick(free, rng)
    new = {"start": start, "end": end, "label": _pick(labels, rng), "value": said[start:end]}
    return sorted([*marks, new], key=lambda mark: mark["start"])


MARKS: dict[str, Callable[[TextRow, list[str], Rng, float], Marks]] = {
    "shifted": _shifted,
    "swapped": _swapped,
    "longer": _longer,
    "added": _added,
    "fewer": lambda row, labels, rng, by: [m for m in row["marks"] if rng.random() >= by],
    "relabelled": lambda row, labels, rng, by: [
        {**m, "label": _pick(labels, rng)} if rng.random() < by else m for m in row["marks"]
    ],
}


def _ranked(values: Iterable[str]) -> list[str]:
    return [value for value, _ in Counter(values).most_common()]


def _words_of(rows: Rows, *, small: bool = False) -> Iterator[str]:
    for row in rows:
        yield from (row["said"].lower() if small else row["said"]).split()


def _labels(rows: Rows) -> list[str]:
    return [mark["label"] for row in rows for mark in row["marks"]]


def _classes(rows: Rows) -> list[str]:
    return _ranked(row["about"] for row in rows)


def class_share(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    rarest = _classes(train)[-1]
    return [r for r in rows if r["about"] != rarest or (by and rng.random() < by)]


def flipped(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    classes, found = _classes(train), []
    for row in rows:
        wrong = _pick([label for label in classes if label != row["about"]], rng)
        found.append({**row, "about": wrong} if rng.random() < by else row)
    return found


def poorer(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    """Replace each word of the rarer half of the vocabulary by a common word."""
    ranked = _ranked(_words_of(train, small=True))
    left, common = set(ranked[: len(ranked) // 2]), ranked[:200]

    def change(text: str) -> str:
        return " ".join(w if w.lower() in left else _pick(common, rng) for w in text.split())

    return [_with_text(row, change(row["said"])) for row in rows]


def plainer(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    common = _ranked(_words_of(train))[:100]
    return _each(rows, lambda text: " ".join(
        _pick(common, rng) if rng.random() < by else word for word in text.split()
    ), 1.0, rng)  # fmt: skip


def doubled(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    return _each(rows, lambda text: " ".join(
        f"{word} {word}" if rng.random() < by else word for word in text.split()
    ), 1.0, rng)  # fmt: skip


def other_words(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    """Replace every second longer word of the rarest class by a word that only other classes use."""
    rarest = _classes(train)[-1]
    own = set(_words_of([row for row in train if row["about"] == rarest], small=True))
    rest = Counter(_words_of([row for row in train if row["about"] != rarest], small=True))
    others = [w for w, n in rest.most_common() if w not in own and n > 1][:300]

    def spoil(text: str) -> str:
        hits = (len(word) > 3 and rng.random() < 0.5 for word in text.split())
        return " ".join(_pick(others, rng) if hit else w for w, hit in zip(text.split(), hits))

    return [_each([row], spoil, 1.0, rng)[0] if row["about"] == rarest else row for row in rows]


def repeated(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    n = round(by * len(rows))
    return rows[n:] + [rows[n:][int(i)] for i in rng.integers(0, len(rows) - n, n)]


def near_repeated(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    """Replace a fifth of the rows by others in which one word is another one of the set."""
    n = len(rows) // 5
    left = rows[n:]
    every = list(_words_of(left))

    def change(text: str) -> str:
        own = text.split()
        if own:
            own[int(rng.integers(len(own)))] = _pick(every, rng)
        return " ".join(own)

    return left + _each([left[int(i)] for i in rng.integers(0, len(left), n)], change, 1.0, rng)


def without_a_slice(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    """Drop the texts of the most frequent class that hold the word which is most frequent only there."""
    label, used = _classes(train)[0], Counter[str]()
    for row in train:
        inside = 1 if row["about"] == label else -1
        used.update(dict.fromkeys(set(row["said"].lower().split()), inside))
    word = used.most_common(1)[0][0]
    return [r for r in rows if r["about"] != label or word not in r["said"].lower().split()]


def _by_length(rows: Rows, train: Rows, level: float, *, longer: bool) -> Rows:
    """Leave the texts above or up to a quantile of the number of words."""
    bound = np.quantile([len(row["said"].split()) for row in train], level)
    return [row for row in rows if (len(row["said"].split()) > bound) == longer]


def renumbered(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    """Draw every digit again; texts stay as long as they are, and spans in their places."""
    draw = partial(re.sub, r"\d", lambda digit: str(rng.integers(10)))
    return [{**row, "said": draw(row["said"])} for row in rows]


def joined(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    others = rng.permutation(len(rows))
    return [
        {**row, "said": f"{row['said']} {rows[int(at)]['said']}"} if rng.random() < by else row
        for row, at in zip(rows, others)
    ]


def label_dropped(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    label = _ranked(_labels(train))[0]
    return [{**r, "marks": [m for m in r["marks"] if m["label"] != label]} for r in rows]


def merged(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    """Give the second most frequent label of spans the name of the most frequent one."""
    one, two = _ranked(_labels(train))[:2]
    return [
        {**r, "marks": [{**m, "label": one} if m["label"] == two else m for m in r["marks"]]}
        for r in rows
    ]


def one_value(rows: Rows, train: Rows, rng: Rng, by: float) -> Rows:
    """Give every span of a label the same words, the most frequent ones, in some of the texts."""
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

    return [change(row) if rng.random() < by else row for row in rows]


PLANTS: dict[str, Callable[[Rows, Rows, Rng, float], Rows]] = {
    "up_to_quantile": lambda rows, train, rng, by: _by_length(rows, train, by, longer=False),
    "beyond_quantile": lambda rows, train, rng, by: _by_length(rows, train, by, longer=True),
    **{
        f.__name__: f
        for f in (class_share, flipped, poorer, plainer, doubled, other_words, repeated)
        + (near_repeated, without_a_slice, renumbered, joined, label_dropped, merged, one_value)
    },
}


def plant_text_fault(name: str, rows: Rows, train: Rows, rng: Rng) -> Rows:
    """Return fresh rows with a fault of text_faults.yaml."""
    fault = FAULTS[name]
    by, share = fault.get("by", 1.0), fault.get("share", 1.0)
    if "plant" in fault:
        return PLANTS[fault["plant"]](rows, train, rng, by)
    if "marks" in fault:
        labels, change = _labels(train), MARKS[fault["marks"]]
        return [{**row, "marks": change(row, labels, rng, by)} for row in rows]
    return _each(rows, lambda text: _changed(text, fault, by, rng), share, rng)


def _changed(text: str, fault: dict[str, Any], by: float, rng: Rng) -> str:
    if "text" in fault:
        return TEXTS[fault["text"]](text, rng)
    if "list" in fault:
        return " ".join(LISTS[fault["list"]](text.split(), rng))
    change = WORDS[fault["words"]]
    return " ".join(change(w, rng) if rng.random() < by else w for w in text.split(" "))


def shown_names(name: str) -> tuple[str, ...]:
    """Return the names that a good report gives first: beginnings, or the label column."""
    return tuple(_flat(FAULTS[name]["shown"]))


def _flat(names: Sequence[Any]) -> list[str]:
    return [n for one in names for n in ([one] if isinstance(one, str) else _flat(one))]


TEXT_FAULTS: dict[str, dict[str, dict[str, Any]]] = _YAML["faults"]
FAULTS = {name: fault for faults in TEXT_FAULTS.values() for name, fault in faults.items()}
