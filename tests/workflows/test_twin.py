"""`twin` and `evaluate`: what is locked away, what is made, what is written, what is read again."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

import twinset
from twinset.core.data.dataset import Dataset
from twinset.core.data.schema import Schema
from twinset.core.errors import (
    DataError,
    LeakError,
    ParameterError,
    RecipeError,
    SchemaError,
    UnknownNameError,
)
from twinset.core.seeding import rng_for
from twinset.generation.provenance import Seal, TwinNote
from twinset.ingest.input_table import name_target, open_table, split_holdout
from twinset.registry import default_metrics
from twinset.report import Report
from twinset.workflows.evaluate import evaluate
from twinset.workflows.twin import TwinResult, twin

# Each of these fits judges or whole twins.
pytestmark = pytest.mark.slow


def people(rows: int = 240) -> pa.Table:
    """Numbers, a category, an identifier, free text and a label that the numbers tell."""
    rng = rng_for(1, "people")
    age = rng.integers(18, 90, rows)
    return pa.table(
        {
            "customer": [f"C-{100_000 + 37 * i}" for i in range(rows)],
            "age": age,
            "income": np.round(rng.lognormal(10, 0.4, rows), 2),
            "region": rng.choice(["north", "south", "west"], rows),
            "remark": [
                f"paid late again and called twice, number {i} of the list" for i in range(rows)
            ],
            "label": np.where(age + rng.normal(0, 8, rows) > 55, "yes", "no"),
        }
    )


def scores(report: Report) -> dict[str, object]:
    # Only `evaluate` reads a file, whose notation it measures.
    found = {score.metric: score.to_json() for score in report.scores}
    return {name: score for name, score in found.items() if name != "integrity.notation"}


@pytest.fixture
def real(tmp_path: Path) -> Path:
    pyarrow.csv.write_csv(people(), tmp_path / "people.csv")
    return tmp_path / "people.csv"


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> TwinResult:
    """A twin of `people` with its files; tests read it and write beside copies."""
    folder = tmp_path_factory.mktemp("delivered")
    pyarrow.csv.write_csv(people(), folder / "people.csv")
    return twin(folder / "people.csv", folder / "t.csv", target="label", seed=3)


@pytest.fixture
def few_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure little where the question is what rows and files are made."""
    names = ("gap.marginals", "privacy.exact_copies")
    chosen = [pair for pair in default_metrics({"number"}) if pair[0] in names]
    monkeypatch.setattr("twinset.workflows.evaluate._default_metrics", lambda *_: chosen)


def test_a_fifth_is_held_out_and_every_label_keeps_its_share() -> None:
    table = name_target(open_table(people(500)), "label")
    parts = split_holdout(table, 0.2, seed=4)
    assert len(parts.holdout_rows) == 100
    assert len(parts.train) == 400
    share = float(np.mean(np.array(table.records["label"].to_pylist()) == "yes"))
    locked = float(np.mean(np.array(parts.holdout.records["label"].to_pylist()) == "yes"))
    assert abs(share - locked) < 0.01
    again = split_holdout(table, 0.2, seed=4)
    assert again.holdout_rows.tolist() == parts.holdout_rows.tolist()
    assert split_holdout(table, 0.2, seed=5).holdout_rows.tolist() != parts.holdout_rows.tolist()


@pytest.mark.usefixtures("few_metrics")
def test_the_generator_never_sees_a_locked_row(real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Dataset] = []
    original = twinset.workflows.twin.fit_source

    def spy(generator: object, train: Dataset, **rest: object) -> object:
        seen.append(train)
        return original(generator, train, **rest)

    monkeypatch.setattr("twinset.workflows.twin.fit_source", spy)
    twin(real, seed=2)
    whole = open_table(real)
    locked = split_holdout(whole, 0.2, 2).holdout
    ids = set(seen[0].records["customer"].to_pylist())
    assert len(ids) == 192
    assert not ids & set(locked.records["customer"].to_pylist())


