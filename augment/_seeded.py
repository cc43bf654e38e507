"""Augmenters that draw one seed a row: what made a row can be written down, and made again from it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from twinset.core.contracts import Augmenter
from twinset.core.data.dataset import Dataset
from twinset.core.errors import ParameterError


@dataclass(frozen=True, kw_only=True)
class Seeded(Augmenter):
    """An augmenter whose rows each depend on their parent and one seed, and on nothing else."""

    use: ClassVar[str]  # Its name in recipes
    # Packages whose release may decide a row
    libraries: ClassVar[tuple[str, ...]] = ("numpy", "twinset")

    def draw(self, dataset: Dataset, rng: np.random.Generator) -> Mapping[str, npt.NDArray[Any]]:
        """Return one seed per row, ``{"seed": (n,) int64}``."""
        return {"seed": rng.integers(0, 2**31 - 1, size=len(dataset), dtype=np.int64)}

    def record(self, seed: int) -> dict[str, Any]:
        """Return all that decides a varied row, as JSON values: component, settings, seed, versions."""
        return {
            "use": self.use,
            "with": _plain(asdict(self)),
            "seed": int(seed),
            "versions": {name: v for name in self.libraries if (v := _version(name))},
        }

    @classmethod
    def replay(cls, record: Mapping[str, Any], row: Dataset) -> Dataset:
        """Return the one row that `record` tells of, made again from its parent row."""
        if record["use"] != cls.use or len(row) != 1:
            raise ParameterError(
                "a record cannot be replayed",
                got=f"a record of '{record['use']}' and {len(row)} rows",
                allowed=f"a record of '{cls.use}' and the one row it was made from",
            )
        return cls(**record["with"]).apply(row, {"seed": np.array([record["seed"]], np.int64)})


def with_parents(
    dataset: Dataset, seeds: npt.NDArray[Any], others: list[list[str]] | None = None
) -> Dataset:
    """Return the set with its own ids and the parents of each row, its own row first."""
    if "_id" not in dataset.records.column_names:
        return dataset
    own = dataset.records.column("_id").to_pylist()
    ids = [f"{parent}~{int(seed):08x}" for parent, seed in zip(own, seeds)]
    parents = [[p, *(others[k] if others else [])] for k, p in enumerate(own)]
    return dataset.with_card(origin="augmented").with_reserved(ids=ids, parents=parents)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
