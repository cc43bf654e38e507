"""How many rows of each class to make: counts of the real training part and what the brief wants."""

from __future__ import annotations

from collections.abc import Mapping

from twinset.core.errors import DataError, did_you_mean

_MOST_SHOWN = 20


def rows_to_make(counts: Mapping[str, int], want: Mapping[str, int]) -> dict[str, int]:
    """Return how many rows of each label are lacking.

    Parameters
    ----------
    counts : mapping
        Label -> rows of it in the training part.
    want : mapping
        Label -> rows of it that the finished training set shall hold.

    Returns
    -------
    dict
        Label -> rows to make, for the labels that fall short, in the order of `want`.

    Raises
    ------
    DataError
        A wanted label does not occur in the training part.

    Examples
    --------
    >>> rows_to_make({"0": 990, "1": 10}, {"1": 100, "0": 500})
    {'1': 90}
    """
    made: dict[str, int] = {}
    present = [(name, n) for name, n in counts.items() if n]
    for label, total in want.items():
        if counts.get(label, 0) == 0:
            raise DataError(
                f"the brief wants rows of the label '{label}', and the training part holds none",
                allowed=", ".join(f"{name} ({n} rows)" for name, n in present[:_MOST_SHOWN]),
                todo=did_you_mean(label, counts) or "correct brief.want, or split another way",
            )
        if total > counts[label]:
            made[label] = total - counts[label]
    return made
