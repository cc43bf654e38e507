"""Which column of a file is likely to be the one to predict."""

from __future__ import annotations

from twinset.core.dataset import Dataset
from twinset.core.schema import Field

_TARGET_NAMES = (
    "target",
    "label",
    "class",
    "y",
    "outcome",
    "diagnosis",
    "churn",
    "fraud",
    "default",
)
_MOST_LABELS = 20


def guess_target(dataset: Dataset) -> tuple[Field | None, str]:
    """Return the column that is most likely to be predicted, and the reason in words.

    Only columns with 2 to 20 labels are looked at: first by their names, then the last column.

    Examples
    --------
    >>> import pyarrow as pa
    >>> d = Dataset.from_arrow(pa.table({"label": ["a", "b", "a"], "x": [1.5, 2.5, 3.5]}))
    >>> guess_target(d)[0].name
    'label'
    """
    labels = [field for field in dataset.schema.fields if _has_labels(field)]
    for field in labels:
        name = field.name.lower()
        if name in _TARGET_NAMES or name.startswith("is_"):
            return field, "a guess by its name"
    last = dataset.schema.fields[-1]
    if last in labels:
        return last, "a guess: the last column, and it holds labels"
    return None, "no column looks like labels; name one here if models are to predict it"


def _has_labels(field: Field) -> bool:
    if field.kind == "boolean":
        return True
    return field.kind == "category" and 2 <= len(field.levels or ()) <= _MOST_LABELS
