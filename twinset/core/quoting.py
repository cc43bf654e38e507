"""Texts from outside in a form that can be shown: nothing steers a terminal, nothing runs on."""

from __future__ import annotations

import re

# Controls (C0, DEL, C1), marks that turn the direction of text, line and paragraph separators, lone
# surrogates, and the two non-characters that XML forbids.
_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
_LONGEST_WORD = 200  # characters: two lines of a terminal, enough for most paths


def escape_signs(text: str) -> str:
    r"""Return `text` on one line, with escapes in place of signs that would steer a terminal.

    Above the codes of ASCII controls the escapes are also those of JSON.

    Examples
    --------
    >>> print(escape_signs("a\nb\x1b[31m, caf\xe9 \u202e"))
    a\nb\x1b[31m, café \u202e
    """
    return _UNSAFE.sub(_escape_sign, text)


def escape_lines(text: str) -> str:
    """Return `text` with its signs escaped as by `escape_signs`; line ends and tabs stay."""
    return _UNSAFE.sub(lambda sign: sign[0] if sign[0] in "\n\t" else _escape_sign(sign), text)


def shorten(text: str, longest: int) -> str:
    """Return `text` with its middle left out if it has more than `longest` characters.

    Examples
    --------
    >>> shorten("n" * 5000, 20), shorten("short", 20)
    ('nnnnnnnnnnnn...nnnnn', 'short')
    """
    if len(text) <= longest:
        return text
    tail = longest // 4
    return f"{text[: longest - tail - 3]}...{text[-tail:]}"


def quote(text: str, longest: int) -> str:
    """Return `text` escaped and at most about `longest` characters long, without endless words."""
    # Only what can remain is escaped: a text may have millions of characters.
    text = escape_signs(shorten(text, 4 * longest))
    return shorten(re.sub(rf"\S{{{_LONGEST_WORD + 1},}}", _shorten_word, text), longest)


def _escape_sign(found: re.Match[str]) -> str:
    sign = found.group()
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(sign)
    return named or (f"\\x{ord(sign):02x}" if sign < " " else f"\\u{ord(sign):04x}")


def _shorten_word(found: re.Match[str]) -> str:
    return shorten(found.group(), _LONGEST_WORD // 3)
