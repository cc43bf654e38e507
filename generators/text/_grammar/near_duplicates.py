"""How many texts of a set nearly repeat another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

_MOST = 2_000
_ALIKE = 0.8


def near_duplicate_fraction(texts: Sequence[str], alike: float = _ALIKE) -> float:
    """Return the share of texts that share nearly all pairs of neighbouring words with another.

    Parameters
    ----------
    texts : sequence of str
        The texts; the work grows with the square of their number.
    alike : float
        Least Jaccard index of the sets of word pairs, above 0 and at most 1.

    Examples
    --------
    >>> near_duplicate_fraction(["where is my tea now", "where is my tea", "thanks a lot"])
    0.0
    >>> near_duplicate_fraction(["where is my tea now", "where is my tea", "thanks a lot"], 0.5)
    0.6666666666666666
    """
    from scipy.sparse import csr_array

    if len(texts) < 2:
        return 0.0
    number: dict[tuple[str, str], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for i, text in enumerate(texts):
        words = ["", *text.lower().split(), ""]
        for pair in set(pairwise(words)):
            rows.append(i)
            columns.append(number.setdefault(pair, len(number)))
    ones = np.ones(len(rows), dtype=np.int32)
    table = csr_array((ones, (rows, columns)), shape=(len(texts), len(number)))
    sizes = np.asarray(table.sum(axis=1)).ravel()
    shared = (table @ table.T).tocoo()
    union = sizes[shared.row] + sizes[shared.col] - shared.data
    near = (shared.row != shared.col) & (shared.data >= alike * union)
    return len(np.unique(shared.row[near])) / len(texts)


@dataclass
class NearDuplicates:
    """The first texts of a set, to be compared at its end."""

    texts: list[str] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        """Whether more texts are wanted."""
        return len(self.texts) < _MOST

    def add(self, texts: Sequence[str]) -> None:
        """Keep as many of the texts as are still wanted."""
        self.texts += texts[: _MOST - len(self.texts)]

    def notes(self) -> tuple[str, ...]:
        """Return what the card tells of near-duplicates."""
        if len(self.texts) < 2:
            return ()
        share = near_duplicate_fraction(self.texts)
        return (
            f"Near-duplicates: {share:.1%} of the first {len(self.texts):,} texts share {_ALIKE:.0%} "
            "of their word pairs with another one.",
        )
