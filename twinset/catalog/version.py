"""`Version`: one immutable state of a named set, and the references that find it."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from twinset.core.data.dataset import Origin

SHORTEST_DIGEST = 6


@dataclass(frozen=True, kw_only=True)
class Version:
    """One registered state of a set; it never changes.

    Parameters
    ----------
    name : str
        Name of the set.
    number : int
        1 for the first version of that name, then 2, 3, ... without gaps.
    digest : str
        SHA-256 over the data, the schema and the card, 64 hexadecimal digits.
    n_rows : int
        Number of rows.
    origin : {"real", "synthetic", "augmented"}
        Where the rows come from.
    licence : str
        SPDX expression, or empty.
    parents : tuple of str
        Digests of the versions it was made from.

    Examples
    --------
    >>> Version(name="ulb", number=2, digest="ab" * 32, n_rows=5, origin="real").ref
    'ulb@2'
    """

    name: str
    number: int
    digest: str
    n_rows: int
    origin: Origin
    licence: str = ""
    parents: tuple[str, ...] = ()

    @property
    def ref(self) -> str:
        """Name and number, e.g. ``"ulb@2"``."""
        return f"{self.name}@{self.number}"

    def _repr_html_(self) -> str:
        facts = (
            f"{self.n_rows:,} rows",
            self.origin,
            self.licence or "licence not stated",
            self.digest[:12],
        )
        return f"<p><b>{html.escape(self.ref)}</b>: {html.escape(', '.join(facts))}</p>"


def split_ref(ref: str) -> tuple[str, int | None]:
    """Return the name and the number in `ref`; None where it names no number.

    Examples
    --------
    >>> split_ref("ulb@2"), split_ref("ulb")
    (('ulb', 2), ('ulb', None))
    """
    match = re.fullmatch(r"(.+)@([0-9]{1,9})", ref)
    return (match[1], int(match[2])) if match else (ref, None)


def is_digest_prefix(ref: str) -> bool:
    """Return whether `ref` can be the beginning of a digest."""
    return re.fullmatch(rf"[0-9a-f]{{{SHORTEST_DIGEST},64}}", ref) is not None
