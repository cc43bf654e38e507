"""Combine the beginning of each text with the end of another one of its class; spans stay exact."""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import Augmenter
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS
from twinset.core.errors import FewRowsWarning
from twinset.core.parameters import Fraction, Ge

from .._seeded import with_parents
from ._rows import COLUMN, TextRows, put, write_facts
from .entity_swap import EntitySwap, donor_ids

Ints = npt.NDArray[np.int64]

_NOBODY = -1  # partner of a text that is not mixed; rows count from 0
_FACTS = "facts"
_WORDS = re.compile(r"\w+")
_CLAUSE = re.compile(r"[,;:.!?…、。，！？؟،]\s+(?=\S)")
_WORD = re.compile(r"\w")


@dataclass(frozen=True, kw_only=True)
class Mix(Augmenter):
    """Combine the beginning of each text with the end of another one of its class.

    Two texts are joined at seams of one kind: before a span of one label, behind a span of one label, or
    where a clause begins after punctuation; never inside a span. "Play Yesterday | by the Beatles" and
    "I want to hear Africa | on Spotify" make "Play Yesterday on Spotify". If there is a target,
    only texts of one label are combined, so that it stays right. A new text that is nearly one of the
    given texts, or was written before, is rejected, and another seam or partner tried. A text without a
    partner stays, and a warning gives their number. Works on the first column of texts and of spans.

    Parents of a row are both texts, and those that its swapped values are from.

    Parameters
    ----------
    max_overlap : float
        Largest share of words that a new text has in common with any given text, 0 to 1; words count
        once, as a share of the longer text.
    swap_rate : float
        Share of the entities of the new texts that are then replaced as by `text.entity_swap`.
    tries : int
        Pairs of seams tried for each text, 1 or more.

    Examples
    --------
    >>> from twinset.core.data.schema import Field, Schema
    >>> texts = ["Please go away, it is late.", "Now listen to me, the train has left."]
    >>> schema = Schema((Field(name="text", kind="text"),))
    >>> data = Dataset.from_arrow(pa.table({"text": texts}), schema)
    >>> mix = Mix()
    >>> mix.apply(data, mix.draw(data, np.random.default_rng(0))).records.column("text").to_pylist()
    ['Please go away, the train has left.', 'Now listen to me, it is late.']
    """

    kinds: ClassVar[frozenset[str]] = frozenset(KINDS)
    chunk_rows: ClassVar[int] = 16_384
    note: ClassVar[str] = (
        "rows of text.mix hold pieces of two real records: what one says may be true of nobody"
    )

    max_overlap: Fraction = 0.8
    swap_rate: Fraction = 0.0
    tries: Annotated[int, Ge(1)] = 16

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return each text's partner and where the two are cut.

        Returns
        -------
        mapping
            ``seed`` (n,), of which the row gets its id; ``partner`` (n,): position of the other text, -1
            where none was found; ``cut`` and ``partner_cut`` (n,): places in code points; ``donors``
            (n, k): as of `text.entity_swap`, for the spans of the mixed texts.
        """
        rows = TextRows.from_dataset(dataset)
        n = len(dataset)
        seeds = rng.integers(0, 2**31 - 1, size=n, dtype=np.int64)
        params = {"seed": seeds, **self._draw_cuts(rows, rng.random((n, self.tries, 2)))}
        swap = EntitySwap(rate=self.swap_rate)
        mixed = TextRows.from_dataset(_mixed(rows, params)).dataset
        return params | {"donors": swap.draw(mixed, rng)["donors"]}

    def _draw_cuts(self, rows: TextRows, chance: npt.NDArray[np.float64]) -> dict[str, Ints]:
        texts = rows.marked.texts()
        seams = Seams.from_rows(rows, _classes(rows))
        index = WordIndex.from_texts(texts)
        made_before: set[str] = set()
        found = np.full((len(texts), 3), _NOBODY, np.int64)
        for row, shares in enumerate(chance):
            for own_share, other_share in shares:
                pair = seams.pair(row, float(own_share), float(other_share))
                if pair is None:
                    continue
                cut, partner, partner_cut = pair
                text = texts[row][:cut] + texts[partner][partner_cut:]
                if text not in made_before and index.nearest_share(text) <= self.max_overlap:
                    made_before.add(text)
                    found[row] = partner, cut, partner_cut
                    break
        return dict(zip(("partner", "cut", "partner_cut"), found.T))

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the texts put together, in order; the same parameters give the same bytes."""
        partners = params["partner"]
        alone = int((partners == _NOBODY).sum())
        if alone:
            note = (
                f"{alone} of {len(partners)} texts found no partner to be mixed with and stay as they "
                "are; more texts of their class, or a higher max_overlap, may help"
            )
            warnings.warn(note, FewRowsWarning, stacklevel=2)
        mixed = TextRows.from_dataset(_mixed(TextRows.from_dataset(dataset), params))
        owners, (starts, _) = mixed.marked.owners, mixed.marked.places()
        is_own = (partners[owners] == _NOBODY) | (starts < params["cut"][owners])
        sources = np.where(is_own, owners, partners[owners])
        donors = donor_ids(mixed, params["donors"], sources)
        made = EntitySwap(rate=self.swap_rate).replaced(mixed, params["donors"])
        return with_parents(made, params["seed"], _others(dataset, partners.tolist(), donors))


