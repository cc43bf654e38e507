"""Evaluation, comparison, twin and run refuse a holdout that is not independent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pytest

from twinset.cli import main
from twinset.core.data.dataset import Dataset
from twinset.core.errors import LeakError
from twinset.ingest.input_table import split_holdout, with_role
from twinset.registry import build
from twinset.workflows.compare import compare
from twinset.workflows.evaluate import evaluate
from twinset.workflows.run import run
from twinset.workflows.twin import twin


@pytest.fixture(autouse=True)
def few_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = [(name, build("metric", name, {})) for name in ("privacy.exact_copies",)]
    monkeypatch.setattr("twinset.workflows.evaluate.default_metrics", lambda kinds, **_: chosen)


def payments(rows: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.table(
        {
            "card": rng.integers(0, rows // 6, rows) + 1000 * seed,
            "when": np.sort(rng.random(rows)) + seed,
            "amount": np.round(np.exp(rng.normal(3, 1, rows)), 2),
            "score": rng.normal(size=rows),
            "fraud": np.where(rng.random(rows) < 0.2, "yes", "no"),
        }
    )


def test_evaluate_refuses_a_shared_group_and_a_later_train_row() -> None:
    real, later, made = payments(300, 1), payments(200, 2), payments(300, 3)
    cards = later.set_column(0, "card", real["card"].slice(0, 200))
    evaluate(real, made, holdout=later, time="when", group="card")
    with pytest.raises(LeakError, match="groups of the column 'card'"):
        evaluate(real, made, holdout=cards, group="card")
    by_time = evaluate(real, made, holdout=cards, time="when", group="card")
    assert any("the split is by time, so they may" in note for note in by_time.notes)
    with pytest.raises(LeakError, match="later than the earliest holdout row"):
        evaluate(later, made, holdout=real, time="when")
    allowed = evaluate(real, made, holdout=cards, group="card", allow_leaks=["group"])
    assert any(note.startswith("Allowed leak 'group'") for note in allowed.notes)


def test_a_number_of_the_row_is_no_group() -> None:
    real, later, made = payments(300, 1), payments(200, 2), payments(300, 3)
    sets = [
        one.append_column("row", pa.array(np.arange(len(one)) + 1000 * i))
        for i, one in enumerate((real, made, later))
    ]
    lone = "nearly every group of the column 'row' has one row only"
    by_row = evaluate(sets[0], sets[1], holdout=sets[2], group="row")
    assert sum(note.startswith(lone) for note in by_row.notes) == 1
    by_card = evaluate(sets[0], sets[1], holdout=sets[2], group="card")
    assert not any("one row only" in note for note in by_card.notes)


def test_evaluate_reads_the_lineage_of_a_holdout() -> None:
    real, made = payments(300, 1), payments(300, 3)
    flagged = Dataset.from_arrow(payments(200, 2)).with_card(origin="synthetic")
    with pytest.raises(LeakError, match="synthetic rows, as its card says"):
        evaluate(real, made, holdout=flagged)
    rows = flagged.with_reserved(ids=[str(i) for i in range(200)]).with_card(origin="real")
    with pytest.raises(LeakError, match="200 holdout rows were made"):
        evaluate(real, made, holdout=rows)
    with pytest.raises(LeakError, match="were made, not observed"):
        evaluate(real, made, holdout=rows.records)


def test_compare_names_the_candidate_that_saw_the_holdout() -> None:
    real, unseen = payments(300, 1), payments(200, 2)
    good, bad = payments(300, 3), pa.concat_tables([payments(150, 4), unseen])
    compare(real, {"good": good, "fine": payments(300, 5)}, holdout=unseen)
    with pytest.raises(LeakError, match=r"candidate 'bad': .* equal a synthetic row"):
        compare(real, {"good": good, "bad": bad}, holdout=unseen)


def test_the_command_ends_with_code_2_and_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"real": payments(300, 1), "made": payments(300, 3)}
    for name, table in files.items():
        pa.csv.write_csv(table, tmp_path / f"{name}.csv")
    real, made = str(tmp_path / "real.csv"), str(tmp_path / "made.csv")
    words = ["evaluate", real, made, "--holdout", real]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "is not independent" in told
    assert "Traceback" not in told
    assert main([*words, "--allow-leak", "copies"]) == 0
    assert "Allowed leak 'copies'" in capsys.readouterr().out


def test_a_twin_cuts_whole_groups_and_tells_of_rows_grown_before() -> None:
    data = with_role(Dataset.from_arrow(payments(600, 1)), "card", "group")
    parts = split_holdout(data, 0.3, 0)
    assert parts.holdout is not None
    cards = [set(part.records["card"].to_pylist()) for part in (parts.train, parts.holdout)]
    assert not cards[0] & cards[1]
    table = payments(600, 1)
    rare = table.filter(pa.compute.equal(table["fraud"], "yes"))
    grown = pa.concat_tables([table, *[rare] * 2])
    report = twin(grown, use="tabular.bootstrap", target="fraud").report
    assert any("is not independent" in note for note in report.notes)
    assert {score.verdict for score in report.scores} == {"not measurable"}


def test_a_run_refuses_before_it_makes_anything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pa.csv.write_csv(payments(400, 1), tmp_path / "real.csv")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "name: cards\nseed: 1\nbrief: {task: classification, target: fraud}\n"
        "source: {path: real.csv, licence: CC0-1.0, schema: {card: {role: group}}}\n"
        "generate: [{use: tabular.bootstrap, rows: 20}]\n"
        "evaluate: {metrics: [privacy.exact_copies]}\n"
        "deliver: {to: out}\n"
    )
    with pytest.raises(LeakError, match="groups of the column 'card'"):
        run(recipe, root=tmp_path / "root")
    assert not (tmp_path / "out").exists()
    by_group = run(recipe, root=tmp_path / "root", overrides=["split.by=group"])
    assert by_group.delivered.exists()
    allowed = run(recipe, root=tmp_path / "root", overrides=["evaluate.allow_leaks=[group]"])
    assert any("Allowed leak 'group'" in note for note in allowed.report["notes"])
