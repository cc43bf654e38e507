"""Matches of synthetic rows with single real persons over many blocks of columns, with exact tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import GOLDEN, scramble, spread

from ._canonical import Codes

Keys = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]

# Share of unseen rows with a value that the other set lacks, up to which such values are no match: a
# generator may know the levels and rounded numbers of train without knowing a person. Of columns with
# more, such as amounts, every value counts.
_MAX_UNSEEN = 0.02
NEVER = np.iinfo(np.int64).max  # matches of the rarest block where no block matches
# Numbers of matched persons of a block up to which blocks are joined, by factors of two: below 1 there
# is no match, above 2 ** 20 the tables are cut.
_LIMITS = tuple(2**k for k in range(21))


@dataclass(frozen=True)
class RealPersons:
    """Real rows by person: train persons come first; a person of both sets counts as two."""

    order: Codes  # Positions of the rows, train then holdout, person by person, shape (n + m,)
    person: Codes  # Person of each row in that order
    n_train: int  # Train persons
    n_unseen: int  # Persons of the holdout

    @classmethod
    def from_codes(cls, train: Codes, holdout: Codes) -> RealPersons:
        """Return the persons of rows whose persons are given as codes from 0."""
        first = np.unique(train, return_inverse=True)[1].ravel()
        other = np.unique(holdout, return_inverse=True)[1].ravel()
        n = int(first.max(initial=-1)) + 1
        person = np.concatenate([first, other + n]).astype(np.int64)
        order = np.argsort(person, kind="stable")
        return cls(order, person[order], n, int(other.max(initial=-1)) + 1)

    @property
    def n(self) -> int:
        """Number of persons."""
        return self.n_train + self.n_unseen


@dataclass(frozen=True)
class Cells:
    """Hashes of cells by column: the key of a block is their sum; shapes (p, n + m) and (p, c)."""

    real: Keys
    synthetic: Keys

    @classmethod
    def from_codes(cls, columns: Sequence[tuple[Codes, Codes]], persons: RealPersons) -> Cells:
        """Return the hashes of columns of codes, with real rows in the order of their persons."""
        parts = []
        is_train = persons.person < persons.n_train
        for j, (real, synthetic) in enumerate(columns):
            ordered = real[persons.order]
            salt = scramble(np.array([j], dtype=np.uint64)) * GOLDEN
            hashed, other = (
                scramble(part.astype(np.uint64) + salt) for part in (ordered, synthetic)
            )
            size = int(max(real.max(initial=0), synthetic.max(initial=0))) + 1
            seen = [
                np.bincount(ordered[side], minlength=size) > 0 for side in (is_train, ~is_train)
            ]
            one_sided = ~(seen[0] & seen[1])[ordered]
            if one_sided.mean() < _MAX_UNSEEN:
                rows = np.flatnonzero(one_sided).astype(np.uint64)
                hashed[one_sided] = scramble(spread(rows + salt + np.uint64(1)))  # equal to no cell
            parts.append((hashed, other))
        return cls(np.array([a for a, _ in parts]), np.array([b for _, b in parts]))


@dataclass
class MatchScan:
    """Counts of matched persons in every block, and the rarest block that matched each person and row."""

    persons: RealPersons
    n_synthetic: int
    members: Codes | None = None  # Persons of the whole set that were compared; None for all
    blocks: list[tuple[tuple[int, ...], int, int]] = field(default_factory=list)
    rarest: Codes = field(init=False)  # Matches of the rarest block of each person
    rarest_row: Codes = field(init=False)  # The same of each synthetic row

    def __post_init__(self) -> None:
        self.rarest = np.full(self.persons.n, NEVER)
        self.rarest_row = np.full(self.n_synthetic, NEVER)

    def add(self, name: tuple[int, ...], real: Keys, synthetic: Keys) -> float:
        """Match the keys of one block, real ones in the order of their persons.

        Returns the share of real rows that are single.
        """
        person, row, n_single = match_single_persons(real, synthetic, self.persons.person)
        hit = np.zeros(self.persons.n, dtype=bool)
        hit[person] = True
        matched, n = int(hit[: self.persons.n_train].sum()), int(hit.sum())
        self.blocks.append((name, matched, n))
        self.rarest[hit] = np.minimum(self.rarest[hit], n)
        self.rarest_row[row] = np.minimum(self.rarest_row[row], n)
        return n_single / max(len(real), 1)

    def within(self, mask: Mask) -> Mask:
        """Return a mask of all persons as one of those that were compared."""
        return mask if self.members is None else mask[self.members]

    def count(self, limit: int, mask: Mask | None = None) -> tuple[int, int]:
        """Return the matched train persons and others of blocks with at most `limit` of them."""
        hit = self.rarest <= limit
        if mask is not None:
            hit &= mask
        matched = int(hit[: self.persons.n_train].sum())
        return matched, int(hit.sum()) - matched

    def limits(self) -> list[int]:
        """Return the limits that join different blocks, rising; the last joins all."""
        found = np.unique(self.rarest[self.rarest < NEVER])
        steps = {int(np.searchsorted(found, limit, side="right")): limit for limit in _LIMITS[::-1]}
        return sorted(limit for at, limit in steps.items() if at)

    def rows_per_person(self, limit: int) -> float:
        """Return the matched synthetic rows over the matched persons, at least 1."""
        matched = sum(self.count(limit))
        return max(1.0, float((self.rarest_row <= limit).sum()) / max(matched, 1))


def match_single_persons(real: Keys, synthetic: Keys, person: Codes) -> tuple[Codes, Codes, int]:
    """Return persons and synthetic rows with a key of one person alone, and the number of such rows.

    `real`, shape (n,), has the keys of real rows ordered by `person`. Real and synthetic keys are sorted
    together, with their positions in the last bits.

    Examples
    --------
    >>> keys = lambda *values: np.array(values, dtype=np.uint64) << np.uint64(40)
    >>> persons, rows, n = match_single_persons(keys(7, 7, 8, 9), keys(9, 8, 5, 9), np.arange(4))
    >>> sorted(zip(persons.tolist(), rows.tolist())), n
    ([(2, 1), (3, 0), (3, 3)], 2)
    """
    n = len(real)
    total = n + len(synthetic)
    bits = np.uint64(max(total, 1).bit_length())
    mask = (np.uint64(1) << bits) - np.uint64(1)
    packed = np.concatenate([real, synthetic])
    packed &= ~mask
    packed |= np.arange(total, dtype=np.uint64)
    packed.sort()
    at = packed & mask
    packed >>= bits
    is_new = packed[1:] != packed[:-1]
    is_real = at < np.uint64(n)
    # Real rows come first in a run of equal keys, person by person, so that its first and last one show
    # whether they are of one person.
    last = np.flatnonzero(is_real[:-1] & ~is_real[1:] & ~is_new)
    starts = np.append(np.flatnonzero(is_new) + 1, total)
    run = np.searchsorted(starts, last, side="right")
    first = np.where(run > 0, starts[run - 1], 0)
    owner = person[at[last].astype(np.int64)]
    single = person[at[first].astype(np.int64)] == owner
    last, ends, owner = last[single], starts[run[single]], owner[single]
    sizes = ends - last - 1
    rows = np.repeat(last + 1 - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    is_first, is_last = np.append(True, is_new), np.append(is_new | ~is_real[1:], True)
    unique = int(np.count_nonzero(is_real & is_first & is_last))
    return np.repeat(owner, sizes), at[rows].astype(np.int64) - n, unique


def scan_all_but(cells: Cells, scan: MatchScan, dropped: Iterable[tuple[int, ...]]) -> float:
    """Match rows over all columns but those of each tuple; return the largest share of single rows."""
    whole = [part.sum(axis=0, dtype=np.uint64) for part in (cells.real, cells.synthetic)]
    single = 0.0
    for names in dropped:
        real, synthetic = whole[0].copy(), whole[1].copy()
        for j in names:
            real -= cells.real[j]
            synthetic -= cells.synthetic[j]
        single = max(single, scan.add(names, real, synthetic))
    return single


def scan_blocks(cells: Cells, scan: MatchScan, blocks: Iterable[tuple[int, ...]]) -> None:
    """Match rows over the columns of each tuple."""
    for names in blocks:
        real, synthetic = cells.real[names[0]].copy(), cells.synthetic[names[0]].copy()
        for j in names[1:]:
            real += cells.real[j]
            synthetic += cells.synthetic[j]
        scan.add(names, real, synthetic)
