"""What could not be measured: one reason that holds for many tests is said once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinset.core.contracts import Score
from twinset.report.verdict import Sentence, reasons

_FEWEST = 3


@dataclass(frozen=True)
class Unmeasured:
    """A reason, and all tests that could not be made for it."""

    reason: str
    scores: tuple[Score, ...]


def unmeasured(scores: Sequence[Score]) -> list[Unmeasured]:
    """Return the reasons that three or more tests share, those of most tests first.

    Where nothing was measured at all, every reason is told this way.

    Examples
    --------
    >>> score = Score("gap.a", "gap", None, None, None, None, 0.1, False, "not measurable", None,
    ...               "not measurable: there is no real set")
    >>> [(found.reason, len(found.scores)) for found in unmeasured([score])]
    [('there is no real set', 1)]
    """
    found: dict[str, list[Score]] = {}
    for score in scores:
        if score.verdict == "not measurable":
            found.setdefault("; ".join(reasons(score)), []).append(score)
    is_all = sum(map(len, found.values())) == len(scores)
    told = [
        Unmeasured(reason, tuple(own))
        for reason, own in found.items()
        if is_all or (len(own) >= _FEWEST and reason)
    ]
    return sorted(told, key=lambda one: -len(one.scores))


def merged(verdict: Sequence[Sentence]) -> tuple[Sentence, ...]:
    """Return the sentences; one where none could be answered, and all for the same reason.

    Examples
    --------
    >>> lacking = [Sentence(f, f"{f}?", "No real set.", "unmeasured") for f in ("gap", "utility")]
    >>> [sentence.question for sentence in merged(lacking)]
    ['gap? utility?']
    """
    if len(verdict) > 1 and {(s.text, s.mark) for s in verdict} == {
        (verdict[0].text, "unmeasured")
    }:
        question = " ".join(sentence.question for sentence in verdict)
        return (Sentence("all", question, verdict[0].text, "unmeasured"),)
    return tuple(verdict)
