"""Files named by the SHA-256 of their content: never changed, and checked when they are read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from twinset.core.errors import CatalogError
from twinset.io.drafts import make_private, new_draft, private_folder
from twinset.io.files import flush_file, flush_folder, sha256_of


class Blob(NamedTuple):
    """A stored file."""

    digest: str
    suffix: str
    size: int


@dataclass(frozen=True)
class Objects:
    """The folder of content-addressed files: `<root>/aa/<sha256><suffix>`.

    A file is flushed to the disk before it is renamed to its address, so an address has the whole content
    or does not exist. A crash leaves at most a draft folder in `<root>/incoming`.
    """

    root: Path

    def path(self, digest: str, suffix: str) -> Path:
        """Return the address of the content with this digest."""
        return self.root / digest[:2] / f"{digest}{suffix}"

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Yield a path for a new file, which `store` moves to its address.

        Drafts that killed processes left are removed first. The draft folder shows other processes
        that its owner may have stored files that no version lists yet.
        """
        try:
            for folder in (self.root.parent, self.root, self.incoming):
                private_folder(folder)
            with new_draft(self.incoming) as folder:
                yield folder / "content"
        except OSError as error:
            raise cannot_write_catalogue(self.root.parent, error) from error

    @property
    def incoming(self) -> Path:
        """Folder of the drafts."""
        return self.root / "incoming"

    def store(self, draft: Path, suffix: str) -> Blob:
        """Move a finished draft to its address; only its owner may read it."""
        flush_file(draft)
        make_private(draft)
        blob = Blob(sha256_of(draft), suffix, draft.stat().st_size)
        address = self.path(blob.digest, suffix)
        if not address.parent.exists():
            private_folder(address.parent)
            flush_folder(self.root)
        # An existing file has the same bytes, or is damaged and thereby replaced.
        os.replace(draft, address)
        flush_folder(address.parent)
        return blob

    def stored(self) -> Iterator[Path]:
        """Yield every file that lies at an address, in order."""
        for folder in sorted(self.root.glob("[0-9a-f][0-9a-f]")):
            yield from (path for path in sorted(folder.iterdir()) if path.is_file())

    def put(self, content: bytes, suffix: str) -> Blob:
        """Store `content`."""
        with self.draft() as draft:
            draft.write_bytes(content)
            return self.store(draft, suffix)

    def has(self, blob: Blob) -> bool:
        """Return whether a file of the right size lies at the address."""
        path = self.path(blob.digest, blob.suffix)
        return path.is_file() and path.stat().st_size == blob.size

    def blob(self, digest: str, suffix: str) -> Blob | None:
        """Return the file of this digest with its present size; None if there is none."""
        try:
            return Blob(digest, suffix, self.path(digest, suffix).stat().st_size)
        except OSError:
            return None

    def checked(self, digest: str, suffix: str) -> Path:
        """Return the path of the content with this digest after a check of its bytes."""
        path = self.path(digest, suffix)
        try:
            found = sha256_of(path)
        except OSError as error:
            raise CatalogError(
                "a file of the catalogue is missing or may not be read",
                got=str(path),
                todo="register the set again, or run the recipe again",
            ) from error
        if found != digest:
            raise CatalogError(
                "a file of the catalogue is damaged: its content changed after it was registered",
                got=str(path),
                todo="remove that file, then register the set or run the recipe again",
            )
        return path


def cannot_write_catalogue(root: Path, error: OSError) -> CatalogError:
    """Return the error that says why a catalogue cannot be written to."""
    return CatalogError(
        f"cannot write to the catalogue in '{root}'",
        got=error.strerror or type(error).__name__,
        todo="check its rights and the free space",
    )
