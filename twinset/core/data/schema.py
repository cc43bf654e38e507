"""`Field` and `Schema`: what the columns of a set are, in the same words for every modality."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args

import pyarrow as pa

from twinset.core.data.kinds import BLOB as BLOB
from twinset.core.data.kinds import KINDS as KINDS
from twinset.core.data.kinds import TABULAR_KINDS as TABULAR_KINDS
from twinset.core.data.kinds import ColumnKind
from twinset.core.data.kinds.boxes import KEYPOINT as KEYPOINT
from twinset.core.data.kinds.boxes import OBJECT as OBJECT
from twinset.core.data.kinds.kind import Role as Role
from twinset.core.data.kinds.spans import SPAN as SPAN
from twinset.core.data.kinds.spans import SPAN_FACTS as SPAN_FACTS
from twinset.core.data.rule import Rule, rules_from_json, rules_to_json
from twinset.core.data.taxonomy import Label as Label
from twinset.core.data.taxonomy import Taxonomy as Taxonomy
from twinset.core.data.taxonomy import first_repeated
from twinset.core.data.window_spec import Aggregate
from twinset.core.errors import SchemaError

if TYPE_CHECKING:
    Kind = str
else:
    Kind = Literal[tuple(KINDS)]
"""Name of a kind, see `twinset.core.data.kinds`."""

ROLES: tuple[str, ...] = get_args(Role)
RESERVED = ("_id", "_origin", "_parents")
TILE_COLUMNS = ("tile_of", "tile_x", "tile_y", "tile_of_width", "tile_of_height")
"""Where a tile comes from: name of the image, place of its upper left corner, size of the image."""


class _KindFact:
    """A fact of a field's kind, by the same name as in `ColumnKind`."""

    def __set_name__(self, owner: type[Field], name: str) -> None:
        self.name = name

    def __get__(self, field: Field, owner: type[Field]) -> bool:
        return bool(getattr(KINDS[field.kind], self.name))


@dataclass(frozen=True, kw_only=True)
class Field:
    """One column.

    Parameters
    ----------
    name : str
        Column name, unique in its schema.
    kind : Kind
        What the values are. `mask` is an instance-id map, `boxes` a list of objects.
    role : Role
        What the column is for.
    nullable : bool
        Whether values may be missing.
    stored : str
        The Arrow type of the source, as text; delivered files get it back. Empty: the canonical type.
    decimals : int, optional
        Digits after the point that the source writes (numbers only).
    levels : tuple of str, optional
        Values of a category as seen in the source; None when there are too many to list.
    taxonomy : Taxonomy, optional
        Closed list of labels; a value outside it is refused.
    description : str
        Free words for readers.
    aggregate : Aggregate, optional
        What a velocity feature sums up; synthetic rows get it computed from their entity's past.
    """

    name: str
    kind: Kind
    role: Role = "feature"
    nullable: bool = True
    stored: str = ""
    decimals: int | None = None
    levels: tuple[str, ...] | None = None
    taxonomy: Taxonomy | None = None
    description: str = ""
    aggregate: Aggregate | None = None

    # Facts of the kind
    is_tabular = _KindFact()
    is_numeric = _KindFact()
    has_order = _KindFact()
    has_levels = _KindFact()
    is_time = _KindFact()
    is_whole = _KindFact()
    is_continuous = _KindFact()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            message = f"the column '{self.name}' has an unknown kind"
            raise SchemaError.unknown(message, self.kind, KINDS)
        if self.role not in ROLES:
            message = f"the column '{self.name}' has an unknown role"
            raise SchemaError.unknown(message, self.role, ROLES)

    @property
    def column_kind(self) -> ColumnKind:
        """What is known of the kind."""
        return KINDS[self.kind]

    @property
    def arrow_type(self) -> pa.DataType:
        """The canonical Arrow type that records hold."""
        kind = self.column_kind
        return (
            kind.canonical_type(parse_arrow_type(self.stored)) if self.stored else kind.arrow_type
        )

    @property
    def stored_type(self) -> pa.DataType:
        """The Arrow type that delivered files hold."""
        if self.stored:
            return parse_arrow_type(self.stored)
        return self.column_kind.delivered_type or self.arrow_type


