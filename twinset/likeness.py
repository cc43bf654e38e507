"""Whether a synthetic set is held against its like."""

from __future__ import annotations

import numpy as np

from twinset.core.dataset import Dataset
from twinset.core.where import Where


def one_label_note(
    train: Dataset, synthetic: Dataset, target: str | None, where: Where | None
) -> list[str]:
    """Return what to note of a set of one label beside a real one of several: compare like with like."""
    if where is not None or target is None:
        return []
    if train.schema[target].kind not in ("category", "boolean"):
        return []
    sides = []
    for rows in (synthetic, train):
        codes, levels = rows.codes(target)
        sides.append([levels[code] for code in np.unique(codes[codes >= 0])])
    if len(sides[0]) != 1 or len(sides[1]) < 2:
        return []
    label = f"{target} = {sides[0][0]}"
    return [
        f"every synthetic row has {label}, and real rows have other labels too: what differs below "
        f'differs for that reason; to compare like with like, add --where "{label}"'
    ]
