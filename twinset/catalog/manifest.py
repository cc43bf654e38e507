"""The manifest of a version: its data files, schema and card as one canonical JSON text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twinset.core.data.dataset import Card
from twinset.core.data.schema import Schema

DATA_FILE = "data.parquet"


@dataclass(frozen=True)
class Manifest:
    """All that a version is. The SHA-256 of its text is the version's digest.

    Parameters
    ----------
    files : mapping
        Name of each data file -> SHA-256 of its bytes.
    n_rows : int
        Number of rows in all files.
    schema : Schema
        What the columns are.
    card : Card
        The set's history.

    Examples
    --------
    >>> from twinset.core.data.schema import Field
    >>> schema = Schema((Field(name="age", kind="integer"),))
    >>> made = Manifest({"data.parquet": "ab" * 32}, 3, schema, Card(name="x", origin="real"))
    >>> Manifest.from_bytes(made.to_bytes()) == made
    True
    """

    files: Mapping[str, str]
    n_rows: int
    schema: Schema
    card: Card

    def to_bytes(self) -> bytes:
        """Return the canonical text: sorted keys, no spaces, UTF-8."""
        facts = {
            "files": dict(self.files),
            "n_rows": self.n_rows,
            "schema": self.schema.to_json(),
            "card": self.card.to_json(),
        }
        return canonical_json(facts).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Manifest:
        """Return the manifest that `to_bytes` wrote."""
        facts = json.loads(content)
        return cls(
            facts["files"],
            facts["n_rows"],
            Schema.from_json(facts["schema"]),
            Card.from_json(facts["card"]),
        )


def canonical_json(value: Any) -> str:
    """Return the one JSON text of plain values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
