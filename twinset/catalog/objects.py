"""Files named by the SHA-256 of their content: never changed, and checked when they are read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from twinset.core.errors import CatalogError
from twinset.io.files import flush_file, flush_folder, sha256_of


@dataclass
class Incoming:
    """A new file: it is written at `draft`, then has a digest and size."""

    draft: Path
    digest: str = ""
    size: int = 0


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
    def incoming(self, suffix: str) -> Iterator[Incoming]:
        """Yield a path to write to; at the end of the block the file moves to its address.

        Raises
        ------
        CatalogError
            The folder cannot be written to.
        """
        file = Incoming(self.root / "incoming" / f"{os.getpid()}-{secrets.token_hex(6)}{suffix}")
        try:
            file.draft.parent.mkdir(parents=True, exist_ok=True)
            yield file
            flush_file(file.draft)
            file.digest, file.size = sha256_of(file.draft), file.draft.stat().st_size
            self._move_in(file, suffix)
        except OSError as error:
            raise CatalogError(
                f"cannot write to the catalogue in '{self.root.parent}'",
                got=error.strerror or type(error).__name__,
                todo="check its rights and the free space",
            ) from error
        finally:
            with suppress(OSError):
                file.draft.unlink()

    def _move_in(self, file: Incoming, suffix: str) -> None:
        address = self.path(file.digest, suffix)
        if not address.parent.exists():
            address.parent.mkdir(parents=True, exist_ok=True)
            flush_folder(self.root)
        # An existing file has the same bytes, or is damaged and thereby replaced.
        os.replace(file.draft, address)
        flush_folder(address.parent)

    def put(self, content: bytes, suffix: str) -> Incoming:
        """Store `content` and return its digest and size."""
        with self.incoming(suffix) as file:
            file.draft.write_bytes(content)
        return file

    def has(self, digest: str, suffix: str, size: int) -> bool:
        """Return whether a file of the right size lies at the address."""
        path = self.path(digest, suffix)
        return path.is_file() and path.stat().st_size == size

    def checked(self, digest: str, suffix: str) -> Path:
        """Return the path of the content with this digest after a check of its bytes.

        Raises
        ------
        CatalogError
            The file is missing or is not what it was when it was registered.
        """
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
