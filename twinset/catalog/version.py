"""`Version`, one immutable state of a named set: its manifest, references and lineage."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from twinset.core.data.dataset import Card, Origin
from twinset.core.data.schema import Schema
from twinset.core.untrusted import parse_json

DATA_FILE = "data.parquet"


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
        Origin of the rows.
    licence : str
        SPDX expression, or empty.
    parents : tuple of str
        Digests of the versions it was derived from.

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


@dataclass(frozen=True)
class Manifest:
    """Content of a version as one canonical JSON text, whose SHA-256 is the version's digest.

    Examples
    --------
    >>> from twinset.core.data.schema import Field
    >>> schema = Schema((Field(name="age", kind="integer"),))
    >>> manifest = Manifest({"data.parquet": "ab" * 32}, 3, schema, Card(name="x", origin="real"))
    >>> Manifest.from_bytes(manifest.to_bytes()) == manifest
    True
    """

    files: Mapping[str, str]  # name of each data file -> SHA-256 of its bytes
    n_rows: int  # in all files
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
        facts = parse_json(content)
        return cls(
            facts["files"],
            facts["n_rows"],
            Schema.from_json(facts["schema"]),
            Card.from_json(facts["card"]),
        )


def canonical_json(value: Any) -> str:
    """Return plain values as JSON text; equal values give equal text."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Ancestor:
    """A version in a lineage."""

    digest: str
    version: Version | None  # None when this catalogue does not hold it
    component: str = ""  # generator or augmenter; empty for a source
    parents: tuple[str, ...] = ()  # digests of the versions it was derived from

    def to_json(self, *, numbered: bool = True) -> dict[str, Any]:
        """Return the ancestor as plain JSON values."""
        facts: dict[str, Any] = {"ref": "not registered here"}
        if self.version is not None:
            facts["ref"] = self.version.ref if numbered else self.version.name
            facts["origin"] = self.version.origin
            facts["rows"] = self.version.n_rows
            facts["licence"] = self.version.licence
        return facts | {
            "component": self.component,
            "digest": self.digest,
            "parents": list(self.parents),
        }


@dataclass(frozen=True)
class Lineage:
    """A version and the versions it was derived from, each of them once, the version itself first."""

    ancestors: tuple[Ancestor, ...]

    def to_json(self, *, numbered: bool = True) -> list[dict[str, Any]]:
        """Return the ancestors as plain JSON values; parents are given by their digests.

        Without numbers it does not depend on other content of the catalogue: a set is then identified by
        name and digest.
        """
        return [ancestor.to_json(numbered=numbered) for ancestor in self.ancestors]


def lineage_tree(
    ancestors: Sequence[Mapping[str, Any]],
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield what `Lineage.to_json` lists as a tree: each depth with its ancestor, parents below it.

    An ancestor of several is yielded below each of them; its own parents follow once.
    """
    by_digest = {node.get("digest", ""): node for node in ancestors}
    left, seen = [(0, node) for node in ancestors[:1]], set[str]()
    while left:
        depth, node = left.pop()
        yield depth, node
        if node.get("digest", "") not in seen:
            seen.add(node.get("digest", ""))
            parents = (by_digest.get(digest) for digest in reversed(node.get("parents", ())))
            left += [(depth + 1, parent) for parent in parents if parent is not None]