@pytest.mark.usefixtures("few_metrics")
def test_identifiers_and_text_are_made_again_and_nothing_else_is_lost(real: Path) -> None:
    made = twin(real, real.with_name("t.csv"), rows=300).synthetic
    source = people()
    assert made.to_arrow().column_names == source.column_names
    assert len(made) == 300
    ids = made.records["customer"].to_pylist()
    assert len(set(ids)) == 300
    assert not set(ids) & set(source["customer"].to_pylist())
    assert all(re.fullmatch(r"C-\d{6,}", one) for one in ids)
    assert not set(made.records["remark"].to_pylist()) & set(source["remark"].to_pylist())


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_each_format_comes_out_as_it_went_in(
    ending: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if ending != "csv":  # every metric has seen these kinds once
        request.getfixturevalue("few_metrics")
    rng = rng_for(1, "formats")
    table = pa.table(
        {
            "n": rng.integers(0, 1000, 120),
            "x": np.round(rng.normal(0, 1, 120), 3),
            "ok": rng.random(120) < 0.5,
            "when": pa.array(rng.integers(0, 10**9, 120), pa.timestamp("s")),
            "group": rng.choice(["=cmd()", 'b,"c', "<script>"], 120),
        }
    )
    pa.parquet.write_table(table, tmp_path / "real.parquet")
    out = tmp_path / f"t.{ending}"
    result = twin(tmp_path / "real.parquet", out, seed=1)
    back = open_table(out, result.synthetic.schema)
    assert back.to_arrow().equals(result.synthetic.to_arrow())
    assert set(back.records["group"].to_pylist()) <= {"=cmd()", 'b,"c', "<script>"}
    assert {p.name for p in tmp_path.iterdir()} == {
        "real.parquet", out.name, f"{out.name}.html", f"{out.name}.twin.json"
    }  # fmt: skip


def test_markup_in_names_and_values_is_escaped_in_the_report(tmp_path: Path) -> None:
    rng = rng_for(1, "markup")
    table = pa.table(
        {
            "<script>alert(1)</script>": rng.normal(0, 1, 100),
            "kind": rng.choice(["<img src=x onerror=alert(2)>", "b"], 100),
        }
    )
    pa.csv.write_csv(table, tmp_path / "real.csv")
    result = twin(tmp_path / "real.csv", tmp_path / "t.csv")
    page = result.paths["report"].read_text("utf-8")
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_same_seed_gives_the_same_three_files(
    delivered: TwinResult, real: Path, request: pytest.FixtureRequest
) -> None:
    one = delivered.paths
    two = twin(real, real.with_name("t.csv"), seed=3, target="label", workers=2).paths
    for key in ("data", "report", "note"):
        assert one[key].read_bytes() == two[key].read_bytes(), key
    request.getfixturevalue("few_metrics")
    other = twin(real, real.with_name("two.csv"), seed=10, target="label").paths
    assert other["data"].read_bytes() != one["data"].read_bytes()


@pytest.mark.usefixtures("few_metrics")
def test_more_rows_begin_with_the_same_rows(real: Path) -> None:
    few = twin(real, rows=20, holdout_fraction=0).synthetic.to_arrow()
    more = twin(real, rows=50, holdout_fraction=0).synthetic.to_arrow()
    assert more.slice(0, 20).equals(few)


@pytest.mark.usefixtures("few_metrics")
def test_every_row_meets_the_condition(real: Path) -> None:
    result = twin(real, where="label = yes", rows=70)
    assert set(result.synthetic.records["label"].to_pylist()) == {"yes"}
    assert len(result.synthetic) == 70
    count = people()["label"].to_pylist().count("yes")
    assert len(twin(real, where={"label": "yes"}).synthetic) == count


@pytest.mark.usefixtures("few_metrics")
def test_smote_makes_rows_of_the_rare_class(tmp_path: Path) -> None:
    pytest.importorskip("imblearn")
    pa.csv.write_csv(people(300).drop_columns(["customer", "remark"]), tmp_path / "real.csv")
    result = twin(
        tmp_path / "real.csv", use="minority.smote", where="label = yes", target="label", rows=40
    )
    assert set(result.synthetic.records["label"].to_pylist()) == {"yes"}


def test_evaluate_reads_the_note_and_tells_what_twin_reported(
    delivered: TwinResult, real: Path
) -> None:
    told = delivered.report
    again = evaluate(real, delivered.paths["data"])
    assert scores(again) == scores(told)
    assert again.facts["holdout_rows"] == 48
    assert again.verdict == told.verdict


def test_evaluate_without_note_or_holdout_cannot_speak_of_leaks(
    delivered: TwinResult, real: Path
) -> None:
    alone = shutil.copy(delivered.paths["data"], real.with_name("t.csv"))
    report = evaluate(real, alone)
    privacy = [score for score in report.scores if score.family == "privacy"]
    assert privacy
    assert {score.verdict for score in privacy} == {"not measurable"}


@pytest.mark.usefixtures("few_metrics")
def test_a_note_of_another_real_file_is_left_aside_and_said_so(
    delivered: TwinResult, tmp_path: Path
) -> None:
    pa.csv.write_csv(people().slice(1), tmp_path / "other.csv")
    report = evaluate(tmp_path / "other.csv", delivered.paths["data"])
    assert report.facts["holdout_rows"] is None
    assert any("belongs to another real table" in note for note in report.notes)


@pytest.mark.usefixtures("few_metrics")
def test_without_a_lock_leaks_are_not_measurable(real: Path) -> None:
    out = real.with_name("t.csv")
    result = twin(real, out, holdout_fraction=0)
    leaks = [sentence for sentence in result.report.verdict if sentence.family == "privacy"]
    assert [sentence.mark for sentence in leaks] == ["unmeasured"]
    assert scores(evaluate(real, out)) == scores(result.report)


def test_a_holdout_file_makes_leaks_measurable(real: Path) -> None:
    table = people(400)
    report = evaluate(table.slice(0, 200), table.slice(200, 100), holdout=table.slice(300))
    privacy = {s.metric: s.verdict for s in report.scores if s.family == "privacy"}
    assert privacy.pop("privacy.quasi_identifiers") == "not measurable"  # none is declared
    assert "not measurable" not in privacy.values()
    assert report.notes == ()


@pytest.mark.usefixtures("few_metrics")
def test_a_holdout_that_was_seen_is_refused_or_reported_on_the_report(real: Path) -> None:
    table = people(200)
    with pytest.raises(LeakError, match="is not independent"):
        evaluate(table, table.slice(0, 50), holdout=table.slice(100))
    report = evaluate(table, table.slice(0, 50), holdout=table.slice(100), allow_leaks=["copies"])
    assert any(note.startswith("Allowed leak 'copies'") for note in report.notes)
    assert any("100 of 100 holdout rows also stand" in note for note in report.notes)


@pytest.mark.usefixtures("few_metrics")
def test_frames_of_every_library_are_taken() -> None:
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    table = people(120)
    wanted = twin(table, rows=30, holdout_fraction=0).synthetic
    for frame in (table.to_pandas(), polars.from_arrow(table)):
        assert (
            twin(frame, rows=30, holdout_fraction=0).synthetic.to_arrow().equals(wanted.to_arrow())
        ), type(frame)
    assert isinstance(wanted.to_pandas(), pandas.DataFrame)


def test_the_note_holds_no_value_of_any_row(delivered: TwinResult) -> None:
    text = delivered.paths["note"].read_text()
    note = json.loads(text)
    assert {"seed", "use", "settings", "holdout_fraction", "split_rule"} <= note.keys()
    for column in ("customer", "income", "remark", "region"):
        assert not any(str(value) in text for value in people()[column].to_pylist())


def test_a_digest_depends_on_seed_and_on_every_value() -> None:
    table = open_table(people(30))
    changed = people(30).set_column(1, "age", pa.array([1, *people(30)["age"].to_pylist()[1:]]))
    digests = {
        Seal.from_rows(table, 0).real_digest,
        Seal.from_rows(table, 1).real_digest,
        Seal.from_rows(open_table(changed), 0).real_digest,
    }
    assert len(digests) == 3
    rows = np.arange(5)
    assert Seal.from_rows(table, 0).holdout_digest(rows) != Seal.from_rows(table, 0).holdout_digest(
        rows[:4]
    )


def test_the_note_comes_back_as_it_was_written(tmp_path: Path) -> None:
    note = TwinNote(
        use="tabular.copula", settings={"a": 1}, seed=1, rows=2, where={"x": {"ge": 3}},
        holdout_fraction=0.2, notes=("n",), real_digest="r", holdout_digest="h", version="0",
    )  # fmt: skip
    (tmp_path / "t.csv.twin.json").write_text(note.to_json())
    assert TwinNote.read(tmp_path / "t.csv") == note
    assert TwinNote.read(tmp_path / "other.csv") is None


def test_whole_numbers_are_labels_when_they_are_few() -> None:
    few = open_table(pa.table({"x": np.arange(60.0), "y": np.arange(60) % 3}))
    many = open_table(pa.table({"x": np.arange(60.0), "y": np.arange(60)}))
    assert name_target(few, "y").schema["y"].kind == "category"
    assert name_target(many, "y").schema["y"].kind == "integer"


def test_a_set_is_taken_with_its_own_schema() -> None:
    table = open_table(people(60))
    read = table.schema.with_target("region")
    again = open_table(Dataset(table.records, Schema(read.fields), table.card))
    assert again.schema.target is not None
    assert again.schema.target.name == "region"


def test_arguments_that_cannot_be_used() -> None:
    for arguments, error in [
        ({"rows": 0}, ParameterError),
        ({"seed": -1}, ParameterError),
        ({"workers": 0}, ParameterError),
        ({"holdout_fraction": 1.0}, ParameterError),
        ({"positive": "yes"}, ParameterError),
        ({"target": "absent"}, SchemaError),
        ({"target": "remark"}, SchemaError),
        ({"target": "label", "positive": "maybe"}, DataError),
        ({"where": {"age": {"gt": 1000}}}, DataError),
        ({"use": "image.shapes"}, RecipeError),
    ]:
        with pytest.raises(error):
            twin(people(60), **arguments)


def test_nothing_stays_behind_when_the_measuring_fails(
    real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*args: object, **kwargs: object) -> None:
        raise DataError("no")

    monkeypatch.setattr("twinset.workflows.twin.measure_and_report", failing)
    out = real.with_name("t.csv")
    out.write_text("an older twin")
    with pytest.raises(DataError):
        twin(real, out)
    assert {p.name for p in real.parent.iterdir()} == {"people.csv", "t.csv"}
    assert out.read_text() == "an older twin"


def test_a_quick_look_leaves_out_what_takes_a_while_and_says_so() -> None:
    rng = np.random.default_rng(0)
    real = pa.table({"x": rng.normal(size=300), "y": rng.normal(size=300)})
    quick = evaluate(real.slice(0, 100), real.slice(100, 100), holdout=real.slice(200), quick=True)
    names = {score.metric for score in quick.scores}
    assert "gap.marginals" in names
    assert not names & {"gap.conditionals", "utility.exchange_rate", "privacy.linkability"}
    note = next(note for note in quick.notes if note.startswith("A quick look"))
    assert "gap.conditionals" in note
    with pytest.raises(UnknownNameError, match=r"gap\.conditionals"):
        evaluate(real, real, quick=True, gates={"gap.conditionals": {"max": 0.1}})


@pytest.mark.usefixtures("few_metrics")
def test_rows_of_one_label_are_reported_to_be_compared_with_their_like() -> None:
    rng = np.random.default_rng(0)
    label = np.where(rng.random(400) < 0.3, "yes", "no")
    real = pa.table({"x": rng.normal(size=400), "label": label})
    rare = real.filter(pa.array(label == "yes"))
    told = [
        note for note in evaluate(real, rare, target="label", quick=True).notes if "like" in note
    ]
    assert told == [
        "every synthetic row has label = yes, and real rows have other labels too: what differs below "
        'differs for that reason; to compare like with like, add --where "label = yes"'
    ]
    alike = evaluate(real, rare, target="label", where="label = yes", quick=True)
    assert not any("compare like with like" in note for note in alike.notes)
    assert not any("compare like with like" in n for n in evaluate(real, real, quick=True).notes)