@dataclass(frozen=True)
class Schema:
    """The ordered fields of a set and the rules that hold in every row.

    Raises
    ------
    SchemaError
        Two fields share a name, or a field takes a reserved name.
    """

    fields: tuple[Field, ...]
    rules: tuple[Rule, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise SchemaError(
                "two columns have the same name",
                got=f"'{first_repeated(self.names)}' twice",
                todo="rename one of them",
            )
        taken = [name for name in self.names if name in RESERVED]
        if taken:
            raise SchemaError(
                f"the column name '{taken[0]}' is reserved", todo="rename the column in the source"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(field.name for field in self.fields)

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that occur."""
        return frozenset(field.kind for field in self.fields)

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    def __getitem__(self, name: str) -> Field:
        if name in self._by_name:
            return self._by_name[name]
        raise SchemaError.unknown(f"there is no column '{name}'", name, self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def with_role(self, role: str) -> tuple[Field, ...]:
        """Return the fields that have `role`."""
        return tuple(field for field in self.fields if field.role == role)

    def of_kind(self, *kinds: str) -> tuple[Field, ...]:
        """Return the fields whose kind is one of `kinds`."""
        return tuple(field for field in self.fields if field.kind in kinds)

    @property
    def target(self) -> Field | None:
        """The field with the role target, if there is one."""
        return next(iter(self.with_role("target")), None)

    @property
    def aggregates(self) -> tuple[Field, ...]:
        """The fields that are aggregates of an entity's latest rows."""
        return tuple(field for field in self.fields if field.aggregate is not None)

    def select(self, names: Sequence[str]) -> Schema:
        """Return the schema of the named columns, in the order given, with the rules on these alone."""
        chosen = set(names)
        kept = tuple(rule for rule in self.rules if set(rule.columns) <= chosen)
        return Schema(tuple(self[name] for name in names), kept)

    def with_field(self, field: Field) -> Schema:
        """Return the schema with the field of that name replaced, or added at the end."""
        if field.name in self:
            return replace(
                self, fields=tuple(field if f.name == field.name else f for f in self.fields)
            )
        return replace(self, fields=(*self.fields, field))

    def with_target(self, name: str, *, kind: Kind | None = None) -> Schema:
        """Return the schema with `name` as its only target (and of `kind`, when given)."""
        self[name]
        fields = tuple(
            replace(f, role="feature") if f.role == "target" and f.name != name else f
            for f in self.fields
        )
        target = replace(self[name], role="target")
        return replace(self, fields=fields).with_field(
            replace(target, kind=kind) if kind else target
        )

    def to_json(self) -> dict[str, Any]:
        """Return the schema as plain JSON values."""
        fields = [
            {k: v for k, v in vars(f).items() if v not in (None, "") or k == "name"}
            for f in self.fields
        ]
        for entry, field in zip(fields, self.fields):
            if field.aggregate is not None:
                entry["aggregate"] = field.aggregate.to_json()
            if field.taxonomy is not None:
                labels = [label.to_json() for label in field.taxonomy.labels]
                entry["taxonomy"] = {"labels": labels}
        return {"fields": fields, "rules": rules_to_json(self.rules)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Schema:
        """Return the schema that `to_json` wrote."""
        fields = []
        for entry in value["fields"]:
            entry = dict(entry)
            if entry.get("levels") is not None:
                entry["levels"] = tuple(entry["levels"])
            if entry.get("taxonomy") is not None:
                labels = entry["taxonomy"]["labels"]
                entry["taxonomy"] = Taxonomy(tuple(Label.from_json(label) for label in labels))
            if entry.get("aggregate") is not None:
                entry["aggregate"] = Aggregate.from_json(entry["aggregate"])
            fields.append(Field(**entry))
        return cls(tuple(fields), rules_from_json(value.get("rules", [])))

    @property
    def digest(self) -> str:
        """SHA-256 of the schema's JSON form, 64 hexadecimal digits."""
        text = json.dumps(self.to_json(), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def parse_arrow_type(text: str) -> pa.DataType:
    """Return the Arrow type that `str(type)` printed.

    Examples
    --------
    >>> parse_arrow_type("timestamp[ns, tz=UTC]")
    TimestampType(timestamp[ns, tz=UTC])
    """
    if match := re.fullmatch(r"timestamp\[(s|ms|us|ns)(?:, tz=(.+))?\]", text):
        return pa.timestamp(match[1], tz=match[2])
    if match := re.fullmatch(r"decimal(128|256)\((\d+), (-?\d+)\)", text):
        make = pa.decimal128 if match[1] == "128" else pa.decimal256
        return make(int(match[2]), int(match[3]))
    try:
        return pa.type_for_alias(text)
    except ValueError as error:
        raise SchemaError("a column has a stored type that is not known", got=text) from error
