"""Share of texts that real texts rule out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from twinset.core.contracts import Comparison, Measurement, NotMeasurable
from twinset.core.data.dataset import Dataset
from twinset.core.data.placeholders import WORDS

from .._bootstrap_metric import text_columns
from .._samples import check_not_empty, require_rows
from ._checks import Check, measure_checks
from ._integrity_metric import IntegrityMetric
from ._label_model import MAX_LABELS
from ._spans import SpanArrays
from ._text_checks import TextColumn, TextSets, check_labels, check_spans

_MIN_ROWS = 50  # real rows of each set: fewer rule nothing out
_MAX_LABEL_COLUMNS = 5  # beside a text: of a wide table, few columns are about its text


@dataclass(frozen=True, kw_only=True)
class TextRows(IntegrityMetric):
    """Share of texts with a fault: something that real texts do not have, or more seldom.

    value = (texts with a fault) / (texts), in [0, 1]. Every text is checked for its characters, letters,
    words and length; for an end or a beginning within a sentence; for copies of one another, one wording
    in many texts, and values that one train text alone has; for its spans; and for labels that its words
    contradict. What real texts have as well is a fault where more texts have it than chance allows, by
    exact tests corrected for their number.

    References
    ----------
    MacKay and Peto, "A hierarchical Dirichlet language model", Natural Language Engineering 1, 1995 (how
    unlikely letters and words are); Tarone, "A modified Bonferroni method for discrete data", Biometrics
    46, 1990.

    Parameters
    ----------
    margin : float
        Largest acceptable share, 0 or more.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from twinset.core.data.schema import Field, Schema
    >>> schema = Schema((Field(name="note", kind="text"),))
    >>> texts = [[f"please play song {i % 90} now" for i in range(200)], ["play {title} now"] * 200]
    >>> real, other = (Dataset.from_arrow(pa.table({"note": t}), schema) for t in texts)
    >>> TextRows().compute(Comparison(real, real, real), np.random.default_rng(0)).value
    0.0
    >>> TextRows().compute(Comparison(real, other, real), np.random.default_rng(0)).value
    1.0
    """

    title = "texts and spans"
    interpretation = (
        "The share of synthetic texts with something that real texts do not have: odd characters, "
        "another language, an end within a sentence, repeated wordings, copied values, shifted spans; 0 is "
        "best, and any fault beyond chance counts."
    )
    kinds = frozenset({"text", "spans", "category", "boolean"})
    needs = frozenset({"text"})

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return the share of texts with a fault; findings name each fault."""
        text_columns(comparison)
        check_not_empty(comparison)
        require_rows([comparison.train, comparison.reference], _MIN_ROWS, "texts")
        return measure_checks(comparison, list(_find_checks(comparison)))


def _find_checks(comparison: Comparison) -> Iterator[Check]:
    sets = comparison.train, comparison.synthetic, comparison.reference
    schema = comparison.train.schema
    first: TextSets | None = None
    for field in schema.of_kind("text"):
        if _are_placeholders(comparison.synthetic, field.name):
            continue
        own = TextSets(field.name, *(TextColumn(s.records.column(field.name)) for s in sets))
        first = first or own
        yield from own.find_checks()
    if first is None:
        raise NotMeasurable("all texts are placeholders, which no generator has learnt")
    texts = [column.texts for column in (first.train, first.synthetic, first.holdout)]
    for field in schema.of_kind("spans"):
        columns = (rows.records.column(field.name) for rows in sets)
        yield from check_spans(field.name, *map(SpanArrays.from_column, texts, columns))
    names = [f.name for f in schema.fields if f.kind in ("category", "boolean")]
    names.sort(key=lambda name: name != comparison.target)
    for name in names[:_MAX_LABEL_COLUMNS]:
        if 2 <= len(comparison.train.codes(name)[1]) <= MAX_LABELS:
            yield from check_labels(name, texts, [_labels(rows, name) for rows in sets])


def _are_placeholders(rows: Dataset, name: str) -> bool:
    """Return whether all texts are those that generators of tables write in the place of real ones."""
    word = f"(?:{'|'.join(WORDS)})"
    matched = pc.match_substring_regex(rows.records.column(name), f"(?i)^{word}(?: {word})*\\.$")
    return bool(pc.all(matched).as_py())


def _labels(rows: Dataset, name: str) -> list[str]:
    codes, levels = rows.codes(name)
    return [*np.array([*levels, ""], dtype=object)[codes]]
