"""Faults of a grammar that show only when the records are there tell file, line and path like others."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinset import run
from twinset.core.errors import ParameterError

RECIPE = """\
name: letters
brief: {task: intent, target: label, modality: text}
assets: {people: people.csv}
generate:
  - use: text.templates
    rows: ROWS
    with:
      templates:
        invoice:
          - "Dear {customer.name}"
          - "Dear {customer.COLUMN}, please pay"
      tables: {customer: {asset: people, key: KEY}}
deliver: {formats: [jsonl]}
"""
GRAMMAR = """\
templates:
  invoice:
    - "Dear {customer.name}"
    - "Dear {customer.nam}, please pay"
tables: {customer: people}
"""

LATE = [
    (
        {"COLUMN": "nam"},
        r"^letters.yaml:11: generate\[0\].with.templates.invoice\[1\]: .*'name'\?$",
    ),
    ({"KEY": "nr"}, r"^letters.yaml:12: generate\[0\].with.tables.customer.key: the setting 'key'"),
    (
        {"COLUMN": "mail"},
        r"^letters.yaml:12: .* \(the asset 'people'\) is empty; got nothing in row 2",
    ),
    ({"ROWS": "500"}, r"^letters.yaml:9: generate\[0\].with.templates.invoice: .* cannot give 500"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("people.csv").write_text("id,name,mail\n1,Ann,ann@x.org\n2,Bob,\n")


def test_a_late_fault_tells_its_line() -> None:
    for changes, words in LATE:
        text = RECIPE
        for key, value in ({"ROWS": "2", "COLUMN": "name", "KEY": "id"} | changes).items():
            text = text.replace(key, value)
        Path("letters.yaml").write_text(text)
        with pytest.raises(ParameterError, match=words) as caught:
            run("letters.yaml")
        assert "\n" not in str(caught.value)


def test_a_late_fault_in_a_file_that_the_recipe_names_tells_that_file() -> None:
    Path("words.yaml").write_text(GRAMMAR)
    head, _, _ = RECIPE.partition("      templates:")
    text = head.replace("ROWS", "2") + "      grammar: words.yaml\ndeliver: {formats: [jsonl]}\n"
    Path("letters.yaml").write_text(text)
    with pytest.raises(
        ParameterError, match=r"^words.yaml:4: generate\[0\].with.templates.invoice"
    ):
        run("letters.yaml")


def test_a_setting_that_was_given_by_hand_is_named_as_such() -> None:
    Path("letters.yaml").write_text(
        RECIPE.replace("ROWS", "2").replace("COLUMN", "name").replace("KEY", "id")
    )
    with pytest.raises(ParameterError, match=r"^--set .*: generate\[0\].with.tables.customer"):
        run("letters.yaml", overrides=["generate.0.with.tables.customer.key=nr"])
