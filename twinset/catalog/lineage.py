"""`Lineage`: what a version was made from, back to its sources."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twinset.catalog.version import Version


@dataclass(frozen=True)
class Lineage:
    """A version and, nested in it, the versions it was made from.

    Parameters
    ----------
    digest : str
        Digest of the version.
    version : Version or None
        The version; None when this catalogue does not hold it.
    component : str
        Generator or augmenter that made it; empty for a source.
    parents : tuple of Lineage
        The same for each parent. A version that stands elsewhere in the tree already has none here.
    """

    digest: str
    version: Version | None
    component: str = ""
    parents: tuple[Lineage, ...] = ()

    def to_json(self, *, numbered: bool = True) -> dict[str, Any]:
        """Return the tree as plain JSON values.

        Without numbers it says the same whatever else the catalogue holds: a set is then told by its
        name and digest.
        """
        facts: dict[str, Any] = {"ref": "not registered here"}
        if self.version is not None:
            facts["ref"] = self.version.ref if numbered else self.version.name
            facts["origin"] = self.version.origin
            facts["rows"] = self.version.n_rows
            facts["licence"] = self.version.licence
        facts["component"] = self.component
        facts["digest"] = self.digest
        facts["parents"] = [parent.to_json(numbered=numbered) for parent in self.parents]
        return facts


def trace(digest: str, look_up: Callable[[str], tuple[Version, str] | None]) -> Lineage:
    """Return the lineage of the version with this digest.

    Parameters
    ----------
    digest : str
        Where to begin.
    look_up : callable
        Digest -> version and the component that made it, or None when it is not known.
    """
    return _trace(digest, look_up, set())


def _trace(
    digest: str, look_up: Callable[[str], tuple[Version, str] | None], seen: set[str]
) -> Lineage:
    found = look_up(digest)
    if found is None:
        return Lineage(digest, None)
    version, component = found
    if digest in seen:
        # Told once is enough: shared ancestors would multiply with every generation.
        return Lineage(digest, version, component)
    seen.add(digest)
    parents = tuple(_trace(parent, look_up, seen) for parent in version.parents)
    return Lineage(digest, version, component, parents)
