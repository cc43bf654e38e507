"""What a template says in plain words, and whether another wording says no more and no less."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

MEANINGFUL = "{}[]<>|\\"
"""Signs that mean something in a template; a wording may hold them in placeholders only."""

PLACEHOLDER = re.compile(r"\{[^{}]+\}|<[^\W\d]\w*>")
_TAIL = re.compile(r"\s*[*?]\s*[0-9]+(?:\.[0-9]+)?\s*$")
# A wording may be 4 times as long as its template, and 100 signs more: longer ones are explanations.
_MAX_LENGTH_RATIO = 4
_MAX_EXTRA_SIGNS = 100  # short templates may grow beyond the ratio


@dataclass(frozen=True)
class Wording:
    """A template without its choices: the text a model is asked about.

    Parameters
    ----------
    text : str
        Plain words with placeholders: of alternatives the first, of optional parts all.
    placeholders : tuple of str
        Its placeholders as they stand, in order, e.g. ``{name}`` or ``<greeting>``.
    """

    text: str
    placeholders: tuple[str, ...]

    @classmethod
    def of(cls, template: str) -> Wording | None:
        """Return the wording of a template; None when it writes signs that templates give a meaning to.

        Examples
        --------
        >>> Wording.of("Hi[ there ?0.2], (where|when) is {thing}?").text
        'Hi there, where is {thing}?'
        """
        reader = _Reader(template)
        text = " ".join(reader.sequence("").split())
        if reader.is_odd or reader.at < len(template) or not PLACEHOLDER.sub("", text).strip():
            return None
        return cls(text, tuple(PLACEHOLDER.findall(text)))

    def refusal(self, reply: str, known: Collection[str]) -> str:
        """Return why a reply cannot serve in place of this wording; empty when it can.

        Parameters
        ----------
        reply : str
            What the model wrote, white space already brought to single blanks.
        known : collection of str
            Wordings that are there already, as `normalize_wording` spells them.
        """
        had, has = Counter(self.placeholders), Counter(PLACEHOLDER.findall(reply))
        words = PLACEHOLDER.sub(" ", reply)
        if not words.strip():
            return "it holds no words"
        if has - had:
            invented = any(name not in had for name in has)
            return "a placeholder was invented" if invented else "a placeholder was repeated"
        if had - has:
            return "a placeholder was dropped"
        if any(sign in words for sign in MEANINGFUL):
            return "it holds a sign that has a meaning in templates"
        if not all(sign.isprintable() for sign in words):
            return "it holds a sign that cannot be printed"
        if len(reply) > _MAX_LENGTH_RATIO * len(self.text) + _MAX_EXTRA_SIGNS:
            return "it is far longer than its template"
        return "it is there already" if normalize_wording(reply) in known else ""


def normalize_wording(text: str) -> str:
    """Return `text` so that two wordings that differ in case and points alone are equal.

    Examples
    --------
    >>> normalize_wording("Where is {it}?") == normalize_wording("where is {it}")
    True
    """
    return " ".join(re.sub(r"[^\w{}<>#.|]+|\.(?!\w)", " ", text.casefold()).split())


class _Reader:
    """Takes a template apart sign by sign: ``[optional ?0.3]``, ``(one|other *2)``, escapes."""

    def __init__(self, template: str) -> None:
        self.template, self.at, self.is_odd = template, 0, False

    def sequence(self, stops: str) -> str:
        """Return the words up to one of `stops`, which is left standing."""
        words = ""
        while self.at < len(self.template) and self.template[self.at] not in stops:
            words += self._sign()
        return words

    def _sign(self) -> str:
        sign, pair = self.template[self.at], self.template[self.at : self.at + 2]
        if sign == "\\" or pair in ("{{", "}}"):
            self.at += 2
            self.is_odd |= pair[1:] in MEANINGFUL
            return pair[1:]
        placeholder = PLACEHOLDER.match(self.template, self.at)
        if placeholder:
            self.at = placeholder.end()
            return placeholder[0]
        self.at += 1
        if sign == "[":
            return _TAIL.sub("", self._until("]"))
        if sign == "(":
            return self._choice()
        self.is_odd |= sign in MEANINGFUL
        return sign

    def _choice(self) -> str:
        parts = [self.sequence("|)")]
        while self.template[self.at : self.at + 1] == "|":
            self.at += 1
            parts.append(self.sequence("|)"))
        if (
            len(parts) == 1
        ):  # brackets without a bar are brackets of the text, and may be alone there
            end = self.template[self.at : self.at + 1]
            self.at += len(end)
            return f"({parts[0]}{end}"
        self._close(")")
        return _TAIL.sub("", parts[0])

    def _until(self, end: str) -> str:
        words = self.sequence(end)
        self._close(end)
        return words

    def _close(self, end: str) -> None:
        self.is_odd |= self.template[self.at : self.at + 1] != end
        self.at += 1
