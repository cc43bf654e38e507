"""Files named by the SHA-256 of their content: never changed, and checked when they are read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from twinset.catalog.database import Blob
from twinset.core.errors import CatalogError
from twinset.io.files import flush_file, flush_folder, sha256_of


@dataclass(frozen=True)
class Objects:
    """The folder of content-addressed files: `<root>/aa/<sha256><suffix>`.

    A file is flushed to the disk before it is renamed to its address, so an address has the whole content
    or does not exist. A crash leaves at most a file in `<root>/incoming`.
    """

    root: Path

    def path(self, digest: str, suffix: str) -> Path:
        """Return the address of the content with this digest."""
        return self.root / digest[:2] / f"{digest}{suffix}"

    @contextmanager
    def draft(self) -> Iterator[Path]:
        """Yield a path for a new file, which `store` moves to its address."""
        draft = self.root / "incoming" / f"{os.getpid()}-{secrets.token_hex(6)}"
        try:
            draft.parent.mkdir(parents=True, exist_ok=True)
            yield draft
        except OSError as error:
            raise CatalogError(
                f"cannot write to the catalogue in '{self.root.parent}'",
                got=error.strerror or type(error).__name__,
                todo="check its rights and the free space",
            ) from error
        finally:
            with suppress(OSError):
                draft.unlink()

    def store(self, draft: Path, suffix: str) -> Blob:
        """Move a finished draft to its address."""
        flush_file(draft)
        blob = Blob(sha256_of(draft), suffix, draft.stat().st_size)
        address = self.path(blob.digest, suffix)
        if not address.parent.exists():
            address.parent.mkdir(parents=True, exist_ok=True)
            flush_folder(self.root)
        # An existing file has the same bytes, or is damaged and thereby replaced.
        os.replace(draft, address)
        flush_folder(address.parent)
        return blob

    def put(self, content: bytes, suffix: str) -> Blob:
        """Store `content`."""
        with self.draft() as draft:
            draft.write_bytes(content)
            return self.store(draft, suffix)

    def has(self, blob: Blob) -> bool:
        """Return whether a file of the right size lies at the address."""
        path = self.path(blob.digest, blob.suffix)
        return path.is_file() and path.stat().st_size == blob.size

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
