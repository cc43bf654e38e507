"""`Catalog`: register, find, load and stream versions of data sets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from twinset.catalog.database import Database
from twinset.catalog.objects import Objects
from twinset.catalog.version import DATA_FILE, Lineage, Manifest, Version
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import CatalogError, did_you_mean
from twinset.io.files import check_name
from twinset.io.parquet import ParquetWriter, iter_parquet, read_parquet
from twinset.io.writer import Target

# Six digits or more of a digest: two of 1,000 versions share six with probability 3 %.
_DIGEST = re.compile("[0-9a-f]{6,64}")
_DATA, _MANIFEST, _NOTE = ".parquet", ".json", ".note"
_ROWS = 16_384  # of a streamed chunk: 100 columns of 8 bytes are 13 MB
_ROWS_OF_IMAGES = 256  # 100 KB each are 26 MB


class Catalog:
    """Registered data sets in one folder: a small database, and files named by their SHA-256.

    Files are written first, then one transaction makes the version visible: a listed version is complete,
    also after a crash. Versions never change.

    Parameters
    ----------
    root : Path
        The catalogue's folder, e.g. ``.twinset``; it is created by the first registration.

    Examples
    --------
    >>> import tempfile
    >>> import pyarrow as pa
    >>> people = Dataset.from_arrow(pa.table({"age": [31, 47, 50]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     catalog = Catalog(Path(folder))
    ...     version = catalog.register("people", [people], people.card)
    ...     version.ref, len(catalog.load(version))
    ('people@1', 3)
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._objects = Objects(self.root / "objects")
        self._database = Database(self.root / "catalog.sqlite")

    def register(
        self,
        name: str,
        chunks: Iterable[Dataset],
        card: Card | Callable[[], Card],
        step: str = "",
    ) -> Version:
        """Store a stream of chunks as the next version of a set and return that version.

        Parameters
        ----------
        name : str
            Name of the set: letters, digits, ".", "_" and "-".
        chunks : iterable of Dataset
            The rows, at least one chunk, all with the columns of the first; memory holds one chunk.
        card : Card or callable
            The set's history, or a function that returns it and is called after the last chunk.
        step : str
            Content address of the pipeline step that produced it, for `find_step`.

        Returns
        -------
        Version
            The new version, or the earlier one of that name with the same rows, schema and card.

        Raises
        ------
        RecipeError
            The name cannot be used.
        CatalogError
            There is no chunk, chunks differ in their columns, or the folder cannot be written to.
        """
        check_name(name)
        with self._objects.draft() as draft:
            n_rows, schema = _write(chunks, draft)
            data = self._objects.store(draft, _DATA)
        history = card if isinstance(card, Card) else card()
        manifest = Manifest({DATA_FILE: data.digest}, n_rows, schema, history)
        sidecar = self._objects.put(manifest.to_bytes(), _MANIFEST)
        return self._database.add_version(name, (data, sidecar), manifest, step)

    def find(self, ref: str) -> Version:
        """Return the version of a reference.

        Parameters
        ----------
        ref : str
            ``"name"`` (the latest version), ``"name@3"``, or the first 6 or more digits of a digest.

        Raises
        ------
        CatalogError
            It fits no version, or several.
        """
        numbered = re.fullmatch(r"(.+)@([0-9]{1,9})", ref)
        name = numbered[1] if numbered else ref
        found = self._database.versions_named(name)
        if found and not numbered:
            return found[-1]
        for version in found:
            if numbered and version.number == int(numbered[2]):
                return version
        if found and numbered:
            raise CatalogError(
                f"the set '{name}' has no version {int(numbered[2])}",
                allowed=f"1 to {found[-1].number}",
            )
        by_digest = self._database.versions_by_digest(ref) if _DIGEST.fullmatch(ref) else []
        if len({version.digest for version in by_digest}) > 1:
            raise CatalogError(
                f"more than one digest begins with '{ref}'",
                got=", ".join(version.ref for version in by_digest[:5]),
                todo="give more digits",
            )
        if by_digest:
            return by_digest[0]
        known = {version.name for version in self.sets()}
        raise CatalogError(
            f"no registered set '{ref}'",
            allowed=", ".join(sorted(known)[:30]) or "nothing: the catalogue is empty",
            todo=did_you_mean(name, known) or "see: twinset sets",
        )

    def find_step(self, step: str) -> Version | None:
        """Return the version of a pipeline step; None if it, or its file, does not exist."""
        version, blobs = self._database.step(step) or (None, [])
        return version if all(map(self._objects.has, blobs)) else None

    def has_step(self, step: str) -> bool:
        """Return whether a pipeline step has a version or a note."""
        return self.find_step(step) is not None or self._find_note(step) is not None

    def sets(self) -> list[Version]:
        """Return all versions, by name and number."""
        return self._database.all_versions()

    def load(self, version: Version) -> Dataset:
        """Return the whole set after a check of its bytes.

        Raises
        ------
        CatalogError
            A file is missing or damaged.
        """
        manifest, path = self._files(version)
        return Dataset.from_arrow(read_parquet(path), manifest.schema, manifest.card)

    def stream(self, version: Version, rows: int | None = None) -> Iterator[Dataset]:
        """Yield the set in chunks of `rows` rows (the last may be shorter) after a check of its bytes.

        By default 16,384 rows, of images 256. A set without rows is one chunk without rows.

        Raises
        ------
        CatalogError
            A file is missing or damaged.
        """
        manifest, path = self._files(version)
        if version.n_rows == 0:
            yield Dataset.from_arrow(read_parquet(path), manifest.schema, manifest.card)
        usual = _ROWS_OF_IMAGES if manifest.schema.of_kind("image") else _ROWS
        for table in iter_parquet(path, rows or usual):
            yield Dataset.from_arrow(table, manifest.schema, manifest.card)

    def card(self, version: Version) -> Card:
        """Return the card of a version."""
        return self._manifest(version).card

    def schema(self, version: Version) -> Schema:
        """Return the schema of a version."""
        return self._manifest(version).schema

    def lineage(self, version: Version) -> Lineage:
        """Return the versions that a version was derived from, back to its sources."""
        seen: set[str] = set()  # shared ancestors would multiply with every generation

        def trace(digest: str) -> Lineage:
            stored = self._database.with_component(digest)
            if stored is None:
                return Lineage(digest, None)
            found, component = stored
            found = version if digest == version.digest else found
            if digest in seen:
                return Lineage(digest, found, component)
            seen.add(digest)
            return Lineage(digest, found, component, tuple(map(trace, found.parents)))

        return trace(version.digest)

    def note(self, step: str, kind: str, value: bytes) -> None:
        """Store a small result of a pipeline step; an earlier one of that step is replaced."""
        self._database.add_note(step, kind, self._objects.put(value, _NOTE))

    def read_note(self, step: str) -> bytes | None:
        """Return the note of a step; None if it, or its file, does not exist.

        Raises
        ------
        CatalogError
            The file is damaged.
        """
        digest = self._find_note(step)
        return None if digest is None else self._objects.checked(digest, _NOTE).read_bytes()

    def _find_note(self, step: str) -> str | None:
        blob = self._database.note(step)
        return blob.digest if blob is not None and self._objects.has(blob) else None

    def _manifest(self, version: Version) -> Manifest:
        path = self._objects.checked(version.digest, _MANIFEST)
        return Manifest.from_bytes(path.read_bytes())

    def _files(self, version: Version) -> tuple[Manifest, Path]:
        """Return the manifest and the checked data file of a version."""
        manifest = self._manifest(version)
        return manifest, self._objects.checked(manifest.files[DATA_FILE], _DATA)


def _write(chunks: Iterable[Dataset], path: Path) -> tuple[int, Schema]:
    schema: Schema | None = None
    n_rows = 0
    writer = ParquetWriter(Target(path, path, "parquet"))
    try:
        for chunk in chunks:
            if schema is None:
                schema = chunk.schema
            elif chunk.schema.names != schema.names or chunk.schema.kinds != schema.kinds:
                raise CatalogError(
                    "the chunks of one set differ in their columns",
                    got=", ".join(chunk.schema.names[:30]),
                    allowed=", ".join(schema.names[:30]),
                )
            writer.append(chunk.records)
            n_rows += len(chunk)
        writer.finish()
    finally:
        writer.close()
    if schema is None:
        raise CatalogError("there is nothing to register", todo="give at least one chunk of rows")
    return n_rows, schema