@dataclass(frozen=True)
class WordIndex:
    """Which texts hold which words."""

    holders: dict[str, npt.NDArray[np.int64]]  # Word in lowercase -> texts that hold it
    sizes: npt.NDArray[np.int64]  # Different words of each text, shape (n,)

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> WordIndex:
        """Return the index of texts.

        Examples
        --------
        >>> WordIndex.from_texts(["Rain in Rome", "snow"]).nearest_share("rain, rain in May or June")
        0.4
        """
        lists: dict[str, list[int]] = {}
        sizes = np.zeros(len(texts), np.int64)
        for row, text in enumerate(texts):
            words = _words(text)
            sizes[row] = len(words)
            for word in words:
                lists.setdefault(word, []).append(row)
        return cls({word: np.array(rows) for word, rows in lists.items()}, sizes)

    def nearest_share(self, text: str) -> float:
        """Return the greatest share of words, of the longer text, that one of the texts has in common."""
        words = _words(text)
        known = [self.holders[word] for word in words if word in self.holders]
        if not known:
            return 0.0
        rows, shared = np.unique(np.concatenate(known), return_counts=True)
        return float((shared / np.maximum(self.sizes[rows], len(words))).max())


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(_WORDS.findall(text.casefold())))


@dataclass(frozen=True)
class Seams:
    """The places at which texts may be cut, by what they are."""

    # By text: places in code points, each with the kind of its seam
    of_row: list[list[tuple[int, Hashable]]]
    # Kind of a seam, class of the texts included -> texts and places
    by_key: dict[Hashable, list[tuple[int, int]]]

    @classmethod
    def from_rows(cls, rows: TextRows, classes: npt.NDArray[np.int64]) -> Seams:
        """Return the seams of the texts of a set; texts of unlike classes have no seam in common."""
        of_row: list[list[tuple[int, Hashable]]] = []
        by_key: dict[Hashable, list[tuple[int, int]]] = {}
        marked = rows.marked
        spans = _spans_by_row(rows)
        inside = marked.within(strictly=True)
        for row, text in enumerate(marked.texts()):
            own: list[tuple[int, Hashable]] = []
            low = int(marked.bounds[row])
            for place, kind in _places(text, spans[row]):
                free = not inside[low + place] and bool(marked.cluster_borders[low + place])
                if free and _WORD.search(text[:place]) and _WORD.search(text[place:]):
                    key = (int(classes[row]), kind)
                    own.append((place, key))
                    by_key.setdefault(key, []).append((row, place))
            of_row.append(own)
        return cls(of_row, by_key)

    def pair(self, row: int, own_share: float, other_share: float) -> tuple[int, int, int] | None:
        """Return a cut of a text, another text and its cut, at these shares, 0 to 1, of those there are.

        None: the text has no seam, or it was met by itself.
        """
        own = self.of_row[row]
        if not own:
            return None
        place, key = own[int(own_share * len(own))]
        others = self.by_key[key]
        partner, partner_place = others[int(other_share * len(others))]
        return None if partner == row else (place, partner, partner_place)


