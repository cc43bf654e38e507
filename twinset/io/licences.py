"""Check licences: SPDX expressions, and words for data that stand under none of the SPDX list."""

from __future__ import annotations

import difflib
import re
from functools import cache
from pathlib import Path

from twinset.core.errors import RecipeError

NOT_STATED = "NOASSERTION"
"""SPDX's word for a licence that is not stated."""

OTHER = {
    NOT_STATED: "it is not stated",
    "NONE": "there is none",
    "proprietary": "all rights are reserved",
    "unknown": "nobody knows",
    "DbCL-1.0": "Database Contents License, which the SPDX list lacks",
}
"""Entries beside those of SPDX, each to stand alone, and their meaning."""

_LIST = Path(__file__).with_name("spdx-3.27.0.txt")
_LONGEST = 500  # characters: some twenty licences, a line or two on a card
_CUSTOM = re.compile(r"(DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")
_NEAR = 0.6  # share of equal characters in a suggestion, as for every name that is misspelt


def read_licence(text: str) -> str:
    """Return a licence in the spelling of the SPDX list.

    Parameters
    ----------
    text : str
        An SPDX expression, e.g. ``CC-BY-4.0``, ``Apache-2.0 OR MIT`` or ``LicenseRef-our-contract``, or
        one entry of `OTHER`; case does not matter.

    Raises
    ------
    RecipeError
        It is none of these.

    Examples
    --------
    >>> read_licence("apache-2.0 or (MIT and LicenseRef-data)")
    'Apache-2.0 OR (MIT AND LicenseRef-data)'
    """
    other = {name.lower(): name for name in OTHER}
    if text.lower() in other:
        return other[text.lower()]
    odd = re.search(r"[^A-Za-z0-9 .+:()-]", text)
    if odd or not text.strip() or len(text) > _LONGEST:
        got = f"a text with {odd[0]!a}" if odd else f"{len(text)} characters"
        raise _refusal("this", got=got)
    known = _known_ids()
    found, kinds = [], ""
    for token in re.findall(r"[()]|[^ ()]+", text):
        low = token.lower()
        if _CUSTOM.fullmatch(token):
            word, kind = token, "l"
        elif low in known:
            word, kind = known[low]
        elif low.endswith("+") and known.get(low[:-1], ("", ""))[1] == "l":
            word, kind = f"{known[low[:-1]][0]}+", "l"
        else:
            near = difflib.get_close_matches(low, known, n=3, cutoff=_NEAR)
            names = ", ".join(f"'{known[name][0]}'" for name in near)
            raise _refusal(f"'{token}'", todo=f"did you mean {names}?" if near else "")
        found.append(word)
        kinds += kind
    # Reduced by the rules of the grammar until one expression is left, or no rule applies.
    kinds, before = re.sub("lWx|l", "E", kinds), ""
    while kinds != before:
        kinds, before = re.sub(r"\(E\)|EAE", "E", kinds), kinds
    if kinds != "E":
        raise _refusal(f"'{text}'", got="words that make no expression")
    return " ".join(found).replace("( ", "(").replace(" )", ")")


def _refusal(named: str, *, got: str = "", todo: str = "") -> RecipeError:
    """Return the error for a licence that is none."""
    return RecipeError(
        f"{named} is no SPDX licence",
        got=got,
        allowed="e.g. CC-BY-4.0, 'MIT OR Apache-2.0', LicenseRef-our-contract, or one of "
        f"{', '.join(OTHER)}",
        todo=todo,
    )


@cache
def _known_ids() -> dict[str, tuple[str, str]]:
    """Return identifier, operator or bracket in lower case -> its spelling, and its kind in the grammar."""
    _, licences, exceptions = re.split(r"\n\n", _LIST.read_text("utf-8"))
    known = {name.lower(): (name, "l") for name in licences.split()}
    known |= {name.lower(): (name, "x") for name in exceptions.split()}
    return (
        known
        | {"and": ("AND", "A"), "or": ("OR", "A"), "with": ("WITH", "W")}
        | {bracket: (bracket, bracket) for bracket in "()"}
    )
