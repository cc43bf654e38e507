"""Write new texts like a few real ones: their templates recombined, their entities exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from twinset.core.contracts import FittedGenerator, Generator, Progress, silent
from twinset.core.data.conditions import column_masks, rows_to_learn_from, unmet
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Schema
from twinset.core.data.where import Where
from twinset.core.errors import FitError, ParameterError, SchemaError
from twinset.core.parameters import Fraction, Interval

from .._quotas import allocate
from ._induction.tokens import Lexicon, Sentence, Words
from ._induction.walk import MAX_TRIES, NewText, Source, TextComposer, Values

_NAME = "text.learned"


@dataclass(frozen=True, kw_only=True)
class Learned(Generator):
    """Write new texts like a few real ones: their templates recombined, their entities exact.

    Works with 1 to thousands of real texts per class. Each span of a real text, and each phrase of the
    lexicon, becomes a slot; the rest is the template of the text. A new text follows one template and
    goes on in others of the same class where these share two tokens, or one (an n-gram model with
    back-off; a slot is one token). Some begin with the opening of a text of another class, if a word
    model still recognises the class. Slots get values of the same label. So every span is exact, and the
    label is that of the real texts. Shares of the classes are those of the real set, to less than one
    row. Other categories are those of the real text that the new one begins with.

    A text that is more similar to a real one than `max_similarity` is rejected: new texts are no copies.
    Short pieces of real texts appear unchanged, and so do values of their spans unless `values` excludes
    them.

    Parameters
    ----------
    lexicon : mapping of str to sequence of str or mapping of str to float, optional
        Name -> exchangeable words or phrases, with weights where some are more frequent; in a recipe
        also the name of a file with one a line. A list named like a label of the spans adds values to
        that slot. Phrases of any other list are replaced by others of the list wherever they occur in the
        texts: ``{card: [card, credit card, visa]}``.
    values : {"real and lexicon", "lexicon"}
        Sources of values for the slots of spans. With "lexicon" no value of a real span is written.
    max_similarity : float
        Largest similarity to any real text, above 0, to 1: the share of words and pairs of neighbouring
        words in common (Dice). At 1 copies are accepted.
    switch : float
        Probability of going on in another text after a token, 0 to 1.
    borrow : float
        Probability of beginning with the opening of a text of any class, 0 to 1.

    Raises
    ------
    ParameterError
        A setting is out of its range, or a list of the lexicon is empty.

    References
    ----------
    Jelinek and Mercer, "Interpolated estimation of Markov source parameters from sparse data", 1980;
    Andreas, "Good-enough compositional data augmentation", ACL 2020 (fragments in shared contexts).

    Examples
    --------
    >>> from twinset.core.data.schema import Field
    >>> texts = ["play some jazz", "put on the blues", "stop it now", "please stop this"]
    >>> places = [(10, 14), (11, 16), None, None]
    >>> marks = [[{"start": p[0], "end": p[1], "label": "genre"}] if p else [] for p in places]
    >>> table = pa.table({"said": texts, "marks": marks, "wish": ["play", "play", "stop", "stop"]})
    >>> kinds = {"said": "text", "marks": "spans", "wish": "category"}
    >>> schema = Schema(tuple(Field(name=name, kind=kind) for name, kind in kinds.items()))
    >>> real = Dataset.from_arrow(table, schema)
    >>> fitted = Learned().fit(real, np.random.default_rng(0))
    >>> rows = fitted.sample(1, np.random.default_rng(0), Where({"wish": "play"})).records.to_pylist()
    >>> rows[0]["said"], rows[0]["marks"]
    ('play some blues', [{'start': 10, 'end': 15, 'label': 'genre', 'value': 'blues'}])
    """

    kinds: ClassVar[frozenset[str]] = frozenset({"text", "spans", "category"})
    chunk_rows: ClassVar[int] = 1_024
    needs_others: ClassVar[bool] = True
    files: ClassVar[Mapping[str, str]] = {"lexicon.*": "list"}
    note: ClassVar[str] = (
        "pieces of real texts and values of their spans, recombined: treat as the source data. Near copies "
        "of whole texts were rejected; texts may be ungrammatical, untrue or of another label to a "
        "reader, and a rare phrase may identify somebody"
    )

    lexicon: Mapping[str, Words] | None = None
    values: Source = "real and lexicon"
    max_similarity: Annotated[float, Interval(gt=0, le=1)] = 0.9
    switch: Fraction = 0.3
    borrow: Fraction = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        Lexicon(self.lexicon or {})

    def fit(
        self, real: Dataset | None, rng: np.random.Generator, progress: Progress = silent
    ) -> FittedGenerator:
        """Return the templates of the real texts, ready to write; no random number is drawn."""
        train = rows_to_learn_from(real, self.kinds, component=_NAME)
        return _FittedLearned(self, train)


class _FittedLearned(FittedGenerator):
    def __init__(self, settings: Learned, train: Dataset) -> None:
        self._settings, self.schema = settings, train.schema
        self._texts, self._marks, self._labels = _columns(train.schema)
        self._train = train
        lexicon = Lexicon(settings.lexicon or {})
        groups = _groups(train, self._labels)
        sentences = list(self._read(train, groups, lexicon))
        if not sentences:
            raise FitError(
                f"{_NAME} finds no word in any text", todo="give at least one text per class"
            )
        self._sentences = sentences
        self._writer = TextComposer(
            sentences,
            Values(sentences, lexicon, settings.values),
            [text or "" for text in train.records.column(self._texts).to_pylist()],
            switch=settings.switch,
            borrow=settings.borrow,
            max_similarity=settings.max_similarity,
        )

    def _read(
        self, train: Dataset, groups: npt.NDArray[np.int64], lexicon: Lexicon
    ) -> Iterator[Sentence]:
        texts = train.records.column(self._texts).to_pylist()
        marks = (
            train.records.column(self._marks).to_pylist() if self._marks else [None] * len(texts)
        )
        for row, (text, spans) in enumerate(zip(texts, marks)):
            sentence = Sentence.from_text(row, int(groups[row]), text or "", spans or [], lexicon)
            if sentence.tokens:
                yield sentence

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` new texts; the first rows do not depend on `n`."""
        bases = self._bases(where)
        by_group: dict[int, list[int]] = {}
        for k in bases:
            by_group.setdefault(self._sentences[k].group, []).append(k)
        groups = list(by_group)
        order = allocate([len(by_group[g]) for g in groups], rng)
        rounds = {g: _cycle(by_group[g], rng) for g in groups}
        known: set[str] = set()
        written = []
        for _ in range(n):
            group = groups[next(order)]
            one = self._writer.new(rounds[group], known, rng)
            if one is None:
                raise self._nothing_new(self._sentences[by_group[group][0]].row)
            written.append(one)
        return self._dataset(written)

    def _nothing_new(self, row: int) -> ParameterError:
        labels = [f"{n} = {self._train.records.column(n)[row]}" for n in self._labels]
        of_class = f" of {', '.join(labels)}" if labels else ""
        return ParameterError(
            f"the texts{of_class} have too little in common to write a new one from them",
            got=f"in {MAX_TRIES} tries none of a similarity of {self._settings.max_similarity:g} or less",
            todo="give more such texts, spans or a lexicon, or raise max_similarity",
        )

    def _bases(self, where: Where | None) -> list[int]:
        """Return the sentences that meet a condition."""
        conditions = where.conditions if where is not None else {}
        others = [f.name for f in self.schema.fields if f.kind == "category"]
        for column in conditions:
            if column not in others:
                raise ParameterError(
                    f"'{_NAME}' cannot make rows under a condition on '{column}'",
                    allowed="conditions on " + (", ".join(others) or "nothing: no categories"),
                )
        meant = np.ones(len(self._train), dtype=bool)
        if where is not None and conditions:
            meant = np.logical_and.reduce(list(column_masks(self._train, where).values()))
        bases = [k for k, sentence in enumerate(self._sentences) if meant[sentence.row]]
        if not bases:
            raise unmet(where if where is not None else Where({}))
        return bases

    def _dataset(self, written: Sequence[NewText]) -> Dataset:
        rows = np.array([one.rows[0] for one in written], dtype=np.int64)
        records = self._train.without_reserved().take(rows).records
        columns: dict[str, list[Any]] = {self._texts: [one.text for one in written]}
        if self._marks:
            columns[self._marks] = [one.spans for one in written]
        for name, values in columns.items():
            at = records.column_names.index(name)
            records = records.set_column(at, name, pa.array(values, self.schema[name].arrow_type))
        if "_id" in self._train.records.column_names:
            ids = self._train.records.column("_id").to_pylist()
            parents = [[ids[row] for row in one.rows] for one in written]
            records = records.append_column("_parents", pa.array(parents, pa.list_(pa.string())))
        card = Card(
            name=_NAME, origin="synthetic", component=_NAME, settings=asdict(self._settings),
            notes=(Learned.note,),
        )  # fmt: skip
        return Dataset.from_arrow(records, self.schema, card)


def _columns(schema: Schema) -> tuple[str, str | None, tuple[str, ...]]:
    """Return the columns of texts, of spans if any, and of the labels that define the class."""
    texts, marks = schema.of_kind("text"), schema.of_kind("spans")
    if len(texts) != 1 or len(marks) > 1:
        raise SchemaError(
            f"{_NAME} needs one column of texts, and at most one of spans",
            got=f"{len(texts)} of texts, {len(marks)} of spans",
            todo="leave the others out",
        )
    categories = schema.of_kind("category")
    labels = [f.name for f in categories if f.role == "target"] or [f.name for f in categories]
    return texts[0].name, marks[0].name if marks else None, tuple(labels)


def _groups(train: Dataset, labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the class of each row, shape (n,): one for each combination of labels."""
    if not labels:
        return np.zeros(len(train), dtype=np.int64)
    codes = np.column_stack([train.codes(name)[0] for name in labels])
    return np.unique(codes, axis=0, return_inverse=True)[1].reshape(-1)


def _cycle(places: Sequence[int], rng: np.random.Generator) -> Iterator[int]:
    """Yield every place once in a random order, again and again."""
    while True:
        yield from (places[int(k)] for k in rng.permutation(len(places)))
