"""Answers that were paid for already: one JSON file each, named by the SHA-256 of its request."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

from twinset.core.errors import DataError


class Cache:
    """A folder of answers. It holds what the model wrote, and neither question nor key.

    Parameters
    ----------
    folder : Path
        Made when the first answer comes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, digest: str) -> str | None:
        """Return the answer to a request; None when there is none, or its file is damaged."""
        try:
            told = json.loads(self._place(digest).read_bytes())
        except (OSError, ValueError):
            return None
        answer = told.get("answer") if isinstance(told, dict) else None
        is_its_own = isinstance(answer, str) and told.get("request") == digest
        return answer if is_its_own else None

    def keep(self, digest: str, answer: str) -> None:
        """Keep an answer; its file appears when it is whole.

        Raises
        ------
        DataError
            The folder cannot be written to.
        """
        place = self._place(digest)
        draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
        told = json.dumps({"request": digest, "answer": answer}, ensure_ascii=False, indent=1)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(f"{told}\n".encode())
            os.replace(draft, place)
        except OSError as error:
            raise DataError(
                f"cannot keep answers in '{self.folder}'",
                got=error.strerror or type(error).__name__,
                todo="name another folder with --cache",
            ) from error
        finally:
            with suppress(OSError):
                draft.unlink()

    def _place(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}.json"
