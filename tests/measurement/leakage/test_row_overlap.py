"""Real rows that come back, and a holdout that the generator saw."""

import numpy as np
import pyarrow as pa
import pytest

import twinset
from twinset.core.data.dataset import Dataset
from twinset.core.errors import LeakError
from twinset.core.seeding import rng_for
from twinset.measurement.leakage.duplicates import (
    RowOverlap,
    count_copied_rows,
    count_row_overlap,
    note_copied_rows,
)
from twinset.registry import build
from twinset.report.answers.sentences import score_sentence

FEW = ("gap.marginals", "utility.train_synthetic_test_real", "privacy.exact_copies")


@pytest.fixture
def few_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [(name, build("metric", name, {})) for name in FEW]
    monkeypatch.setattr("twinset.workflows.evaluate.default_metrics", lambda kinds, **_: chosen)


def people(rows: int, seed: int = 1) -> pa.Table:
    rng = rng_for(seed, "people")
    x = rng.normal(size=rows)
    label = np.where(x > 0, "yes", "no")
    key = [f"K-{seed}{100_000 + 37 * i}" for i in range(rows)]
    return pa.table({"key": key, "x": x, "y": rng.normal(size=rows), "label": label})


def coins(rows: int, seed: int) -> pa.Table:
    rng = rng_for(seed, "coins")
    return pa.table({name: rng.choice(["a", "b"], rows) for name in ("c", "d", "e")})


def test_counts_by_hand() -> None:
    known = Dataset.from_arrow(pa.table({"a": ["p", "q", "q", None], "b": ["1", "2", "2", None]}))
    others = Dataset.from_arrow(
        pa.table({"a": ["q", "q", "p", None], "b": ["2", "1", "1", None]}), known.schema
    )
    assert count_row_overlap(known, others) == RowOverlap(3, 4, 0.5)


def test_new_identifiers_do_not_hide_a_copy() -> None:
    real = Dataset.from_arrow(people(200))
    assert real.schema["key"].kind == "id"
    fresh = real.records.set_column(0, "key", people(200, 2)["key"])
    assert count_copied_rows(real, Dataset.from_arrow(fresh, real.schema)).shared == 200


@pytest.mark.parametrize(
    ("seen", "told"), [(0, None), (1, "fewer than 11"), (10, "fewer than 11"), (11, "11")]
)
def test_small_counts_are_not_reported(seen: int, told: str | None) -> None:
    notes = note_copied_rows(RowOverlap(seen, 5_000, 0.0))
    starts = [] if told is None else [f"{told} of 5,000 synthetic rows equal a real row. Without"]
    assert [note[: len(start)] for note, start in zip(notes, starts, strict=True)] == starts


def test_a_copy_without_a_holdout_is_reported_first(few_metrics: None) -> None:
    real = people(200)
    report = twinset.evaluate(real, pa.concat_tables([real.slice(0, 180), people(20, 2)]))
    assert report.notes[0].startswith(
        "180 of 200 synthetic rows equal a real row. Without a holdout"
    )
    assert not any("equal a real row" in n for n in twinset.evaluate(real, people(200, 2)).notes)


def test_no_copy_is_called_ahead_without_a_holdout(few_metrics: None) -> None:
    real, other = people(400), people(400, 2)
    off = other.set_column(1, "x", pa.array(other["x"].to_numpy() + 3))
    report = twinset.compare(real, {"copy": real, "off": off})
    assert report.notes[0].startswith("copy: 400 of 400 synthetic rows equal a real row.")
    assert report.copies == ("copy",)
    assert report.recommendation.candidate != "copy"
    assert "most rows of copy equal real ones" in report.recommendation.text
    assert not any("copy is clearly ahead" in answer.text for answer in report.answers)
    both = twinset.compare(real, {"a": real, "b": real.slice(10)}).recommendation
    assert both.candidate is None
    assert both.text == "None can be recommended: most rows of a and b equal real ones."


def test_rows_that_repeat_anyway_bar_nobody(few_metrics: None) -> None:
    report = twinset.compare(coins(400, 1), {"a": coins(400, 2), "b": coins(400, 3)})
    assert report.copies == ()


def test_a_holdout_that_was_seen_clears_nobody(few_metrics: None) -> None:
    real = people(400)
    with pytest.raises(LeakError):
        twinset.evaluate(real, people(200, 2), holdout=real.slice(200), target="label")
    report = twinset.evaluate(
        real, people(200, 2), holdout=real.slice(200), target="label", allow_leaks=["copies"]
    )
    found = {score.metric: score for score in report.scores}
    for name in FEW[1:]:
        assert found[name].verdict == "not measurable"
        assert "200 of 200 holdout rows also stand" in score_sentence(found[name])
    assert found["gap.marginals"].verdict != "not measurable"
    both = twinset.compare(
        real,
        {"a": people(200, 2), "b": people(200, 3)},
        holdout=real.slice(200),
        allow_leaks=["copies"],
    )
    assert {s.verdict for own in both.scores.values() for s in own if s.family == "privacy"} == {
        "not measurable"
    }


def test_a_holdout_of_a_table_whose_rows_repeat_is_used(few_metrics: None) -> None:
    report = twinset.evaluate(coins(400, 1), coins(400, 2), holdout=coins(200, 3))
    (copies,) = [s for s in report.scores if s.metric == "privacy.exact_copies"]
    assert copies.verdict != "not measurable"
    assert any("200 of 200 holdout rows also stand" in note for note in report.notes)
