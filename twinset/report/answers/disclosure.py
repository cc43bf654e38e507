"""Clauses on disclosure over several scores: what was not tested, and values of single persons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from twinset.core.contracts import Score
from twinset.core.disclosure import UntestedColumns
from twinset.core.findings import OnePersonCounts
from twinset.report.answers.phrases import capitalize
from twinset.report.answers.sentences import describe


def untested_columns(scores: Sequence[Score]) -> str:
    """Return a clause on the columns that no test of leaks covers; empty where all are covered."""
    found = [one for s in scores if (one := s.finding(UntestedColumns)) is not None]
    merged = UntestedColumns(
        *(
            tuple(dict.fromkeys(name for one in found for name in getattr(one, field.name)))
            for field in fields(UntestedColumns)
        )
    )
    return describe(merged)


def with_one_person_counts(text: str, scores: Sequence[Score]) -> str:
    """Return an answer followed by the counts of values of single persons, where they are known."""
    found = next((one for s in scores if (one := s.finding(OnePersonCounts)) is not None), None)
    if found is None or describe(found) in text:
        return text
    return f"{text} {capitalize(describe(found))}."
