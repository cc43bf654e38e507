"""Find the real set of a recipe, read it by its declared schema, and register it with its holdout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from twinset.catalog import Catalog, Version
from twinset.core.contracts import Progress
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.reading import Remark, TableReading
from twinset.core.data.rule import rules_from_json
from twinset.core.data.schema import TILE_COLUMNS, Schema
from twinset.core.data.window_features import with_aggregate
from twinset.core.errors import CatalogError, SchemaError
from twinset.core.rules.violations import broken_by_real_rows, violations
from twinset.core.seeding import rng_for
from twinset.ingest.table_reading import read_columns
from twinset.io.files import file_digest
from twinset.measurement.comparison import part_of, split_rows
from twinset.recipe import Recipe

CHUNK_ROWS = 65_536  # a row group of the catalogue's files: chunks are written without being joined


@dataclass(frozen=True)
class Real:
    """The registered real set, its train set and its holdout."""

    whole: Version
    train: Version
    holdout: Version

    @property
    def versions(self) -> tuple[Version, Version, Version]:
        """All three, whole first."""
        return self.whole, self.train, self.holdout


def find_source(recipe: Recipe, catalog: Catalog | None) -> str:
    """Return the digest of the source's content, without reading it as a table."""
    source = recipe.source
    assert source is not None
    if source.fetch is not None:
        from twinset.io.fetch import SOURCES

        return SOURCES[source.fetch].sha256
    if source.set_ is not None:
        if catalog is None:
            raise CatalogError(
                f"the set '{source.set_}' is not registered", todo="see: twinset sets"
            )
        return catalog.find(source.set_).digest
    return file_digest(recipe.source_path())


def register_real(
    recipe: Recipe,
    catalog: Catalog,
    address: str,
    progress: Progress,
    readings: list[TableReading] | None = None,
) -> Version:
    """Return the registered real set of a recipe; read and register it if it is not there yet.

    `readings` gets what the columns of the recipe's own file are understood as, if it is read now.
    """
    found = catalog.find_step(address)
    if found is not None:
        return found
    source = recipe.source
    assert source is not None
    parents: tuple[str, ...] = ()
    remarks: list[Remark] = []
    if source.set_ is not None:
        version = catalog.find(source.set_)
        dataset, parents = catalog.load(version), (version.digest,)
    else:
        from twinset.io import read_dataset
        from twinset.io.fetch import fetch

        file = fetch(source.fetch, progress) if source.fetch else recipe.source_path()
        options = source.read_options()
        dataset = read_dataset(file, on_fault=source.on_fault, options=options, remarks=remarks)
    skipped = dataset.card.notes if source.set_ is None else ()
    reading = source.read_options().to_json() if source.set_ is None else dataset.card.reading
    dataset = declare(dataset, recipe)
    if readings is not None and source.path is not None:
        readings.append(read_columns(dataset, remarks))
    cut = () if source.tiles is None else (source.tiles.tiling().sentence,)
    card = Card(
        name=recipe.source_name,
        origin="real",
        parents=parents,
        recipe_digest=address,
        licence=source.licence,
        provenance=source.provenance,
        notes=(*skipped, *broken_by_real_rows(dataset), *cut),
        reading=reading,
    )
    rows = _chunks(dataset)
    if source.tiles is not None:
        from twinset.io.tiling import cut_tiles

        rows = cut_tiles(rows, source.tiles.tiling())
    return catalog.register(card.name, _named(rows, card), card, step=address)


def declare(dataset: Dataset, recipe: Recipe) -> Dataset:
    """Return the set read as the recipe's source and brief declare it."""
    source, brief = recipe.source, recipe.brief
    schema = dataset.schema
    if source is not None:
        for field in source.fields(schema):
            schema = schema.with_field(field)
        new = source.new_aggregates(schema)
        if new:
            dataset = dataset.with_schema(schema)
            for name, spec in new.items():
                dataset = with_aggregate(dataset, name, spec)
            schema = dataset.schema
        if source.rules:
            schema = replace(schema, rules=rules_from_json(source.rules))
            for rule in schema.rules:
                for column in rule.columns:
                    schema[column]
                # A rule that does not fit the kinds of its columns is reported before the work begins.
                violations(rule, dataset.slice(0, 1).with_schema(schema))
    if recipe.split.by == "time" and recipe.split.on is not None:
        # No generator is fitted on the holdout's time: metrics must know which column that is.
        schema = schema.with_field(replace(schema[recipe.split.on], role="time"))
    if brief.target is not None:
        labels = brief.task == "classification" and not schema[brief.target].has_levels
        schema = schema.with_target(brief.target, kind="category" if labels else None)
    dataset = dataset.with_schema(schema)
    if brief.target is not None:
        check_target(dataset, schema, brief.target)
    return dataset


def check_target(dataset: Dataset, schema: Schema, target: str) -> None:
    """Raise SchemaError for a target of fewer than two values: no model could be trained."""
    distinct = len(dataset.codes(target)[1]) if not schema[target].is_continuous else 2
    if distinct < 2:
        raise SchemaError(
            f"the target '{target}' has {distinct} distinct values",
            allowed="two or more",
            todo="name another target, or use rows of more than one class",
        )


def register_split(recipe: Recipe, catalog: Catalog, whole: Version, address: str) -> Real:
    """Return the registered real set with its train set and holdout; register them if necessary."""
    train, holdout = catalog.find_step(address), catalog.find_step(f"{address}/holdout")
    if train is None or holdout is None:
        dataset = catalog.load(whole)
        spec = recipe.split
        if TILE_COLUMNS[0] in dataset.schema.names and spec.by == "stratified":
            raise SchemaError(
                "tiles of one image would be in both train set and holdout",
                got="a stratified split",
                todo=f"say split: {{by: group, on: {TILE_COLUMNS[0]}}}",
            )
        rows = split_rows(
            dataset,
            by=spec.by,
            on=spec.on,
            holdout_fraction=spec.holdout_fraction,
            rng=rng_for(recipe.seed, "split"),
        )
        settings = {"split": spec.model_dump(mode="json")}
        versions = []
        # The train set is found by the step's own address, so it is registered last.
        for part, chosen, at in (
            ("holdout", rows[1], f"{address}/holdout"),
            ("train", rows[0], address),
        ):
            card = replace(
                catalog.card(whole),
                name=f"{whole.name}.{part}",
                parents=(whole.digest,),
                seed=recipe.seed,
                recipe_digest=address,
                settings=settings,
            )
            piece = replace(part_of(dataset, chosen), card=card)
            versions.append(catalog.register(card.name, _chunks(piece), card, step=at))
        holdout, train = versions
    return Real(whole, train, holdout)


def _named(chunks: Iterable[Dataset], card: Card) -> Iterator[Dataset]:
    """Yield the chunks with the set's card and an id for every row."""
    start = 0
    for chunk in chunks:
        ids = [f"{card.name}-{start + i}" for i in range(len(chunk))]
        yield replace(chunk, card=card).with_reserved(ids=ids)
        start += len(chunk)


def _chunks(dataset: Dataset) -> Iterator[Dataset]:
    for start in range(0, len(dataset), CHUNK_ROWS):
        yield dataset.slice(start, CHUNK_ROWS)
