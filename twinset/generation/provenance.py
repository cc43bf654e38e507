"""The provenance file of a twin, OUT.twin.json: how it was made, and proof of its holdout."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.data.dataset import Card, Dataset
from twinset.core.errors import DataError
from twinset.core.untrusted import parse_json

# A guess at the real table costs this many hash rounds (about 0.1 s), so that the digests of a small
# table cannot be searched for.
_ROUNDS = 200_000


@dataclass(frozen=True, kw_only=True)
class TwinNote:
    """How a twin was made. It holds no real value, no clock, host or path."""

    use: str  # The generator
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int  # Of the split and of the rows
    rows: int  # Number of synthetic rows
    target: str | None = None  # The split is stratified by it when it holds labels
    positive: str | None = None  # Label of interest
    where: Mapping[str, Any] | None = None  # Condition that the rows meet
    holdout_fraction: float  # Share of the real rows that the generator never saw; 0 for none
    # Whether values that a single person holds were replaced before the fit
    value_protection: bool = True
    notes: tuple[str, ...] = ()  # For readers of the twin
    # How the real file was read, as far as that was requested
    reading: Mapping[str, Any] = field(default_factory=dict)
    # Keyed digests of the real set and of the positions of its locked rows; see `Seal`
    real_digest: str
    holdout_digest: str
    version: str  # Of twinset

    def card(self, name: str) -> Card:
        """Return the card of the twin, under this name."""
        return Card(
            name=name,
            origin="synthetic",
            seed=self.seed,
            component=self.use,
            settings=self.settings,
            where=self.where,
            notes=self.notes,
            reading=self.reading,
        )

    def to_json(self) -> str:
        """Return the note as JSON text."""
        rule = "stratified by the target where it holds labels, else at random; drawn from the seed"
        return json.dumps({"split_rule": rule, **asdict(self)}, indent=2, default=str) + "\n"

    @classmethod
    def read(cls, synthetic: Path) -> TwinNote | None:
        """Return the note beside a synthetic file, or None if there is none.

        Raises
        ------
        DataError
            There is one and it cannot be read.
        """
        path = note_path(synthetic)
        if not path.is_file():
            return None
        try:
            value = parse_json(path.read_text("utf-8"))
            value.pop("split_rule", None)
            return cls(**{**value, "notes": tuple(value["notes"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise DataError(
                f"the note '{path.name}' beside the synthetic file cannot be read",
                todo="make the twin again, or remove the note",
            ) from error


@dataclass(frozen=True)
class Seal:
    """Keyed digests (HMAC-SHA256) by which the real set and its locked rows are known again.

    The key is stretched from the real set itself and stored nowhere: whoever holds the whole real
    file and the seed can check the digests, and nobody else can test a guess about a single row.

    Examples
    --------
    >>> import pyarrow as pa
    >>> real = Dataset.from_arrow(pa.table({"x": [1.0, 2.0, 3.0]}))
    >>> Seal.from_rows(real, 0).real_digest == Seal.from_rows(real, 1).real_digest
    False
    """

    key: bytes

    @classmethod
    def from_rows(cls, real: Dataset, seed: int) -> Seal:
        """Return the seal of a real set under a seed."""
        salt = f"twinset.twin/{seed}".encode()
        return cls(hashlib.pbkdf2_hmac("sha256", real.digest.encode(), salt, _ROUNDS))

    @property
    def real_digest(self) -> str:
        """Digest of the real set, 64 hexadecimal digits."""
        return hmac.new(self.key, b"real", hashlib.sha256).hexdigest()

    def holdout_digest(self, rows: npt.NDArray[np.int64]) -> str:
        """Digest of the locked rows' positions, 64 hexadecimal digits; `rows` has shape (n,)."""
        message = b"holdout" + np.asarray(rows, dtype="<i8").tobytes()
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()


def note_path(synthetic: Path) -> Path:
    """Return where the note of a synthetic file lies: beside it, with `.twin.json` added."""
    return synthetic.with_name(synthetic.name + ".twin.json")


def report_path(synthetic: Path) -> Path:
    """Return where the report of a synthetic file lies: beside it, with `.html` added."""
    return synthetic.with_name(synthetic.name + ".html")
