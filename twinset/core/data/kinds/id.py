"""Keys of persons, things and rows."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from twinset.core.data.kinds.kind import ColumnKind, ColumnSample, is_text, whole_floats

# Keys of persons and things, which may well repeat: a customer has many payments.
KEY_NAME = re.compile(
    r"(^|_)(id|uuid|guid|ssn|iban|email|e_mail|passport|(account|card|phone)(_?(number|no|nr))?)$",
    re.IGNORECASE,
)
_NUMBERING_NAME = re.compile(r"(^|_)(key|no|nr)$", re.IGNORECASE)
_KEY_VALUE = re.compile(
    r"[^@\s]+@[^@\s]+\.\w+|[A-Z]{2}\d{2}[A-Z0-9 ]{10,}|\+?[\d -]{9,}\d|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}"
)
_MIN_KEYS = 20  # a column of fewer different values may be a list of labels
_N_LOOKED_AT = 200  # texts that must all look like keys
_MAX_CHARACTERS = 64  # a longer word is a hash or an address of a page, not a key that people use


class _Id(ColumnKind):
    """Keys as texts; new ones are filled in, and models do not see them."""

    arrow_type = pa.string()
    sources = (pa.types.is_integer, is_text)
    precedence = 1  # after datetime
    default_role = "identifier"
    is_key = has_placeholders = True

    def infer(self, sample: ColumnSample) -> dict[str, Any] | None:
        """Accept texts and integers that look or are named like keys, and words that seldom repeat."""
        if pa.types.is_integer(sample.type):
            n = sample.n_distinct
            is_unique = n == len(sample.column) > 2
            named = KEY_NAME.search(sample.name) and (n > _MIN_KEYS or is_unique)
            return {} if named or (is_unique and _NUMBERING_NAME.search(sample.name)) else None
        if sample.n_distinct > _MIN_KEYS and (KEY_NAME.search(sample.name) or holds_keys(sample)):
            return {"stored": "string"}
        is_word = (
            sample.mean_words < 1.5 and max(map(len, sample.texts), default=0) <= _MAX_CHARACTERS
        )
        return {"stored": "string"} if sample.seldom_repeats and is_word else None

    def cast(self, column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
        """Read floats such as 17.0 as whole numbers."""
        return super().cast(
            whole_floats(column) if pa.types.is_floating(column.type) else column, target
        )


def holds_keys(sample: ColumnSample) -> bool:
    """Return whether the texts of a column look like mail addresses, account or telephone numbers."""
    return all(_KEY_VALUE.fullmatch(text) for text in sample.texts[:_N_LOOKED_AT])


KIND = _Id()
