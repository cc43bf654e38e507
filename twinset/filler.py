"""Which generator fills the missing slices of a set, and what it can be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow.compute as pc

from twinset.core.dataset import Dataset
from twinset.core.errors import ParameterError, SchemaError, UnknownNameError
from twinset.core.pixels import decode_pixels
from twinset.core.schema import TABULAR_KINDS
from twinset.core.seeding import rng_for
from twinset.core.where import Where
from twinset.registry import build, component_class, component_names, parameters
from twinset.tables import refuse_media

_LEARNS = "tabular.trees"
_DRAWS = "image.shapes"


@dataclass(frozen=True)
class Filler:
    """A generator that shall make rows of missing slices.

    Parameters
    ----------
    name : str
        Name of the generator.
    learns : bool
        Whether it learns from real rows; a slice without any cannot be learnt.
    columns : frozenset of str, optional
        Columns that conditions may speak of; None: all of the real set.
    settings : mapping
        Settings that make its rows fit the set: the side of square images.
    """

    name: str
    learns: bool
    columns: frozenset[str] | None = None
    settings: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, use: str | None, real: Dataset) -> Filler:
        """Return the generator that is named, or the one that suits the columns of the real set.

        Raises
        ------
        UnknownNameError
            There is no such generator.
        SchemaError
            The columns are not those of a table and the generator learns from tables.

        Examples
        --------
        >>> import pyarrow as pa
        >>> Filler.of(None, Dataset.from_arrow(pa.table({"sky": ["day", "night"]}))).name
        'tabular.trees'
        """
        schema = real.schema
        name = use or (_DRAWS if schema.of_kind("image") else _LEARNS)
        if name not in component_names("generator"):
            raise UnknownNameError.of("generator", name, component_names("generator"))
        if component_class("generator", name).needs_real:
            refuse_media(schema)
            return cls(name, learns=True)
        drawn = build("generator", name, {}).fit(None, rng_for(0, "gaps", "columns")).schema
        shared = {f.name for f in drawn.fields if f.kind in TABULAR_KINDS} & set(schema.names)
        if not shared:
            raise SchemaError(
                f"the generator '{name}' draws none of the columns of this set",
                got=", ".join(schema.names[:8]),
                allowed=", ".join(f.name for f in drawn.fields if f.kind in TABULAR_KINDS),
                todo="name another generator by --use",
            )
        settings = _image_size(name, real)
        return cls(name, learns=False, columns=frozenset(shared), settings=settings)

    def knows(self, column: str) -> bool:
        """Return whether a condition may speak of this column."""
        return self.columns is None or column in self.columns

    def check(self, where: Where) -> None:
        """Raise ParameterError if the generator cannot be asked for these rows."""
        for column in where.conditions:
            if not self.knows(column):
                raise ParameterError(
                    f"'{self.name}' cannot be asked for rows by '{column}'",
                    got=str(where),
                    allowed="conditions on " + ", ".join(sorted(self.columns or ())),
                )

    def within(self, where: Where, real: Dataset) -> Where:
        """Return the condition such that the other columns stay among the values of the real set.

        A generator that learns keeps to them by itself; one that draws knows nothing of them.
        """
        conditions = dict(where.conditions)
        for name in sorted(self.columns or ()):
            values = real.records.column(name).drop_null()
            if name in conditions or not len(values):
                continue
            if real.schema[name].kind in ("number", "integer", "datetime"):
                low, high = (pc.min_max(values)[end].as_py() for end in ("min", "max"))
                conditions[name] = {"ge": low, "le": high}
            else:
                conditions[name] = sorted(str(one) for one in pc.unique(values).to_pylist())
        return where if self.columns is None else Where(conditions)


def _image_size(name: str, real: Dataset) -> dict[str, int]:
    """Return the side of the first image, where it is square and the generator can be told."""
    images = real.schema.of_kind("image")
    if not images or all(one.name != "size" for one in parameters("generator", name)):
        return {}
    first = real.records.column(images[0].name).drop_null()
    data = first[0].as_py()["bytes"] if len(first) else None
    if data is None:
        return {}
    height, width = decode_pixels(data).shape[:2]
    return {"size": int(height)} if height == width else {}
