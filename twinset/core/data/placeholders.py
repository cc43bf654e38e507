"""Fresh identifiers and placeholder texts for the columns that no generator may learn."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Field
from twinset.core.errors import DataError
from twinset.core.seeding import rng_for, scramble

Whole = npt.NDArray[np.uint64]

_ENOUGH = 20  # ids that must share a digit before it counts as fixed
_SHOWN = 10_000  # ids that the shape is read from
_LARGEST_COUNTER = 2**40  # a larger number is no counter, and floats stay exact far beyond it
# Share of a block that may be taken: drawing a free id from fuller ones takes many tries
_DENSE = 0.1

_FINE = str.maketrans(
    string.digits + string.ascii_letters, "9" * 10 + "a" * 26 + "A" * 26
)  # fmt: skip
_COARSE = str.maketrans(string.digits + string.ascii_letters, "x" * 62)


@dataclass(frozen=True)
class IdShape:
    """What may stand at each place of an id: one character where it is fixed, else several."""

    alphabets: tuple[str, ...]

    @classmethod
    def from_ids(cls, ids: list[str], looseness: int = 0) -> IdShape:
        """Return the shape that most ids have; eight digits when there are no ids.

        Looseness 0 takes a digit that many ids share for fixed, and few different characters in many
        ids for all there are; 1 gives up the second belief, 2 the first as well.
        """
        if not ids:
            return cls(("123456789", *[string.digits] * 7))
        alike = _of_most_frequent_shape(ids, _FINE)
        if len(alike) < len(ids) / 2:
            alike = _of_most_frequent_shape(ids, _COARSE)
        alphabets = [
            _alphabet(set(place), len(alike), looseness) for place in zip(*alike, strict=True)
        ]
        whole = all(one.isdigit() for one in alike)
        if whole and len(alphabets[0]) > 1 and not any(one.startswith("0") for one in alike):
            alphabets[0] = alphabets[0].replace("0", "")
        return cls(tuple(alphabets))

    def widened(self) -> IdShape:
        """Return the shape with one more digit behind the last place that varies."""
        free = [i for i, alphabet in enumerate(self.alphabets) if len(alphabet) > 1]
        at = free[-1] + 1 if free else len(self.alphabets)
        return replace(self, alphabets=(*self.alphabets[:at], string.digits, *self.alphabets[at:]))

    @property
    def counter(self) -> list[int]:
        """Places that count: as many of the last free ones as stay below 2**40 combinations."""
        places: list[int] = []
        size = 1
        for place in range(len(self.alphabets) - 1, -1, -1):
            size *= len(self.alphabets[place])
            if size > _LARGEST_COUNTER:
                break
            if len(self.alphabets[place]) > 1:
                places.insert(0, place)
        return places

    @property
    def size(self) -> int:
        """Number of combinations of the places that count."""
        return int(np.prod([len(self.alphabets[p]) for p in self.counter], dtype=np.float64))

    def positions(self, ids: pa.Array) -> Whole:
        """Return the sorted distinct counter positions of those of `ids` that have this shape."""
        length = len(self.alphabets)
        same = ids.filter(pc.equal(pc.utf8_length(ids), length)).to_numpy(zero_copy_only=False)
        if length == 0 or not len(same):
            return np.empty(0, dtype=np.uint64)
        letters = same.astype(f"<U{length}").view("<U1").reshape(len(same), length)
        fits = np.ones(len(same), dtype=bool)
        position = np.zeros(len(same), dtype=np.uint64)
        counter = self.counter
        for place, alphabet in enumerate(self.alphabets):
            signs = np.array(sorted(alphabet))
            code = np.minimum(np.searchsorted(signs, letters[:, place]), len(signs) - 1)
            fits &= signs[code] == letters[:, place]
            if place in counter:
                position = position * np.uint64(len(signs)) + code.astype(np.uint64)
        return np.unique(position[fits])

    def spell(self, positions: Whole, rows: Whole, key: np.uint64) -> pa.Array:
        """Return the ids at these counter positions; the other free places are hashed from the row."""
        letters = np.empty((len(positions), len(self.alphabets)), dtype="<U1")
        counter = self.counter
        left, noise = positions.copy(), scramble(rows ^ key)
        for place in range(len(self.alphabets) - 1, -1, -1):
            signs = np.array(sorted(self.alphabets[place]))
            size = np.uint64(len(signs))
            if place in counter:
                left, code = np.divmod(left, size)
            else:
                code = scramble(noise + np.uint64(place)) % size
            letters[:, place] = signs[code.astype(np.int64)]
        joined = letters.view(f"<U{len(self.alphabets)}")[:, 0]
        return pa.array(joined.tolist(), pa.string())


@dataclass(frozen=True)
class IdBlock:
    """The ids of one shape that are free: all combinations but those of real ids."""

    shape: IdShape
    taken: Whole

    @property
    def n_free(self) -> int:
        """Number of free ids, 0 where the real ones leave too little room to hide among."""
        free = self.shape.size - len(self.taken)
        return free if len(self.taken) <= _DENSE * self.shape.size else 0

    def ids(self, numbers: Whole, rows: Whole, keys: Whole) -> pa.Array:
        """Return the free ids with these running numbers, all below `n_free`; one for each row."""
        walked = permuted(numbers, self.n_free, keys)
        gaps = self.taken - np.arange(len(self.taken), dtype=np.uint64)
        skipped = np.searchsorted(gaps, walked, side="right").astype(np.uint64)
        return self.shape.spell(walked + skipped, rows, keys[-1])


def free_blocks(
    ids: pa.Array,  # all real ids, texts
    greatest: int | None,  # greatest number that the source's integer type holds
) -> tuple[IdBlock, ...]:
    """Return blocks of free ids, first those of the source's own shape, then longer ones."""
    spread = np.linspace(0, len(ids) - 1, min(len(ids), _SHOWN)).astype(np.int64)
    some = ids.take(pa.array(spread)).to_pylist()
    for looseness in range(3):
        shape = IdShape.from_ids(some, looseness)
        if IdBlock(shape, shape.positions(ids)).n_free:
            break
    blocks: list[IdBlock] = []
    while sum(block.n_free for block in blocks) < _LARGEST_COUNTER // 10:
        if greatest is not None and 10 ** len(shape.alphabets) > greatest:
            break
        block = IdBlock(shape, shape.positions(ids))
        if block.n_free:
            blocks.append(block)
        shape = shape.widened()
    return tuple(blocks)


