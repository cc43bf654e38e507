"""`Catalog`: register, find, load and stream versions of data sets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from twinset.catalog.database import Database
from twinset.catalog.objects import Objects, cannot_write_catalogue
from twinset.catalog.restore import DATA, MANIFEST, NOTE
from twinset.catalog.version import DATA_FILE, Ancestor, Lineage, Manifest, Version
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import CatalogError, did_you_mean
from twinset.io.drafts import has_live_draft, new_draft, private_folder, sole_draft, sweep_drafts
from twinset.io.files import check_name
from twinset.io.parquet import ParquetWriter, iter_parquet, read_parquet
from twinset.io.writer import Target

# Six digits or more of a digest: two of 1,000 versions share six with probability 3 %.
_DIGEST = re.compile("[0-9a-f]{6,64}")
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
        self._database = Database(self.root)
        self._locks = self.root / "locks"

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Show other processes, while the block lasts, that the catalogue is in use.

        Drafts that killed processes left are removed first.
        """
        with self._owned(new_draft(self._locks)):
            yield

    @property
    def is_in_use(self) -> bool:
        """Whether a process is inside of `in_use`, or registers a set."""
        return any(map(has_live_draft, (self._locks, self._objects.incoming)))

    @contextmanager
    def sole_writer(self, step: str, name: str) -> Iterator[None]:
        """Let one process at a time make a pipeline step; another waits, with a warning.

        `step` is the address of the step, and `name` its name in the warning.
        """
        place = self._locks / hashlib.sha256(step.encode()).hexdigest()
        with self._owned(sole_draft(place, f"the step '{name}'")):
            yield

    @contextmanager
    def _owned(self, draft: AbstractContextManager[Path]) -> Iterator[None]:
        """Own a draft folder among the locks; an error that keeps it from being made is ours."""
        with ExitStack() as stack:
            try:
                for folder in (self.root, self._locks):
                    private_folder(folder)
                sweep_drafts(self._objects.incoming)
                stack.enter_context(draft)
            except OSError as error:
                raise cannot_write_catalogue(self.root, error) from error
            yield

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
            history = card if isinstance(card, Card) else card()
            # The draft lasts until the files are listed: `doctor` removes none of them meanwhile.
            self._database.create()
            data = self._objects.store(draft, DATA)
            manifest = Manifest({DATA_FILE: data.digest}, n_rows, schema, history)
            sidecar = self._objects.put(manifest.to_bytes(), MANIFEST)
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
        found = self._database.ancestors(version.digest)
        found[version.digest] = (version, found.get(version.digest, (version, ""))[1])
        ordered: dict[str, Ancestor] = {}
        left = [version.digest]
        while left:
            digest = left.pop()
            if digest not in ordered:
                stored, component = found.get(digest, (None, ""))
                parents = stored.parents if stored is not None else ()
                ordered[digest] = Ancestor(digest, stored, component, parents)
                left += reversed(parents)
        return Lineage(tuple(ordered.values()))

    def note(self, step: str, kind: str, value: bytes) -> None:
        """Store a small result of a pipeline step; an earlier one of that step is replaced."""
        self._database.create()
        with self._objects.draft() as draft:
            draft.write_bytes(value)
            self._database.add_note(step, kind, self._objects.store(draft, NOTE))

    def read_note(self, step: str) -> bytes | None:
        """Return the note of a step; None if it, or its file, does not exist.

        Raises
        ------
        CatalogError
            The file is damaged.
        """
        digest = self._find_note(step)
        return None if digest is None else self._objects.checked(digest, NOTE).read_bytes()

    def _find_note(self, step: str) -> str | None:
        blob = self._database.note(step)
        return blob.digest if blob is not None and self._objects.has(blob) else None

    def _manifest(self, version: Version) -> Manifest:
        path = self._objects.checked(version.digest, MANIFEST)
        return Manifest.from_bytes(path.read_bytes())

    def _files(self, version: Version) -> tuple[Manifest, Path]:
        """Return the manifest and the checked data file of a version."""
        manifest = self._manifest(version)
        return manifest, self._objects.checked(manifest.files[DATA_FILE], DATA)


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
