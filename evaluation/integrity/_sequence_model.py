"""`SequenceModel`: how likely each letter or word is after those before it, learnt from real texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._bootstrap_metric import Bools, Floats, Ints
from ._text_arrays import NOTHING, Hashes, TextArrays, chain, scramble

LETTER_ORDER, WORD_ORDER = 5, 3
_TABLE_BITS = 21  # 2 million counters an order: 20,000 texts have some 500,000 different runs
_WEIGHT = 2.0  # of the shorter context, in observations: after ten, a context speaks for itself
_MIN_USES = 3  # of a word in train texts; rarer ones are new in real texts too, and share a symbol
_WORD_PADDING = WORD_ORDER - 1
_WINDOW = 12  # characters: two words of another language, or one of noise
_BEGINNING = 6  # characters: a text that is cut at its front begins within a word
_PAD = np.uint64(7)
_MIN_SPELT_LETTERS = 4  # shorter words are one letter off many others: "cat", "car", "can"
_LONG = 7  # letters of a rare word from which on it is long: names differ from function words


@dataclass(frozen=True)
class SequenceModel:
    """Interpolated n-gram model with hashed counts.

    p_k(s | context) = (c(context s) + w p_{k-1}(s | shorter context)) / (c(context) + w), the order k
    from 1 to n; p_0 is 1 by the number of different symbols.

    References
    ----------
    MacKay and Peto, "A hierarchical Dirichlet language model", Natural Language Engineering 1, 1995.
    """

    counts: tuple[npt.NDArray[np.float32], ...]  # of the runs of 1, 2, ... symbols
    n_symbols: int
    n_runs: int

    @classmethod
    def fit(cls, symbols: Hashes, order: int) -> SequenceModel:
        """Return the model of one sequence of symbols."""
        counts = tuple(
            np.bincount(cells, minlength=1 << _TABLE_BITS).astype(np.float32)
            for cells in _cells(symbols, order)
        )
        return cls(counts, len(np.unique(symbols)) + 1, len(symbols))

    def log_probabilities(self, symbols: Hashes) -> Floats:
        """Return the logarithm of the probability of each symbol, shape (s,)."""
        found = np.full(len(symbols), 1 / self.n_symbols, dtype=np.float32)
        before = np.full(len(symbols), self.n_runs, dtype=np.float32)
        for cells, counts in zip(_cells(symbols, len(self.counts)), self.counts):
            of_run = counts[cells]
            found = (of_run + _WEIGHT * found) / (before + _WEIGHT)
            before = np.concatenate([before[:1], of_run[:-1]])
        return np.log(found).astype(np.float64)


def _cells(symbols: Hashes, order: int) -> list[Ints]:
    """Return the counter of the run of 1, 2, ... symbols that ends at each symbol."""
    single = scramble(symbols)
    run, found = single, []
    for _ in range(order):
        found.append((run >> np.uint64(64 - _TABLE_BITS)).astype(np.int64))
        run = np.concatenate([single[:1], chain(run[:-1], single[1:])])
    return found


@dataclass(frozen=True)
class LetterModel:
    """Letters of real texts in lowercase."""

    model: SequenceModel

    @classmethod
    def fit(cls, texts: TextArrays) -> LetterModel:
        """Return the model of real train texts."""
        return cls(SequenceModel.fit(texts.lower.astype(np.uint64), LETTER_ORDER))

    def surprises(self, texts: TextArrays) -> dict[str, Floats]:
        """Return how unlikely the letters of each text are: all, the worst run, first and last ones."""
        missing = -self.model.log_probabilities(texts.lower.astype(np.uint64))
        ends = missing[texts.ends]
        missing[texts.classes == NOTHING] = 0.0
        total = np.concatenate([[0.0], np.cumsum(missing)])
        lengths = np.maximum(texts.ends - texts.starts, 1)
        width = np.minimum(_BEGINNING, lengths)
        # Padding is as wide as the context, so that runs may begin within the last characters.
        last = np.minimum(np.arange(len(missing)) + _WINDOW, len(missing))
        runs = np.append(total[last] - total[:-1], 0.0)
        return {
            "letters": (total[texts.ends] - total[texts.starts]) / lengths,
            "run of letters": _largest(runs, texts),
            "beginning": (total[texts.starts + width] - total[texts.starts]) / width,
            "end": ends,
        }


def _largest(runs: Floats, texts: TextArrays) -> Floats:
    """Return the largest value within each text; an empty one has that of its padding."""
    edges = np.column_stack([texts.starts, np.maximum(texts.ends, texts.starts + 1)]).ravel()
    return np.asarray(np.maximum.reduceat(runs, edges)[::2]) if len(texts) else np.zeros(0)


@dataclass(frozen=True)
class WordModel:
    """Order of the words of real texts; rare words count as one of a few symbols."""

    model: SequenceModel
    known: Hashes  # sorted
    uses: Ints  # in train texts
    near: Hashes  # longer words that are used often, whole and without any one letter; sorted

    @classmethod
    def fit(cls, texts: TextArrays) -> WordModel:
        """Return the model of real train texts."""
        known, uses = np.unique(texts.words, return_counts=True)
        bare = cls(SequenceModel((), 1, 1), known, uses, known[:0])
        often = bare._may_be_misspelt(texts) & (bare.count(texts.words) >= _MIN_USES)
        near = np.unique(np.concatenate([texts.words[often], texts.without_a_letter(often)[0]]))
        model = SequenceModel.fit(bare._sequence(texts)[0], WORD_ORDER)
        return cls(model, known, uses, near)

    def count(self, words: Hashes) -> Ints:
        """Return how often train texts use each word."""
        return look_up(words, self.known, self.uses)

    def misspelt(self, texts: TextArrays) -> Bools:
        """Return which unknown words are one letter off a frequent one, shape (t,).

        Two words are one letter off if they are equal, each without at most one of its letters.
        """
        unknown = self._may_be_misspelt(texts) & (self.count(texts.words) == 0)
        hashes, token = texts.without_a_letter(unknown)
        found: Bools = unknown & np.isin(texts.words, self.near)
        found[token[np.isin(hashes, self.near)]] = True
        return found

    def _may_be_misspelt(self, texts: TextArrays) -> Bools:
        size = texts.tokens[1] - texts.tokens[0]
        is_long: Bools = size >= _MIN_SPELT_LETTERS
        return np.asarray(texts.is_word & (texts.digits == 0) & is_long)

    def surprises(self, texts: TextArrays) -> dict[str, Floats]:
        """Return how unlikely the words of each text are: all, the worst two, first and last ones."""
        symbols, place = self._sequence(texts)
        missing = -self.model.log_probabilities(symbols)
        own = missing[place]
        n = np.maximum(texts.n_tokens, 1)
        pairs = own.copy()
        pairs[1:] += np.where(texts.owner[1:] == texts.owner[:-1], own[:-1], 0.0)
        worst = np.zeros(len(texts))
        np.maximum.at(worst, texts.owner, pairs)
        begin = np.cumsum(texts.n_tokens + _WORD_PADDING) - texts.n_tokens
        return {
            "words": texts.by_text(own) / n,
            "run of words": worst,
            "first words": missing[begin],
            "last words": missing[begin + texts.n_tokens],
        }

    def _sequence(self, texts: TextArrays) -> tuple[Hashes, Ints]:
        """Return the symbols of all texts with padding between, and the place of each token."""
        place = np.arange(len(texts.words)) + _WORD_PADDING * (texts.owner + 1)
        symbols = np.full(len(texts.words) + _WORD_PADDING * (len(texts) + 1), _PAD)
        size = texts.tokens[1] - texts.tokens[0]
        rare = 10 + (texts.digits > 0) + 2 * (size >= _LONG).astype(np.int64)
        is_known = self.count(texts.words) >= _MIN_USES
        symbols[place] = np.where(is_known, texts.words, rare.astype(np.uint64))
        return symbols, place


def look_up(keys: Hashes, known: Hashes, values: npt.NDArray[np.int64]) -> Ints:
    """Return the value of each key among sorted known ones, 0 for an unknown key."""
    if not len(known):
        return np.zeros(len(keys), dtype=np.int64)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    return np.where(known[place] == keys, values[place], 0)
