"""The table on how a file was read, and numbers on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Twinset
from twinset.cli.options import AdviseArguments, EvaluateArguments, TwinArguments

ROWS = "".join(f"{k * 7 % 60};{k * 13 % 50},{k % 10};{'ab'[k % 2]};k{k * k}\n" for k in range(80))
TABLE = "n;price;group;code\n" + ROWS


@pytest.fixture
def german(folder: Path) -> Path:
    (folder / "g.csv").write_text(TABLE)
    return folder


def test_uncertain_columns_come_first_at_80_columns(
    german: Path, twinset: Twinset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = twinset("init", "g.csv", "--out", "r.yaml").out.splitlines()
    assert "1 uncertain" in " ".join(shown[:2])
    marked = [line for line in shown if line.startswith("? ")]
    assert len(marked) == 1
    assert marked[0].split()[1] == "code"
    assert max(map(len, shown[:-2])) <= 80
    rows = [line.split()[0] for line in shown if line.startswith("  ") and line[2] != " "]
    assert rows == ["column", "n", "price", "group"]


def test_what_is_said_on_reading_goes_into_the_recipe(german: Path, twinset: Twinset) -> None:
    twinset("init", "g.csv", "--out", "r.yaml", "--read", "category=code", "--read", "text=n")
    text = (german / "r.yaml").read_text()
    assert 'read: {text: ["n"], category: ["code"]}' in text
    assert twinset("run", "r.yaml", "--dry-run").code == 0


def test_register_prints_the_reference_alone(german: Path, twinset: Twinset) -> None:
    found = twinset("register", "g.csv")
    assert found.out == "g-real@1\n"
    assert "? code" in found.err


def test_twin_prints_and_returns_the_table(german: Path, twinset: Twinset) -> None:
    fast = ("--use", "tabular.marginals", "--rows", "40")
    assert "? code" in twinset("twin", "g.csv", "t.csv", *fast).out
    reading = json.loads(twinset("twin", "g.csv", "t.csv", *fast, "--json").out)["reading"]
    assert [one["name"] for one in reading["columns"]] == ["code", "n", "price", "group"]
    assert reading["columns"][0]["remarks"][0]["reason"] == "not_repeated"


def test_an_option_of_reading_that_cannot_be_used_is_one_sentence(
    german: Path, twinset: Twinset
) -> None:
    for text, words in (("text=nn", "did you mean"), ("dates=us", "day-first"), ("x", "KEY=VALUE")):
        found = twinset("register", "g.csv", "--read", text)
        assert found.code == 2
        assert words in found.err


BAD = ("1.5", "1e3", "10_000", "１２", " 5 ", "nan", "inf", "0x10", "five", "")


@pytest.mark.parametrize("text", BAD)
def test_a_count_is_digits_alone(german: Path, twinset: Twinset, text: str) -> None:
    for option in ("--rows", "--seed", "--workers"):
        found = twinset("twin", "g.csv", "t.csv", f"{option}={text}")
        assert found.code == 2
        assert not (german / "t.csv").exists()


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "0_1", "０.１", " 0.1 ", "0,1", ""])
def test_a_number_is_finite_and_plain(german: Path, twinset: Twinset, text: str) -> None:
    found = twinset("twin", "g.csv", "t.csv", f"--holdout-fraction={text}")
    assert found.code == 2
    assert "Traceback" not in found.err


def test_no_option_reads_numbers_by_another_rule() -> None:
    import inspect
    from importlib import import_module
    from typing import get_args, get_type_hints

    from twinset.cli import COMMANDS, _place

    functions = [getattr(import_module(m), f) for m, f in map(_place, COMMANDS)]
    for one in (*functions, TwinArguments, EvaluateArguments, AdviseArguments):
        hints = get_type_hints(one, include_extras=True)
        for name, hint in hints.items():
            if name == "return" or (inspect.isfunction(one) and name == "options"):
                continue
            plain = {int, float, list[int], list[float]} & {hint, *get_args(hint)}
            is_annotated = hasattr(hint, "__metadata__")
            assert is_annotated or not plain, (one, name)


def test_settings_read_numbers_as_recipes_do(german: Path, twinset: Twinset) -> None:
    found = twinset("twin", "g.csv", "t.csv", "--use", "tabular.trees", "--with", "n_trees=1_0")
    assert found.code == 2