def _places(text: str, spans: list[tuple[int, int, str]]) -> Iterator[tuple[int, Hashable]]:
    for start, end, label in spans:
        yield start, ("before", label)
        yield end, ("behind", label)
    for match in _CLAUSE.finditer(text):
        yield match.end(), "clause"


def _spans_by_row(rows: TextRows) -> list[list[tuple[int, int, str]]]:
    found: list[list[tuple[int, int, str]]] = [[] for _ in range(len(rows.marked))]
    starts, ends = rows.marked.places()
    for owner, start, end, label in zip(
        rows.marked.owners.tolist(), starts.tolist(), ends.tolist(), rows.labels
    ):
        found[owner].append((start, end, label or ""))
    return found


def _mixed(rows: TextRows, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
    """Return the set with its texts put together, ids as they were."""
    dataset, texts, spans = rows.dataset, rows.marked.texts(), _spans_with_facts(rows)
    made_texts, made_spans = list(texts), list(spans)
    mixed = np.flatnonzero(params["partner"] != _NOBODY).tolist()
    for row in mixed:
        partner, cut, partner_cut = (int(params[k][row]) for k in ("partner", "cut", "partner_cut"))
        made_texts[row] = texts[row][:cut] + texts[partner][partner_cut:]
        made_spans[row] = _joined(spans[row], spans[partner], cut, partner_cut)
    missing = dataset.is_null(rows.text)
    made = put(dataset, rows.text, pa.array(made_texts, pa.string(), mask=missing))
    if rows.spans is None:
        return made
    kind = dataset.records.schema.field(rows.spans).type
    made = put(made, rows.spans, pa.array(made_spans, kind))
    if rows.facts is None:
        return made
    owners = np.repeat(np.arange(len(texts)), [len(own or []) for own in made_spans])
    facts = [span[_FACTS] for own in made_spans for span in own or []]
    return put(made, COLUMN, write_facts(dataset, owners, facts, mixed))


def _spans_with_facts(rows: TextRows) -> list[list[dict[str, Any]] | None]:
    """Return the spans of each text, each with what the set tells of it beside."""
    if rows.spans is None:
        return [None] * len(rows.marked)
    lists = rows.dataset.records.column(rows.spans).to_pylist()
    facts = iter(rows.facts or [{} for _ in rows.labels])
    return [own and [span | {_FACTS: next(facts)} for span in own] for own in lists]


def _classes(rows: TextRows) -> Ints:
    """Return a number for each row, equal where two may be mixed: of one label, both with spans or not."""
    dataset, target = rows.dataset, rows.dataset.schema.target
    classes = np.zeros(len(dataset), np.int64)
    if target is not None and target.has_levels:
        classes += 2 * dataset.codes(target.name)[0].astype(np.int64)
    return classes + dataset.is_null(rows.spans) if rows.spans else classes


def _joined(
    own: list[dict[str, Any]] | None,
    other: list[dict[str, Any]] | None,
    place: int,
    partner_cut: int,
) -> list[dict[str, Any]] | None:
    if own is None or other is None:
        return own
    shift = place - partner_cut
    return [span for span in own if span["end"] <= place] + [
        span | {"start": span["start"] + shift, "end": span["end"] + shift}
        for span in other
        if span["start"] >= partner_cut
    ]


def _others(
    dataset: Dataset, partners: list[int], donors: list[list[str]] | None
) -> list[list[str]] | None:
    if donors is None:
        return None
    ids = dataset.records.column("_id").to_pylist()
    found = [([] if p == _NOBODY else [ids[p]]) + own for p, own in zip(partners, donors)]
    return [
        [other for other in dict.fromkeys(own) if other != ids[k]] for k, own in enumerate(found)
    ]
