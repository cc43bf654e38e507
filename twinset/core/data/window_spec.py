"""`Aggregate`: a column that sums up what its entity did lately, as it is declared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from twinset.core.errors import SchemaError

How = Literal["count", "sum", "mean", "max", "min", "since_last"]
HOWS: tuple[str, ...] = get_args(How)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}  # of each unit
_NEEDS_OF = ("sum", "mean", "max", "min")


def window_length(text: str | float) -> float:
    """Return the length of a window of time in seconds, or a number as it is.

    Raises
    ------
    SchemaError
        The text cannot be read.

    Examples
    --------
    >>> window_length("90m"), window_length(30)
    (5400.0, 30.0)
    """
    if isinstance(text, int | float):
        return float(text)
    read = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if read is None:
        raise SchemaError(
            "the window of time cannot be read",
            got=f"'{text}'",
            allowed="a number of seconds, or a number with s, m, h, d or w, e.g. 7d",
        )
    return float(read[1]) * _SECONDS[read[2]]


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """What a velocity feature is: how which column is summed up over which rows of the same entity.

    The rows meant are those of the same entity with ``t - over < time <= t``, where t is the row's own
    time; the row itself is one of them unless `with_row` is false, and then ``time < t`` holds.

    Parameters
    ----------
    how : {"count", "sum", "mean", "max", "min", "since_last"}
        `since_last` is the time since the entity's latest earlier row, in seconds (in the unit of the
        time column where that is a number); missing where there is none.
    of : str, optional
        Column to sum up; needed by all but count and since_last.
    by : str, optional
        Column of the entity; by default the one with the role group.
    over : str or float, optional
        Length of the window: a number of seconds (of the time column's unit), or a text such as "7d",
        "90m", "24h", "2w"; without it all earlier rows count.
    time : str, optional
        Column of the time; by default the one with the role time.
    with_row : bool
        Whether the row itself counts.

    Raises
    ------
    SchemaError
        A setting is unknown, missing or cannot be read.

    Examples
    --------
    >>> Aggregate(how="count", over="7d").seconds
    604800.0
    """

    how: How
    of: str | None = None
    by: str | None = None
    over: str | float | None = None
    time: str | None = None
    with_row: bool = True

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise SchemaError.unknown("an aggregate is of an unknown sort", self.how, HOWS)
        if self.how in _NEEDS_OF and self.of is None:
            raise SchemaError(
                f"an aggregate '{self.how}' needs a column to sum up", todo="name it under 'of'"
            )
        if not self.seconds > 0:
            raise SchemaError(
                "the window of an aggregate is empty", got=str(self.over), allowed="above 0"
            )

    @property
    def seconds(self) -> float:
        """Length of the window in seconds, or in the unit of a numeric time column."""
        return float("inf") if self.over is None else window_length(self.over)

    def to_json(self) -> dict[str, Any]:
        """Return the settings that are not the defaults as plain JSON values."""
        kept = {k: v for k, v in asdict(self).items() if v is not None}
        return {k: v for k, v in kept.items() if (k, v) != ("with_row", True)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Aggregate:
        """Return the aggregate that `to_json` wrote, or that a recipe declares.

        Raises
        ------
        SchemaError
            A setting is not known, or `how` is missing.
        """
        known = tuple(cls.__dataclass_fields__)
        for name in value:
            if name not in known:
                raise SchemaError.unknown(f"an aggregate has no setting '{name}'", name, known)
        if "how" not in value:
            raise SchemaError("an aggregate does not say how", allowed=", ".join(HOWS))
        return cls(**value)
