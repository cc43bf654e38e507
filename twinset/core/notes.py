"""Remarks of a report, with their subject."""

from __future__ import annotations

from enum import StrEnum


class NoteKind(StrEnum):
    """Subject of a note, for code that acts on it."""

    GENERAL = "general"
    ALLOWED_LEAK = "allowed leak"


class Note(str):
    """A remark for the reader of a report: one or more sentences, with their subject."""

    kind: NoteKind

    def __new__(cls, text: str, kind: NoteKind = NoteKind.GENERAL) -> Note:
        """Return the text with its kind."""
        note = super().__new__(cls, text)
        note.kind = kind
        return note
