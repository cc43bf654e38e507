"""How a new value fits the place it comes to: capital letters, and the English article before it."""

from __future__ import annotations

import re

from ._annotated import AnnotatedTexts

_ARTICLE = re.compile(r"(?:^|[^\w'’-])([Aa]n?) $")
_SENTENCE_END = re.compile(r"(?:^|[.!?…])[\s\"'“”‘’«»(¿¡]*$")
# Written with a vowel and spoken with a consonant, and the other way round.
_CONSONANT = re.compile(
    r"(?:eu|ewe|one(?!i)|once|u(?:ni(?!n|m)|s[aeu]|t[ei]|k|b[ei]|r[aeiou]))", re.I
)
_SILENT = re.compile(r"(?:hour|honest|honou?r|heir)", re.I)


def in_case_of_place(word: str, text: str, start: int, old: str) -> str:
    """Return a word as its place in a text asks: after the whole text's case, or a sentence's start.

    Examples
    --------
    >>> in_case_of_place("the end", "Dune is long", 0, "Dune")
    'The end'
    >>> in_case_of_place("Rome", "is it warm in paris", 14, "paris")
    'rome'
    """
    around = text[:start] + text[start + len(old) :]
    letters = [character for character in text if character.lower() != character.upper()]
    if len(letters) > 1 and all(letter.isupper() for letter in letters) and around.strip():
        return word.upper()
    # A text whose own words and value are all small is written small throughout.
    if letters and not any(letter.isupper() for letter in letters):
        return word.lower()
    if old[:1].isupper() and _SENTENCE_END.search(text[:start]):
        return word[:1].upper() + word[1:]
    return word


def article_edit(
    marked: AnnotatedTexts, text: str, first: int, start: int, new: str
) -> list[tuple[int, int, str]]:
    """Return the edit, if one is needed, that makes "a" or "an" before a value agree with it."""
    found = _ARTICLE.search(text[:start])
    if not found or not new[:1].isalpha():
        return []
    old, right = found[1], found[1][0] + ("n" if _begins_with_vowel(new) else "")
    place = first - 1 - len(old)
    is_marked = bool(((marked.starts <= place) & (marked.ends > place)).any())
    return [] if old == right or is_marked else [(place, first - 1, right)]


def _begins_with_vowel(word: str) -> bool:
    """Return whether English speaks a word with a vowel first, by rules that hold for most words.

    Examples
    --------
    >>> [_begins_with_vowel(w) for w in ("hour", "unit", "umbrella", "europe", "apple", "FBI")]
    [True, False, True, False, True, False]
    """
    if _SILENT.match(word):
        return True
    return word[0].lower() in "aeiou" and not _CONSONANT.match(word)
