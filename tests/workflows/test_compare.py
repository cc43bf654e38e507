"""`compare`: the notes beside candidates, one split for all, and what is said where it is not known."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import twinset
from twinset.core.errors import DataError, ParameterError
from twinset.core.seeding import rng_for
from twinset.registry import build
from twinset.workflows.compare import compare
from twinset.workflows.twin import twin

FEW = ("gap.marginals", "utility.train_synthetic_test_real", "privacy.exact_copies")


@pytest.fixture(autouse=True)
def few_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [(name, build("metric", name, {})) for name in FEW]
    monkeypatch.setattr("twinset.workflows.evaluate.default_metrics", lambda kinds, **_: chosen)


def people(rows: int = 400, seed: int = 1) -> pa.Table:
    rng = rng_for(seed, "people")
    age = rng.integers(18, 90, rows)
    return pa.table(
        {
            "age": age,
            "income": np.round(rng.lognormal(10, 0.4, rows), 2),
            "label": np.where(age + rng.normal(0, 8, rows) > 55, "yes", "no"),
        }
    )


@pytest.fixture
def real(tmp_path: Path) -> Path:
    pyarrow.csv.write_csv(people(), tmp_path / "people.csv")
    return tmp_path / "people.csv"


def made(real: Path, name: str, **settings: object) -> Path:
    out = real.parent / f"{name}.csv"
    twin(real, out, **({"use": "tabular.marginals", "target": "label", "seed": 4} | settings))
    return out


def verdicts(report: object, name: str) -> dict[str, str]:
    return {score.metric: score.verdict for score in report.scores[name]}


def test_the_notes_tell_split_target_and_seed(real: Path) -> None:
    files = {"a": made(real, "a"), "b": made(real, "b", use="tabular.bootstrap")}
    report = compare(real, files)
    assert report.facts == {
        "train_rows": 320, "holdout_rows": 80, "candidate_rows": {"a": 400, "b": 400},
        "target": "label", "where": None, "seed": 4,
    }  # fmt: skip
    assert "not measurable" not in {v for name in files for v in verdicts(report, name).values()}
    # What is said of one is what evaluate says of it.
    alone = twinset.evaluate(real, files["a"])
    assert [s.to_json() for s in report.scores["a"]] == [s.to_json() for s in alone.scores]
    assert "b: copies real records: treat as the source data" in report.notes


@pytest.mark.parametrize("other", [{"seed": 5}, {"holdout_fraction": 0.3}, {"holdout_fraction": 0}])
def test_candidates_from_different_splits_are_refused(real: Path, other: dict[str, float]) -> None:
    files = {"a": made(real, "a"), "b": made(real, "b", **other)}
    with pytest.raises(DataError, match="different splits") as caught:
        compare(real, files)
    assert "--holdout" in str(caught.value)
    # Rows that nobody saw settle it: the notes are not asked then.
    assert compare(real, files, holdout=people(seed=9).slice(0, 80)).facts["holdout_rows"] == 80


def test_of_a_candidate_without_a_note_leaks_and_use_are_not_measured(real: Path) -> None:
    alien = real.parent / "alien.csv"
    pyarrow.csv.write_csv(people().slice(0, 300), alien)
    report = compare(real, {"a": made(real, "a"), "alien": alien})
    found = verdicts(report, "alien")
    assert found["privacy.exact_copies"] == "not measurable"
    assert found["utility.train_synthetic_test_real"] == "not measurable"
    assert found["gap.marginals"] != "not measurable"
    assert verdicts(report, "a")["privacy.exact_copies"] != "not measurable"
    (told,) = [note for note in report.notes if note.startswith("alien: nothing tells")]
    assert "--holdout" in told


def test_without_any_note_or_holdout_nobody_can_be_cleared_of_leaks(real: Path) -> None:
    report = compare(real, {"a": people().slice(0, 300), "b": people().slice(100)})
    assert {verdicts(report, name)["privacy.exact_copies"] for name in "ab"} == {"not measurable"}
    assert report.recommendation.mark != "good"


def test_a_note_of_another_table_is_not_believed(real: Path) -> None:
    first = made(real, "a")
    pyarrow.csv.write_csv(people(390), real)
    report = compare(real, {"a": first, "b": people().slice(0, 300)})
    assert any("a: a.csv.twin.json belongs to another real table" in note for note in report.notes)
    assert verdicts(report, "a")["privacy.exact_copies"] == "not measurable"


def test_notes_that_disagree_on_the_condition_ask_which(real: Path) -> None:
    first, second = made(real, "a"), made(real, "b", where="age >= 30")
    with pytest.raises(DataError, match=r"different things as where.*--where"):
        compare(real, {"a": first, "b": second})
    assert compare(real, {"a": first, "b": second}, where="age >= 30").facts["where"] == "age >= 30"


def test_a_condition_that_all_notes_share_is_kept(real: Path) -> None:
    files = {name: made(real, name, where="age >= 30") for name in "ab"}
    assert compare(real, files).facts["where"] == "age >= 30"


def test_a_changed_note_is_caught(real: Path) -> None:
    first = made(real, "a")
    second = real.parent / "b.csv"
    shutil.copy(first, second)
    note = json.loads((real.parent / "a.csv.twin.json").read_text())
    (real.parent / "b.csv.twin.json").write_text(json.dumps(note | {"holdout_digest": "0" * 64}))
    with pytest.raises(DataError, match="different splits"):
        compare(real, {"a": first, "b": second})


def test_candidates_of_other_sizes_are_reported_and_compared_with_their_own_baseline(
    real: Path,
) -> None:
    rows = people(1200)
    report = compare(
        rows.slice(0, 400), {"few": rows.slice(800, 50), "many": rows.slice(800)},
        holdout=rows.slice(400, 400),
    )  # fmt: skip
    assert any("few 50, many 400" in note for note in report.notes)
    (row,) = [row for row in report.rows if row.metric == "gap.marginals"]
    assert " to " in row.format_baseline()


def test_progress_names_the_candidate(real: Path) -> None:
    said = []
    tables = {"x": people().slice(0, 300), "y": people().slice(100)}
    compare(real, tables, progress=lambda step, done, total: said.append((step, done, total)))
    assert ("measure x", 4, 4) in said
    assert ("measure y", 4, 4) in said


@pytest.mark.parametrize("names", [[], ["a"], ["a", " "]])
def test_fewer_than_two_or_nameless_candidates_are_refused(names: list[str]) -> None:
    with pytest.raises(ParameterError):
        compare(people(), {name: people() for name in names})


def test_the_face_has_it() -> None:
    assert twinset.compare is compare
