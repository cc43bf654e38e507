"""Replace entities of real texts by other values of the same label; spans move along."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Augmenter
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS
from twinset.core.errors import ParameterError
from twinset.core.parameters import Fraction
from twinset.core.seeding import draw_seed

from .._seeded import with_parents
from ._agreement import article_edit, in_case_of_place
from ._annotated import Edits
from ._rows import TextRows

Ints = npt.NDArray[np.int64]

_STAYS = -1  # donor of a span that keeps its value; spans count from 0
_FIRST_OF_LEXICON = -2  # donors count down from here through the entries of the label's lexicon


@dataclass(frozen=True, kw_only=True)
class EntitySwap(Augmenter):
    """Replace entities of real texts by other values of the same label; spans move along.

    Values come from the given texts (in a recipe the selected train rows, never the holdout) or from a
    lexicon. A text keeps its sentence, so its label stays right if it does not depend on the value. A
    value that occurs twice in a text is replaced by the same value twice. Capital letters follow the
    place: a value that begins a sentence keeps its capital, a text in lowercase or in capitals stays so;
    English "a" and "an" before a value agree with it. Overlapping spans are not changed. Works on the
    first column of texts and the first of spans.

    Parents of a row are its own row and those that its new values are from.

    Parameters
    ----------
    rate : float
        Share of the entities replaced, of those for which there is another value.
    labels : sequence of str
        Labels that are replaced; all by default.
    weights : {"even", "seen"}
        Whether the values of a label are equally likely, or as frequent as in the texts.
    lexicon : mapping of str to sequence or mapping
        Label -> values, or values with weights, e.g. ``{city: {Paris: 3, Rome: 1}}``. In a recipe also
        the name of a file with a value a line, or value, tab and weight: ``{city: cities.txt}``.
    lexicon_share : float
        Share of the replacements of a label with a lexicon that come from there, the others from texts.
    fixes_articles : bool
        Whether to adapt "a" and "an" before a value; false for texts that are not English.

    References
    ----------
    Dai and Adel, "An analysis of simple data augmentation for named entity recognition", COLING 2020
    (mention replacement).

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> span = {"start": 5, "end": 10, "label": "dish", "value": "pizza"}
    >>> table = pa.table({"text": ["get a pizza"], "spans": [[span | {"start": 6, "end": 11}]]})
    >>> fields = (Field(name="text", kind="text"), Field(name="spans", kind="spans"))
    >>> data = Dataset.from_arrow(table, Schema(fields))
    >>> swap = EntitySwap(lexicon={"dish": ["apple pie"]})
    >>> made = swap.apply(data, swap.draw(data, np.random.default_rng(0)))
    >>> made.records.column("text")[0].as_py()
    'get an apple pie'
    """

    kinds: ClassVar[frozenset[str]] = frozenset(KINDS)
    chunk_rows: ClassVar[int] = 16_384
    files: ClassVar[Mapping[str, str]] = {"lexicon.*": "list"}
    note: ClassVar[str] = (
        "rows of text.entity_swap are sentences of real records with values of other real records or of "
        "the given lexicon: what one says may be true of nobody, its values may still name somebody"
    )

    rate: Fraction = 1.0
    labels: Sequence[str] = ()
    weights: Literal["even", "seen"] = "even"
    lexicon: Mapping[str, Sequence[str] | Mapping[str, float]] = field(default_factory=dict)
    lexicon_share: Fraction = 1.0
    fixes_articles: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.labels, str):
            raise ParameterError(
                "'labels' is no list", got=self.labels, allowed="e.g. [city, name]"
            )
        for label, words in self.lexicon.items():
            _check_lexicon(label, words)

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return where the new value of each entity comes from.

        Returns
        -------
        mapping
            ``seed`` (n,), of which the row gets its id; ``donors`` (n, k) for the k-th span of each
            row: the number of the span, counted through the set, whose value comes; -1: it stays;
            -2 and less: an entry of the label's lexicon.
        """
        rows = TextRows.from_dataset(dataset)
        seeds = rng.integers(0, 2**31 - 1, size=len(dataset), dtype=np.int64)
        places = _slots(rows)
        donors = np.full((len(dataset), int(places.max(initial=-1)) + 1), _STAYS, np.int64)
        chance = np.random.default_rng(draw_seed(rng)).random((len(rows.labels), 3))
        pools = _pools_of(rows, self.weights)
        lexicons = {
            label: _Pool.from_lexicon(words, _FIRST_OF_LEXICON)
            for label, words in self.lexicon.items()
        }
        surfaces, done = rows.marked.surfaces(), {}
        for k in np.flatnonzero(_replaceable(rows)).tolist():
            label, owner = rows.labels[k], int(rows.marked.owners[k])
            if label is None or (self.labels and label not in self.labels):
                continue
            key = (owner, label, surfaces[k].casefold())
            if key not in done:
                is_replaced, comes_from_lexicon, share = chance[k]
                in_lexicon = label in lexicons and comes_from_lexicon < self.lexicon_share
                pool = lexicons[label] if in_lexicon else pools.get(label)
                found = None if pool is None else pool.other_than(key[2], float(share))
                done[key] = _STAYS if found is None or is_replaced >= self.rate else found
            donors[owner, places[k]] = done[key]
        return {"seed": seeds, "donors": donors}

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the texts with their new values, in order; the same parameters give the same bytes."""
        rows = TextRows.from_dataset(dataset)
        made = self.replaced(rows, params["donors"])
        others = donor_ids(rows, params["donors"], rows.marked.owners)
        return with_parents(made, params["seed"], others)

    def replaced(self, rows: TextRows, donors: Ints) -> Dataset:
        """Return the set with the values that `donors`, (n, k), names in place; ids as they were."""
        donors = _by_span(rows, donors)
        texts, surfaces = rows.marked.texts(), rows.marked.surfaces()
        starts, _ = rows.marked.places()
        edits: list[tuple[int, int, str]] = []
        values: dict[int, str | None] = {}
        meant: dict[int, str | None] = {}
        for k in np.flatnonzero(donors != _STAYS).tolist():
            owner, first = int(rows.marked.owners[k]), int(rows.marked.starts[k])
            donor = int(donors[k])
            word, value = self._word(rows, surfaces, k, donor)
            new = in_case_of_place(word, texts[owner], int(starts[k]), surfaces[k])
            edits.append((first, int(rows.marked.ends[k]), new))
            values[k] = None if rows.values[k] is None else new if value == word else value
            meant[k] = rows.facts[donor].get("canonical") if rows.facts and donor >= 0 else None
            if self.fixes_articles:
                edits += article_edit(rows.marked, texts[owner], first, int(starts[k]), new)
        made = rows.marked
        if edits:
            first_places, last_places, new_texts = zip(*edits)
            made = made.edited(
                Edits.from_texts(np.array(first_places), np.array(last_places), new_texts)
            )
        return rows.written(made, values, meant)

    def _word(
        self, rows: TextRows, surfaces: list[str], k: int, donor: int
    ) -> tuple[str, str | None]:
        """Return what comes at a span as text, and the value that it stands for."""
        if donor >= 0:
            value = rows.values[donor]
            return surfaces[donor], surfaces[donor] if value is None else value
        word = self._words[rows.labels[k] or ""][_FIRST_OF_LEXICON - donor]
        return word, word

    @cached_property
    def _words(self) -> dict[str, tuple[str, ...]]:
        """By label the entries of its lexicon, each once: as `_Pool.from_lexicon` counts them."""
        return {label: tuple(dict.fromkeys(words)) for label, words in self.lexicon.items()}


@dataclass(frozen=True)
class _Pool:
    """Values of one label, no two alike but for case."""

    positions: Mapping[str, int]  # Value in lowercase -> its position
    donors: tuple[int, ...]  # Donor number of each value
    before: npt.NDArray[np.float64]  # Weight of all values before each, shape (m + 1,)

    @classmethod
    def from_entries(cls, entries: Iterable[tuple[str, int, float]]) -> Self:
        """Return the pool of values with their donors and weights; of values alike the first stays."""
        positions: dict[str, int] = {}
        donors: list[int] = []
        weights: list[float] = []
        for value, donor, weight in entries:
            key = value.casefold()
            if key not in positions:
                positions[key] = len(donors)
                donors.append(donor)
                weights.append(0.0)
            weights[positions[key]] += weight
        return cls(positions, tuple(donors), np.concatenate([[0.0], np.cumsum(weights)]))

    @classmethod
    def from_lexicon(cls, words: Sequence[str] | Mapping[str, float], first: int) -> Self:
        """Return the pool of a lexicon, whose entries have the donors `first`, `first` - 1, ...

        Examples
        --------
        >>> _Pool.from_lexicon({"Paris": 3, "Rome": 1}, -2).other_than("lima", 0.8)
        -3
        """
        weights = words if isinstance(words, Mapping) else dict.fromkeys(words, 1.0)
        return cls.from_entries(
            (word, first - k, weight) for k, (word, weight) in enumerate(weights.items())
        )

    def other_than(self, key: str, share: float) -> int | None:
        """Return the donor at `share`, 0 to 1, of the weight of all values but one; None: there is none."""
        own = self.positions.get(key)
        low, high = (0.0, 0.0) if own is None else (self.before[own], self.before[own + 1])
        total = float(self.before[-1] - (high - low))
        if total <= 0:
            return None
        at = share * total
        at += float(high - low) if own is not None and at >= low else 0.0
        found = int(np.searchsorted(self.before, at, side="right")) - 1
        return self.donors[min(found, len(self.donors) - 1)]


def _pools_of(rows: TextRows, weights: Literal["even", "seen"]) -> dict[str, _Pool]:
    """Return the values of each label in the texts of a set, with the first span of each as its donor."""
    entries: dict[str, dict[str | int, tuple[str, int, float]]] = {}
    for k, (label, surface) in enumerate(zip(rows.labels, rows.marked.surfaces())):
        if label is not None and surface.strip():
            key = surface.casefold() if weights == "even" else k
            entries.setdefault(label, {}).setdefault(key, (surface, k, 1.0))
    return {label: _Pool.from_entries(own.values()) for label, own in entries.items()}


def donor_ids(rows: TextRows, donors: Ints, sources: Ints) -> list[list[str]] | None:
    """Return by row the ids of the other rows that its new values come from; None: rows have no ids.

    `donors` is that of `EntitySwap.draw`, shape (n, k), and `sources` the row of each span, shape (s,).
    """
    if "_id" not in rows.dataset.records.column_names:
        return None
    ids = rows.dataset.records.column("_id").to_pylist()
    found: list[dict[int, None]] = [{} for _ in ids]
    by_span = _by_span(rows, donors)
    for k in np.flatnonzero(by_span >= 0).tolist():
        found[int(rows.marked.owners[k])][int(sources[int(by_span[k])])] = None
    return [[ids[other] for other in own if other != row] for row, own in enumerate(found)]


def _by_span(rows: TextRows, donors: Ints) -> Ints:
    return donors[rows.marked.owners, _slots(rows)] if rows.labels else np.empty(0, np.int64)


def _slots(rows: TextRows) -> Ints:
    """Return which span of its own row each one is, from 0, shape (s,)."""
    owners = rows.marked.owners
    return np.asarray(np.arange(len(owners)) - np.searchsorted(owners, owners))


def _replaceable(rows: TextRows) -> npt.NDArray[np.bool_]:
    """Return which spans overlap no other and cut no grapheme cluster, shape (s,)."""
    marked = rows.marked
    depth = np.zeros(len(marked.codes) + 1, np.int64)
    np.add.at(depth, marked.starts, 1)
    np.add.at(depth, marked.ends, -1)
    crowded = np.concatenate([[0], np.cumsum(np.cumsum(depth) > 1)])
    alone = crowded[marked.ends] == crowded[marked.starts]
    return np.asarray(
        alone & marked.cluster_borders[marked.starts] & marked.cluster_borders[marked.ends]
    )


def _check_lexicon(label: str, words: Sequence[str] | Mapping[str, float]) -> None:
    if isinstance(words, str) or not words or any(not word.strip() for word in words):
        raise ParameterError(
            f"the lexicon of '{label}' is no list of values",
            got="nothing" if not words else "a text" if isinstance(words, str) else "a blank value",
            allowed="e.g. [Paris, Rome] or {Paris: 3, Rome: 1}",
        )
    if isinstance(words, Mapping) and not all(0 <= weight < np.inf for weight in words.values()):
        raise ParameterError(
            f"a weight in the lexicon of '{label}' is out of its range", allowed="0 or more"
        )
