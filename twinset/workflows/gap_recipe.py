"""Which generator fills the missing slices of a set, and what it can be asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.persons import shared_levels
from twinset.core.data.schema import TABULAR_KINDS, Field, Schema
from twinset.core.data.where import ALL_OBJECTS, Where, count_column, object_counts
from twinset.core.errors import ParameterError, SchemaError, UnknownNameError
from twinset.core.features.image_statistics import box_labels
from twinset.core.image.codec import decode_pixels
from twinset.core.seeding import rng_for
from twinset.ingest.input_table import refuse_media
from twinset.registry import build, component_class, component_names, parameters

_LEARNS = "tabular.trees"
_DRAWS = ("image.shapes", "image.scenes")
_PASTES = "image.copy_paste"
_MEDIA = frozenset({"image", "mask", "boxes"})


@dataclass(frozen=True)
class Filler:
    """A generator that shall make rows of missing slices."""

    name: str  # Name of the generator
    learns: bool  # Whether it learns from real rows; a slice without any cannot be learnt
    # Columns that conditions may speak of; None: all of the real set
    columns: frozenset[str] | None = None
    # Settings that make its rows fit the set: the side of square images, the levels it shows
    settings: Mapping[str, Any] = field(default_factory=dict)
    # Labels of objects whose numbers it can be asked for; None: it knows nothing of numbers
    labels: tuple[str, ...] | None = None

    @classmethod
    def from_sets(cls, use: str | None, real: Dataset, cards: Sequence[Card] = ()) -> Filler:
        """Return the generator that is named, or the one that suits the columns of the real set.

        `use`: name of the generator. `cards`: what is known of how the sets were made; settings of
        the same generator are taken over.

        >>> import pyarrow as pa
        >>> Filler.from_sets(None, Dataset.from_arrow(pa.table({"sky": ["day", "night"]}))).name
        'tabular.trees'
        """
        name = use or _suited(real, cards)
        if name not in component_names("generator"):
            raise UnknownNameError.for_name("generator", name, component_names("generator"))
        found = component_class("generator", name)
        if not found.needs_real:
            return _drawing(name, real, cards)
        if name == _PASTES:
            return _pasting(real, found.kinds)
        refuse_media(real.schema)
        return cls(name, learns=True)

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

    def with_columns(self, dataset: Dataset) -> Dataset:
        """Return a set with the columns that this generator can be asked for: numbers of objects."""
        return dataset if self.labels is None else with_object_counts(dataset, self.labels)

    def learnt(self, where: Where) -> Where:
        """Return the part of a condition that real rows must show, so that rows can be learnt from them.

        Of numbers of objects they need show nothing: these come about by pasting.
        """
        if self.labels is None:
            return where
        pasted = {ALL_OBJECTS, *map(count_column, self.labels)}
        return Where({c: v for c, v in where.conditions.items() if c not in pasted})

    def within(self, where: Where, real: Dataset) -> Where:
        """Return the condition such that the other columns stay among the values of the real set.

        A generator that learns keeps to them by itself; one that draws knows nothing of them.
        """
        if self.learns:
            return where
        conditions = dict(where.conditions)
        for name in sorted(self.columns or ()):
            values = real.records.column(name).drop_null()
            if name in conditions or not len(values):
                continue
            if real.schema[name].has_order:
                low, high = (pc.min_max(values)[end].as_py() for end in ("min", "max"))
                conditions[name] = {"ge": low, "le": high}
            else:
                conditions[name] = _levels(real, name)
        return Where(conditions)


def _suited(real: Dataset, cards: Sequence[Card]) -> str:
    """Return the generator for a set: of images, what draws most of its columns, else what pastes."""
    schema = real.schema
    if not schema.of_kind("image"):
        return _LEARNS
    made_by = [card.component for card in cards if card.component in _DRAWS]
    shared = {name: len(_shared(_drawn_schema(name, {}), real)) for name in _DRAWS}
    best = max(_DRAWS, key=lambda name: shared[name])
    if made_by and shared[made_by[0]]:
        return made_by[0]
    return _PASTES if not shared[best] and schema.of_kind("boxes") else best


def _pasting(real: Dataset, kinds: frozenset[str]) -> Filler:
    schema = real.schema
    foreign = sorted(schema.kinds - kinds)
    if foreign or len(schema.of_kind("image")) != 1 or len(schema.of_kind("boxes")) != 1:
        raise SchemaError(
            f"'{_PASTES}' cannot make rows of this set",
            got=f"a column of kind {foreign[0]}" if foreign else ", ".join(schema.names[:8]),
            allowed="one column of images, one of objects, and " + ", ".join(sorted(TABULAR_KINDS)),
            todo="give annotated images: COCO, YOLO, VOC or masks",
        )
    # Id maps and outlines tell the pixels of the objects.
    objects = real.records.column(schema.of_kind("boxes")[0].name).to_pylist()
    has_outlines = any(item.get("polygons") for row in objects for item in row or ())
    has_pixels = bool(schema.of_kind("mask")) or has_outlines
    settings = {} if has_pixels else {"masks_from_boxes": "ellipse"}
    return Filler(_PASTES, learns=True, settings=settings, labels=box_labels(real))


def _drawing(name: str, real: Dataset, cards: Sequence[Card]) -> Filler:
    """Return a generator that learns nothing, with settings by which it draws what the set has."""
    # Settings by which the sets were drawn, where cards tell them and they suffice.
    of_cards = (c.settings for c in cards if c.component == name and _can_be(name, c.settings))
    settings = {**next(of_cards, {}), **_image_size(name, real)}
    known = {one.name for one in parameters("generator", name)}
    drawn = _drawn_schema(name, settings)
    shared = _shared(drawn, real)
    if "factors" in known:
        factors = dict(settings.get("factors") or {})
        for column in sorted(shared):
            with_levels = {**factors, column: _levels(real, column)}
            if drawn[column].kind == "category" and _can_be(
                name, {**settings, "factors": with_levels}
            ):
                factors = with_levels
        settings = {**settings, **({"factors": factors} if factors else {})}
    numbers = _levels(real, "n_objects") if "n_objects" in shared else []
    if "n_objects_range" in known and numbers and all(one.isdecimal() for one in numbers):
        range_ = _range_of(name, settings)
        wider = [min(*range_, *map(int, numbers)), max(*range_, *map(int, numbers))]
        if tuple(wider) != range_ and _can_be(name, {**settings, "n_objects_range": wider}):
            settings = {**settings, "n_objects_range": wider}
    drawn = _drawn_schema(name, settings)
    # A column counts whose every label in the set can be drawn.
    shared = {
        c for c in shared if (own := drawn[c].levels) is None or set(_levels(real, c)) <= set(own)
    }
    if not shared:
        raise SchemaError(
            f"the generator '{name}' draws none of the columns of this set",
            got=", ".join(real.schema.names[:8]),
            allowed=", ".join(f.name for f in drawn.fields if f.is_tabular),
            todo="name another generator by --use",
        )
    return Filler(name, learns=False, columns=frozenset(shared), settings=settings)


def _can_be(name: str, settings: Mapping[str, Any]) -> bool:
    """Return whether a generator can be built by these settings alone."""
    try:
        _drawn_schema(name, settings)
    except (ParameterError, UnknownNameError):
        return False
    return True


def _drawn_schema(name: str, settings: Mapping[str, Any]) -> Schema:
    return build("generator", name, settings).fit(None, rng_for(0, "gaps", "columns")).schema


def _shared(drawn: Schema, real: Dataset) -> set[str]:
    names = set(real.schema.names)
    return {f.name for f in drawn.fields if f.is_tabular} & names


def _levels(real: Dataset, column: str) -> list[str]:
    """Return the levels that enough images share: a recipe names no other."""
    return list(shared_levels(real, column))


def _range_of(name: str, settings: Mapping[str, Any]) -> tuple[int, int]:
    given = settings.get("n_objects_range")
    if given is None:
        given = next(
            one.default for one in parameters("generator", name) if one.name == "n_objects_range"
        )
    low, high = given  # type: ignore[misc]
    return int(low), int(high)


def _image_size(name: str, real: Dataset) -> dict[str, int]:
    """Return the side of the first image, where it is square and the generator takes a size."""
    images = real.schema.of_kind("image")
    if not images or all(one.name != "size" for one in parameters("generator", name)):
        return {}
    first = real.records.column(images[0].name).drop_null()
    data = first[0].as_py()["bytes"] if len(first) else None
    if data is None:
        return {}
    height, width = decode_pixels(data).shape[:2]
    return {"size": int(height)} if height == width else {}


def with_object_counts(dataset: Dataset, labels: Sequence[str]) -> Dataset:
    """Return the set with the counts as columns; one of such a name that it has already stays as it is.

    >>> from twinset.core.data.schema import OBJECT, Field, Schema
    >>> boxes = pa.table({"objects": pa.array([[{"category": "cat"}], None], pa.list_(OBJECT))})
    >>> pets = Dataset.from_arrow(boxes, Schema((Field(name="objects", kind="boxes"),)))
    >>> with_object_counts(pets, ["cat"]).records["objects 'cat'"].to_pylist()
    [1, 0]
    """
    counts = object_counts(dataset.records, dataset.schema, labels)
    records, schema = dataset.records, dataset.schema
    for k, name in enumerate([ALL_OBJECTS, *map(count_column, labels)]):
        if name not in schema.names:
            schema = schema.with_field(Field(name=name, kind="integer", nullable=False))
            records = records.append_column(name, pa.array(counts[:, k]))
    return replace(dataset, records=records, schema=schema)
