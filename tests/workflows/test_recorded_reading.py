"""How a source was read is recorded by what is made from it, and printed when it is read first."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinset import evaluate, run, twin
from twinset.core.data.dataset import Card
from twinset.core.errors import SchemaError
from twinset.recipe import load_recipe

ROWS = [f"{i % 7};{i},5;{'f' if i % 3 else 'm'}" for i in range(120)]
TEXT = "code;pay;sex\n" + "\n".join(ROWS) + "\n"
NOTE = "The real file is read as it was when the synthetic rows were made: --read category=code."


@pytest.fixture
def real(tmp_path: Path) -> Path:
    path = tmp_path / "real.csv"
    path.write_text(TEXT)
    return path


def test_evaluate_reads_the_real_file_as_twin_did(real: Path) -> None:
    out = real.with_name("twin.csv")
    twin(real, out, use="tabular.bootstrap", read=["category=code"])
    report = evaluate(real, out, quick=True)
    assert NOTE in report.notes
    # Without it this is another table than the one the twin was made from.
    assert not any("belongs to another real table" in note for note in report.notes)
    other = evaluate(real, out, quick=True, read=["number=code"])
    assert any("belongs to another real table" in note for note in other.notes)


RECIPE = """
name: small
brief: {task: other}
source: {path: real.csv, read: {category: [code]}}
generate: [{use: tabular.bootstrap, rows: 60}]
evaluate:
  metrics: [privacy.quasi_identifiers, gap.marginals]
  ignore: [pay]
deliver: {to: OUT, formats: [csv]}
"""


def test_run_tells_once_how_it_read_and_delivers_it(
    real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = real.with_name("recipe.yaml")
    recipe.write_text(RECIPE.replace("OUT", str(real.with_name("out"))))
    monkeypatch.chdir(real.parent)
    result = run(recipe, root=real.with_name("store"))
    assert result.reading is not None
    assert [one.kind for one in result.reading.columns] == ["category", "number", "category"]
    assert result.report["notes"][0] == "Not measured, as requested: pay."
    assert run(recipe, root=real.with_name("store")).reading is None
    assert NOTE in evaluate(real, result.delivered / "synthetic.csv", quick=True).notes


def test_an_ignored_column_must_exist(real: Path) -> None:
    recipe = real.with_name("recipe.yaml")
    recipe.write_text(RECIPE.replace("OUT", str(real.with_name("out"))).replace("[pay]", "[pays]"))
    with pytest.raises(SchemaError, match="no column 'pays'"):
        run(load_recipe(recipe), root=real.with_name("store"))


def test_a_card_without_a_reading_is_written_as_before() -> None:
    card = Card(name="x", origin="real", reading={"decimal": ","})
    assert Card.from_json(card.to_json()) == card
    assert "reading" not in Card(name="x", origin="real").to_json()
