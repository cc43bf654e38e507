"""Identifiers and free texts of single persons that come back in synthetic rows."""

import numpy as np
import pyarrow as pa

from twinset.core.data.dataset import Dataset
from twinset.core.disclosure import UntestedColumns
from twinset.core.findings import OnePersonCounts, Verdict
from twinset.core.seeding import rng_for
from twinset.measurement.harness import measure
from twinset.registry import build

N = 300
WORDS = np.array(
    ["pain", "fever", "cough", "arm", "leg", "since", "days", "mild", "severe", "visit"]
)


def rows(seed: int) -> dict[str, list[object]]:
    rng = rng_for(seed, "rows")
    notes = [" ".join(rng.choice(WORDS, 12)) for _ in range(N)]
    numbers = rng.integers(10**8, 10**9, N)
    return {
        "ssn": [f"{n // 10**6}-{n // 10**4 % 100:02}-{n % 10**4:04}" for n in numbers],
        "note": notes,
        "age": rng.integers(20, 80, N).tolist(),
        "dose": rng.choice(["low", "high"], N).tolist(),
    }


def score(candidate: dict[str, list[object]], name: str = "privacy.one_person_values"):
    train, holdout, made = (
        Dataset.from_arrow(pa.table(part)) for part in (rows(0), rows(1), candidate)
    )
    (found,) = measure(
        train=train, synthetic=made, holdout=holdout, metrics=[(name, build("metric", name, {}))]
    )
    return found


def test_fresh_identifiers_and_texts_are_no_copies() -> None:
    found = score(rows(2))
    assert found.verdict == Verdict.EQUIVALENT
    untested = found.finding(UntestedColumns)
    assert untested is not None
    assert (untested.identifiers, untested.texts) == ((), ())
    assert untested.quasi_identifiers == ("age",)


def test_copied_identifiers_count_whatever_their_spelling() -> None:
    copied = [str(number).replace("-", " ") for number in rows(0)["ssn"]]
    found = score(rows(2) | {"ssn": copied})
    assert found.verdict == Verdict.DIFFERENT
    counts = found.finding(OnePersonCounts)
    assert counts is not None
    assert (counts.columns, counts.n_people) == (("ssn",), N)


def test_copied_sentences_count_within_new_texts() -> None:
    made = rows(2)
    for i, note in enumerate(rows(0)["note"][:20]):
        made["note"][i] = f"Reported: {str(note).upper()}, see above."
    counts = score(made).finding(OnePersonCounts)
    assert counts is not None
    assert (counts.columns, counts.n_people) == (("note",), 20)
    whole = rows(2) | {"note": rows(0)["note"]}
    assert score(whole, "privacy.exact_copies").verdict == Verdict.DIFFERENT


def test_numbered_identifiers_are_hit_by_chance() -> None:
    """Fresh customer numbers among those of the train set are no copies."""
    order = rng_for(0, "order").permutation(3 * N)
    parts = [rows(seed) for seed in range(3)]
    for i, part in enumerate(parts):
        part["ssn"] = [f"C{number:06}" for number in order[i * N : (i + 1) * N]]
    drawn = rng_for(1, "drawn").permutation(3 * N)[:N]
    made = parts[2] | {"ssn": [f"C{number:06}" for number in drawn]}
    train, holdout, candidate = (
        Dataset.from_arrow(pa.table(part)) for part in (parts[0], parts[1], made)
    )
    name = "privacy.one_person_values"
    (found,) = measure(
        train=train,
        synthetic=candidate,
        holdout=holdout,
        metrics=[(name, build("metric", name, {}))],
    )
    assert found.verdict == Verdict.EQUIVALENT