def permuted(numbers: Whole, size: int, keys: Whole) -> Whole:
    """Return a keyed permutation of 0 .. size - 1 at these numbers: a Feistel network, cycle walked.

    Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002.
    """
    half = np.uint64(max(1, (max(size - 1, 1).bit_length() + 1) // 2))
    low = (np.uint64(1) << half) - np.uint64(1)
    walked = numbers.copy()
    todo = np.arange(len(numbers))
    while len(todo):
        left, right = walked[todo] >> half, walked[todo] & low
        for key in keys[:4]:
            left, right = right, left ^ (scramble(right ^ key) & low)
        walked[todo] = (left << half) | right
        todo = todo[walked[todo] >= size]
    return walked


def _of_most_frequent_shape(ids: list[str], classes: dict[int, int]) -> list[str]:
    shapes = [one.translate(classes) for one in ids]
    shape_ = Counter(shapes).most_common(1)[0][0]
    return [one for one, shape in zip(ids, shapes, strict=True) if shape == shape_]


def _alphabet(seen: set[str], n: int, looseness: int) -> str:
    """Return what may stand at a place where `seen` stood in `n` ids."""
    digits = any(sign in string.digits for sign in seen)
    if len(seen) == 1 and (not digits or (n >= _ENOUGH and looseness < 2)):
        return seen.pop()
    signs = string.digits if digits else ""
    for letters in (string.ascii_lowercase, string.ascii_uppercase):
        if any(sign in letters for sign in seen):
            hexadecimal = digits and all(s in string.hexdigits for s in seen)
            signs += letters[:6] if hexadecimal else letters
    signs += "".join(sorted(sign for sign in seen if sign not in signs))
    is_all = n >= 10 * len(signs) and looseness < 1
    return "".join(sorted(seen)) if is_all else signs


_TEXT = (
    "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor incididunt ut "
    "labore et dolore magna aliqua enim ad minim veniam quis nostrud exercitation ullamco laboris "
    "nisi aliquip ex ea commodo consequat duis aute irure in reprehenderit voluptate velit esse "
    "cillum eu fugiat nulla pariatur excepteur sint occaecat cupidatat non proident sunt culpa qui "
    "officia deserunt mollit anim id est laborum"
)
WORDS = tuple(_TEXT.split())
_LENGTHS = 1_000  # texts whose numbers of words are kept


@dataclass(frozen=True)
class FreshColumns:
    """Columns that are generated again, row by row, from the seed and the row's position alone.

    Ids have the shape of the source's (fixed characters, digits, letters), never repeat and are never
    one of the ids it was fitted on. Texts are placeholder sentences with as many words as the
    source's; no word is taken over. The first n rows are the same however many follow.
    """

    ids: dict[str, tuple[IdBlock, ...]]
    texts: dict[str, tuple[npt.NDArray[np.int64], float]]
    missing: dict[str, float] = field(default_factory=dict)

    @classmethod
    def fit(cls, train: Dataset) -> FreshColumns | None:
        """Return the fresh columns for the ids and texts of `train`; None if it has neither.

        Give the holdout too where there is one: its ids are kept out of the fresh ones as well.
        """
        ids, texts, missing = {}, {}, {}
        for key in train.schema.of_kind("id"):
            column = train.records.column(key.name)
            missing[key.name] = column.null_count / max(len(column), 1)
            ids[key.name] = free_blocks(pc.unique(column.drop_null()), _greatest(key))
        for text in train.schema.of_kind("text"):
            column = train.records.column(text.name)
            texts[text.name] = (_word_counts(column), column.null_count / max(len(column), 1))
        return cls(ids, texts, missing) if ids or texts else None

    def fill(
        self,
        n: int,
        start: int,  # position of the first of them in the whole set
        seed: int,  # the recipe's seed; the key of the ids
        # the fields of the set; those that are not fresh columns are passed over
        fields: Sequence[Field],
    ) -> dict[str, pa.Array]:
        """Return the fresh values of rows `start` .. `start + n - 1`, by column."""
        rows = np.arange(start, start + n, dtype=np.uint64)
        columns = {}
        for wanted in fields:
            name = wanted.name
            keys = rng_for(seed, "fresh", name).integers(0, 2**63, size=5, dtype=np.uint64)
            if name in self.ids:
                made = _fresh_ids(self.ids[name], rows, keys, wanted)
                # An id that is missing says something too: as many stay missing.
                absent = scramble(rows ^ keys[4]).astype(np.float64) / 2.0**64
                gone = pa.array(absent < self.missing.get(name, 0.0))
                columns[name] = pc.if_else(gone, pa.scalar(None, made.type), made)
            elif name in self.texts:
                counts, null_fraction = self.texts[name]
                columns[name] = _fresh_texts(counts, null_fraction, rows, keys)
        return columns


def _fresh_ids(blocks: Sequence[IdBlock], rows: Whole, keys: Whole, field: Field) -> pa.Array:
    parts, first = [pa.array([], pa.string())], 0
    for block in blocks:
        own = rows[(rows >= first) & (rows < first + block.n_free)]
        if len(own):
            parts.append(block.ids(own - np.uint64(first), own, keys))
        first += block.n_free
    made = pa.concat_arrays(parts)
    if len(made) < len(rows):
        raise DataError(
            f"there are not enough new ids for the column '{field.name}'",
            got=f"room for {first:,} in the type {field.stored}",
            todo="store the column as text or as a wider integer, or leave it out",
        )
    return made


def _fresh_texts(
    counts: npt.NDArray[np.int64], null_fraction: float, rows: Whole, keys: Whole
) -> pa.Array:
    lengths = counts[(scramble(rows ^ keys[0]) % np.uint64(len(counts))).astype(np.int64)]
    ends = np.cumsum(lengths)
    begins = ends - lengths
    place = np.arange(int(lengths.sum())) - np.repeat(begins, lengths)
    mixed = scramble(np.repeat(scramble(rows ^ keys[1]), lengths) + place.astype(np.uint64))
    words = np.array(WORDS, dtype=object)[(mixed % np.uint64(len(WORDS))).astype(np.int64)]
    texts = [
        " ".join(words[a:b]).capitalize() + "." if b > a else ""
        for a, b in zip(begins, ends, strict=True)
    ]
    missing = scramble(rows ^ keys[2]).astype(np.float64) / 2.0**64 < null_fraction
    return pa.array(texts, pa.string(), mask=missing)


def _word_counts(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the word counts of the texts as up to 1,000 quantiles; one word when there is none."""
    words = pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(column)))
    counts = words.drop_null().to_numpy()
    if not len(counts):
        return np.ones(1, dtype=np.int64)
    grid = np.linspace(0, 1, min(len(counts), _LENGTHS))
    return np.asarray(np.quantile(counts, grid, method="nearest"), dtype=np.int64)


def _greatest(field: Field) -> int | None:
    kind = field.stored_type
    if pa.types.is_integer(kind):
        return int(np.iinfo(str(kind)).max)
    return 2**53 if pa.types.is_floating(kind) else None
