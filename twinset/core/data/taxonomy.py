"""`Taxonomy`: the closed list of labels that a column, its boxes or its spans may carry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from twinset.core.errors import SchemaError, did_you_mean


@dataclass(frozen=True)
class Label:
    """One word of a taxonomy: its name, what it means, and the broader label it belongs to.

    Of a class of objects also its number in the source's format (COCO's category id, YOLO's class),
    the names of its keypoints in order, and the pairs of them (from 0) that its skeleton joins.
    """

    name: str
    definition: str = ""
    parent: str | None = None
    number: int | None = None
    keypoints: tuple[str, ...] = ()
    skeleton: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the label as plain JSON values; what is not said is left out."""
        plain: dict[str, Any] = {
            "name": self.name,
            "definition": self.definition,
            "parent": self.parent,
        }
        if self.number is not None:
            plain["number"] = self.number
        if self.keypoints:
            plain["keypoints"] = list(self.keypoints)
            plain["skeleton"] = [list(pair) for pair in self.skeleton]
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Label:
        """Return the label that `to_json` wrote."""
        return cls(
            **{
                **value,
                "keypoints": tuple(value.get("keypoints", ())),
                "skeleton": tuple((a, b) for a, b in value.get("skeleton", ())),
            }
        )


@dataclass(frozen=True)
class Taxonomy:
    """The closed list of labels that a column, its boxes or its spans may carry.

    Raises
    ------
    SchemaError
        Two labels share a name, a parent is unknown, or parents form a circle.
    """

    labels: tuple[Label, ...]

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) != len(names):
            raise SchemaError("a label is defined twice", got=first_repeated(names))
        for label in self.labels:
            if label.parent is not None and label.parent not in names:
                raise SchemaError(
                    f"the label '{label.name}' has an unknown parent",
                    got=label.parent,
                    todo=did_you_mean(label.parent, names),
                )
            self.ancestors(label.name)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of all labels, in the order of definition."""
        return tuple(label.name for label in self.labels)

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Return the broader labels of `name`, nearest first."""
        parents = {label.name: label.parent for label in self.labels}
        found: list[str] = []
        at = parents[name]
        while at is not None:
            if at in found or at == name:
                raise SchemaError("the parents of labels form a circle", got=name)
            found.append(at)
            at = parents[at]
        return tuple(found)

    def check(self, values: Iterable[str], place: str) -> None:
        """Raise SchemaError when one of `values` is no label; `place` says where it stood."""
        for value in values:
            if value not in self.names:
                raise SchemaError.unknown(f"unknown label '{value}' in {place}", value, self.names)


def first_repeated(names: Sequence[str]) -> str:
    """Return the first name that stood before already."""
    return next(name for i, name in enumerate(names) if name in names[:i])
