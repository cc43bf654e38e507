"""Patterns of texts: what they are cut into, how often each piece is used, how far sides are apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.stats.bootstrap import Groups, total_variation

from ._near_repeats import near_repeats

Floats = npt.NDArray[np.float64]
Pattern = tuple[str, float, Floats]
"""Title, distance of all rows, and its replicates, shape (b,)."""

_COMMON = 200
_WORD = re.compile(r"\w+|[^\w\s]")
_NUMBER = re.compile(r"\d+")


def words_of(text: str) -> list[str]:
    """Return the words and the marks of a text, in small letters.

    Examples
    --------
    >>> words_of("Play it, Sam!")
    ['play', 'it', ',', 'sam', '!']
    """
    return _WORD.findall(text.lower())


def pairs_of(text: str) -> list[str]:
    """Return the pairs of neighbouring words of a text.

    Examples
    --------
    >>> pairs_of("Play it again")
    ['play it', 'it again']
    """
    words = words_of(text)
    return [f"{one} {two}" for one, two in pairwise(words)]


def shapes_of(text: str) -> list[str]:
    """Return the shapes of the words of a text: large and small letters, digits, and marks as they are.

    Examples
    --------
    >>> shapes_of("Play U2, now 4x!")
    ['Aa', 'A0', ',', 'a', '0a', '!']
    """
    return [_shape(word) for word in _WORD.findall(text)]


def ordered(texts: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what cuts a text into pairs of neighbours, rarer words told by their shape alone.

    Of rare words hardly any pair is ever used twice, and their order would go unseen. What begins and
    what ends a text is a pair with nothing.

    Parameters
    ----------
    texts : sequence of str
        Real texts; their 200 commonest words are told by themselves.

    Examples
    --------
    >>> ordered(["is it on", "is it off"])("is it Monday")
    ['| is', 'is it', 'it <Aa>', '<Aa> |']
    """
    used = Counter(word for text in texts for word in words_of(text))
    common = {word for word, n in used.most_common(_COMMON) if n > 1}

    def cut(text: str) -> list[str]:
        words = _WORD.findall(text)
        # In brackets, because "a" is a word and a shape.
        told = [w.lower() if w.lower() in common else f"<{_shape(w)}>" for w in words]
        return [f"{one} {two}" for one, two in pairwise(["|", *told, "|"])]

    return cut


def ends_of(texts: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what gives the last piece of a text, told as in `ordered`.

    Examples
    --------
    >>> ends_of(["is it on"])("is it Monday?")
    ['<?> |']
    """
    cut = ordered(texts)
    return lambda text: cut(text)[-1:]


def numbers_of(text: str) -> list[str]:
    """Return the size of each number of a text: its first digit, and a 0 for each that follows.

    Examples
    --------
    >>> numbers_of("2 seats at 19:30 in 2019")
    ['2', '10', '30', '2000']
    """
    return [found[0] + "0" * (len(found) - 1) for found in _NUMBER.findall(text)]


def strings(rows: Dataset, name: str) -> list[str]:
    """Return the texts of a column; one that is missing is empty."""
    return [text or "" for text in rows.records.column(name).to_pylist()]


def uses(pieces: Sequence[Sequence[str]], place: Mapping[str, int], deal: Groups) -> Floats:
    """Return how often the rows of each group use each known piece, and any other, (g, k + 1)."""
    other = len(place)
    counts = np.zeros((deal.size, other + 1))
    for group, own in zip(deal.group, pieces):
        for piece in own:
            counts[group, place.get(piece, other)] += 1
    return counts


def variation_pattern(title: str, counts: Sequence[Floats], deals: Sequence[Groups]) -> Pattern:
    """Return the total variation distance of two sides, from the counts of each group of either."""
    if any(not table.sum() for table in counts):  # no text of one side has two words, say
        whole = float(counts[0].sum() != counts[1].sum())
        return title, whole, np.full(len(deals[0].draws), whole)
    (real, real_drawn), (made, made_drawn) = (
        _shares(deal, table) for deal, table in zip(deals, counts)
    )
    return title, float(total_variation(made, real)[0]), total_variation(made_drawn, real_drawn)


def shifted(title: str, counts: Sequence[Floats], deals: Sequence[Groups]) -> Pattern:
    """Return the largest difference of the shares up to a cell: cells have an order, as lengths do.

    Less of it is chance than of a total variation distance (Kolmogorov-Smirnov, on cells).
    """
    (real, real_drawn), (made, made_drawn) = (
        tuple(shares.cumsum(axis=1) for shares in _shares(deal, table))
        for deal, table in zip(deals, counts)
    )
    whole, drawn = np.abs(made - real).max(axis=1), np.abs(made_drawn - real_drawn).max(axis=1)
    return title, float(whole[0]), drawn


def last_words(
    name: str, real: Sequence[str], sides: Sequence[Sequence[str]], deals: Sequence[Groups]
) -> Pattern:
    """Return how far apart the shares of texts are whose last word ends no real train text."""
    known = {words[-1] for text in real if (words := words_of(text))}
    counts = []
    for texts, deal in zip(sides, deals):
        new = [bool(words) and words[-1] not in known for words in map(words_of, texts)]
        counts.append(deal.counts(np.array(new, dtype=np.int64), 2))
    return variation_pattern(f"unknown last words of {name}", counts, deals)


def repetition(name: str, sides: Sequence[Dataset], deals: Sequence[Groups]) -> Iterator[Pattern]:
    """Yield how far apart the shares of repeats, near repeats and different words are.

    Different words are counted among the texts of each group, a fiftieth of a side, and so in equal
    numbers of texts on both sides.
    """
    told = [strings(side, name) for side in sides]
    counts = []
    for texts, deal in zip(told, deals):
        times = Counter(texts)
        repeats = np.array([times[text] > 1 for text in texts], dtype=np.int64)
        counts.append(deal.counts(repeats, 2))
    yield variation_pattern(f"repeats of {name}", counts, deals)
    yield variation_pattern(
        f"near repeats of {name}", [_near(*pair) for pair in zip(told, deals)], deals
    )
    counts = [_variety(texts, deal) for texts, deal in zip(told, deals)]
    yield variation_pattern(f"different words of {name}", counts, deals)


def _near(texts: Sequence[str], deal: Groups) -> Floats:
    """Return how many texts of each group do not and do nearly repeat another one, (g, 2)."""
    near, seen = near_repeats([words_of(text) for text in texts])
    return deal.counts(np.where(seen, near, 2), 3)[:, :2]


def _variety(texts: Sequence[str], deal: Groups) -> Floats:
    """Return how many of the words of each group are new in it and how many repeat, (g, 2)."""
    seen: list[set[str]] = [set() for _ in range(deal.size)]
    n_words = np.zeros(deal.size)
    for group, text in zip(deal.group, texts):
        words = words_of(text)
        seen[group].update(words)
        n_words[group] += len(words)
    new = np.array([len(words) for words in seen], dtype=np.float64)
    return np.column_stack([new, n_words - new])


def _shares(deal: Groups, counts: Floats) -> tuple[Floats, Floats]:
    whole, drawn = counts.sum(axis=0, keepdims=True), deal.draws @ counts
    return whole / whole.sum(), drawn / np.maximum(drawn.sum(axis=1, keepdims=True), 1)


@lru_cache(maxsize=1 << 16)  # the same words come again and again, and this took half of the time
def _shape(word: str) -> str:
    if not word[0].isalnum():
        return word
    found = "".join("A" if c.isupper() else "0" if c.isdigit() else "a" for c in word)
    return re.sub(r"(.)\1+", r"\1", found)
