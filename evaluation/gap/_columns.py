"""Which columns of a wide table are looked at."""

from __future__ import annotations

from twinset.core.data.dataset import Dataset


def chosen_columns(dataset: Dataset, target: str | None, most: int) -> list[str]:
    """Return the names of at most `most` columns in their order: the target and the first ones."""
    names = list(dataset.schema.names)
    first = [name for name in names if name == target]
    return sorted([*first, *[n for n in names if n != target]][:most], key=names.index)
