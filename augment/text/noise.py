"""Add errors of typing, speech and scanning to texts at given rates; spans move along."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import KINDS
from twinset.core.errors import ParameterError
from twinset.core.parameters import Fraction
from twinset.core.seeding import scramble

from .._seeded import Seeded, with_parents
from ._annotated import AnnotatedTexts, Edits
from ._covered import NoiseAccount, ReportTouched
from ._edits import decorate, double, drop, fill, misread, mistype, plain, punctuate, space, swap
from ._ground import Ground
from ._phrases import PhraseLexicon, recase, rewrite
from ._rows import TextRows
from ._wordings import EMOJI, wordings


@dataclass(frozen=True, kw_only=True)
class Noise(Seeded):
    """Add errors of typing, speech and scanning to texts at given rates; spans move along.

    A rate is the probability that a unit changes; units are what a kind of noise can change. Kinds are
    applied in the order below, from words to letters, each to the result of those before. Labels stay,
    every span keeps its place in the list and marks the same entity, and its value follows the text; the
    parent row has the former value. Grapheme clusters (an emoji of several parts, a letter with its
    marks) are not split, and no span becomes empty. Works on the first column of texts and of spans.

    Parameters
    ----------
    synonym : float
        Share of the words and phrases in `synonyms` that are replaced.
    contraction, abbreviation : float
        Share of the phrases known in the language that are shortened, or spelt out where they are short.
    homophone : float
        Share of words with a sound-alike that are replaced by it.
    filler : float
        Share of gaps between words that get an "um," or the like.
    emoji : float
        Share of texts that get an emoji at their end.
    case : float
        Share of words that change their case.
    diacritics : float
        Share of accented Latin and Greek letters that lose their accents.
    punctuation : float
        Share of punctuation marks that are lost or repeated.
    whitespace : float
        Share of single blanks that are lost or doubled; those at a span's border are doubled only.
    typo : float
        Share of letters on the keyboard that become a key beside it.
    swap : float
        Share of pairs of neighbouring letters, taken two by two, that change places.
    drop, double : float
        Share of letters, first ones of words left out, that are lost or written twice.
    ocr : float
        Share of characters and pairs that a scanner confuses which are misread.
    protect : {"entities", "values", "none"}
        Protected part of spans: all; the value except case, accents and blanks; nothing.
    keyboard : {"qwerty", "azerty", "qwertz"}
        Keyboard that defines neighbouring keys.
    language : {"en", "de", "fr", "es"}
        Language of short forms, sound-alikes and fillers.
    synonyms : mapping of str to sequence of str
        Words or phrases in lowercase -> what may come instead; in a recipe also the name of a YAML
        file with such a mapping. There are none by default: an unchecked word may make a label wrong.
    cover : str, optional
        Category whose values, e.g. templates, are combined with every kind of noise that has a rate: the
        rows of a value are assigned to the kinds in order, and the assigned kind changes at least one
        unit of the text. The card lists the missing pairs.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> span = {"start": 7, "end": 12, "label": "city", "value": "Paris"}
    >>> table = pa.table({"text": ["Off to Paris tomorrow, please."], "spans": [[span]]})
    >>> fields = (Field(name="text", kind="text"), Field(name="spans", kind="spans"))
    >>> data = Dataset.from_arrow(table, Schema(fields))
    >>> noise = Noise(**dict.fromkeys(NOISES, 0.0) | {"abbreviation": 1.0, "whitespace": 1.0})
    >>> made = noise.apply(data, {"seed": np.array([7])})
    >>> made.records.column("text")[0].as_py()
    'Offto  Paris  tmrw,  plz.'
    >>> made.records.column("spans")[0].as_py()[0]["start"]
    7
    """

    use: ClassVar[str] = "text.noise"
    kinds: ClassVar[frozenset[str]] = frozenset(KINDS)
    files: ClassVar[Mapping[str, str]] = {"synonyms": "mapping"}

    synonym: Fraction = 0.3
    contraction: Fraction = 0.2
    abbreviation: Fraction = 0.1
    homophone: Fraction = 0.03
    filler: Fraction = 0.01
    emoji: Fraction = 0.03
    case: Fraction = 0.05
    diacritics: Fraction = 0.2
    punctuation: Fraction = 0.1
    whitespace: Fraction = 0.02
    typo: Fraction = 0.01
    swap: Fraction = 0.005
    drop: Fraction = 0.005
    double: Fraction = 0.005
    ocr: Fraction = 0.0
    protect: Literal["entities", "values", "none"] = "entities"
    keyboard: Literal["qwerty", "azerty", "qwertz"] = "qwerty"
    language: Literal["en", "de", "fr", "es"] = "en"
    synonyms: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cover: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_synonyms(self.synonyms)

    def open_account(self) -> NoiseAccount | None:
        """Return what keeps account of the pairs that shall come; None where none shall."""
        if self.cover is None:
            return None
        return NoiseAccount(self.cover, self.switched_on, self._written)

    @property
    def switched_on(self) -> tuple[str, ...]:
        """Kinds of noise that can come; synonyms only where some are given."""
        on = [name for name in NOISES if getattr(self, name) > 0]
        return tuple(name for name in on if name != "synonym" or self.synonyms)

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return one seed per row, ``{"seed": (n,) int64}``; it says whose turn it is, too."""
        account = self.open_account()
        return super().draw(dataset, rng) if account is None else account.draw(dataset, rng)

    def apply(self, dataset: Dataset, params: Mapping[str, npt.NDArray[Any]]) -> Dataset:
        """Return the noisy rows, in order; a row depends on its seed alone, not on the rows beside it."""
        return self._written(dataset, params)

    def _written(
        self,
        dataset: Dataset,
        params: Mapping[str, npt.NDArray[Any]],
        report: ReportTouched | None = None,
    ) -> Dataset:
        rows = TextRows.from_dataset(dataset)
        made = rows.written(self.vary(rows.marked, params["seed"], report))
        return with_parents(made, params["seed"])

    def vary(
        self,
        marked: AnnotatedTexts,
        seeds: npt.NDArray[np.int64],
        report: ReportTouched | None = None,
    ) -> AnnotatedTexts:
        """Return texts with noise, their marks moved along.

        Parameters
        ----------
        marked : MarkedTexts
            The texts.
        seeds : numpy.ndarray of int, shape (n,)
            One of each text.
        report : callable, optional
            Called with each kind of noise and the rows that it touched.
        """
        keys, kinds = scramble(np.asarray(seeds, np.uint64)), self.switched_on
        for salt, (name, edit) in enumerate(self.edit_table().items()):
            if name in kinds and len(marked):
                sure = None
                if self.cover is not None:
                    sure = np.asarray(seeds) % len(kinds) == kinds.index(name)
                ground = Ground(marked, keys, self.protect, sure)
                edits = edit(ground, getattr(self, name), 2 * salt + 1)
                if report is not None:
                    report(name, np.unique(marked.rows[edits.starts]))
                marked = marked.edited(edits)
        return marked

    def edit_table(self) -> Mapping[str, Callable[[Ground, float, int], Edits]]:
        """Return each kind of noise with the function of its edits, in the order in which they are made."""
        known = wordings(self.language)
        return {
            "synonym": partial(rewrite, lexicon=PhraseLexicon(self.synonyms)),
            "contraction": partial(rewrite, lexicon=known.contractions),
            "abbreviation": partial(rewrite, lexicon=known.abbreviations),
            "homophone": partial(rewrite, lexicon=known.homophones),
            "filler": partial(fill, fillers=known.fillers),
            "emoji": partial(decorate, emoji=EMOJI),
            "case": recase,
            "diacritics": plain,
            "punctuation": punctuate,
            "whitespace": space,
            "typo": partial(mistype, keyboard=self.keyboard),
            "swap": swap,
            "drop": drop,
            "double": double,
            "ocr": misread,
        }


NOISES: tuple[str, ...] = tuple(f.name for f in fields(Noise) if f.type == "Fraction")
"""Names of the kinds of noise, in the order in which they are made."""


def _check_synonyms(synonyms: Mapping[str, Sequence[str]]) -> None:
    for phrase, ways in synonyms.items():
        if phrase != " ".join(phrase.lower().split()) or not phrase:
            raise ParameterError(
                "a synonym's phrase is not written plainly",
                got=repr(phrase),
                allowed="lowercase, single spaces between words",
            )
        if isinstance(ways, str) or not ways or any(not w.strip() or w == phrase for w in ways):
            raise ParameterError(
                f"the synonyms of '{phrase}' are no list of other words", got=repr(ways),
                allowed="e.g. {cheap: [inexpensive, low-cost]}",
            )  # fmt: skip
