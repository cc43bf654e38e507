"""White space inside a field of a line, spelled as UDPipe does in CoNLL-U: ``\\s``, ``\\t``, ``\\n``."""

from __future__ import annotations

import re

_SHORT = {" ": r"\s", "\t": r"\t", "\n": r"\n", "\r": r"\r", "|": r"\p", "\\": r"\\"}
_LONG = {written: sign for sign, written in _SHORT.items()}
_WRITTEN = re.compile(r"\\u[0-9a-f]{4}|\\[strnp\\]")
_SIGN = re.compile(r"[\s|\\]")
_BREAK = re.compile(r"[^\S ]|\\|^ | $")


def escaped(text: str) -> str:
    """Return `text` without white space, bars and lone backslashes.

    Examples
    --------
    >>> print(escaped("a b|c"))
    a\\sb\\pc
    """
    return _SIGN.sub(_spelled, text)


def escaped_line(text: str) -> str:
    """Return `text` as one line whose ends can be stripped; blanks and bars inside stay as they are."""
    return _BREAK.sub(_spelled, text)


def unescaped(text: str) -> str:
    """Return what `escaped` and `escaped_line` were given; a backslash that says nothing stays."""
    if "\\" not in text:
        return text
    return _WRITTEN.sub(_meant, text)


def _spelled(found: re.Match[str]) -> str:
    sign = found[0]
    return _SHORT.get(sign) or f"\\u{ord(sign):04x}"


def _meant(found: re.Match[str]) -> str:
    written = found[0]
    return _LONG[written] if written in _LONG else chr(int(written[2:], 16))
