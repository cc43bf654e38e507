"""Tables, JSON and colour on a terminal and off it."""

from __future__ import annotations

import io
import json
import sys
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from twinset.cli.terminal import (
    paint,
    plain_warnings,
    print_error,
    print_json,
    print_lines,
    print_notes,
    print_paths,
    print_scores,
    print_summary,
    print_table,
)
from twinset.core.contracts import Estimate, Score
from twinset.core.errors import FewRowsWarning
from twinset.core.findings import Verdict


class Terminal(io.StringIO):
    """Text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def sixty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 60 columns that knows colour."""
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("set", "rows", "note"), [("a", 1200, "x"), ("long-name", None, "y z")])
    assert capsys.readouterr().out == (
        "set        rows   note\n"  #
        "a          1,200  x\n"
        "long-name  -      y z\n"
    )


def test_off_a_terminal_a_row_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "text"), [("a", "word " * 60)])
    assert len(capsys.readouterr().out.splitlines()) == 2


@pytest.mark.usefixtures("sixty_columns")
def test_on_a_terminal_the_last_column_is_wrapped_below_itself() -> None:
    with redirect_stdout(Terminal()) as terminal:
        print_table(("name", "text"), [("a", "word " * 20)])
    lines = terminal.getvalue().splitlines()
    assert len(lines) > 2
    assert all(len(line) <= 60 for line in lines[1:])
    assert lines[2].startswith("      word")


def test_a_name_out_of_a_file_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "n"), [("evil\x1b[2J\nname", 1)])
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert len(printed.splitlines()) == 2


@pytest.mark.usefixtures("sixty_columns")
def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paint("x", "red", Terminal()) == "\033[31mx\033[0m"
    assert paint("x", "red", io.StringIO()) == "x"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "red", Terminal()) == "x"


@pytest.mark.usefixtures("sixty_columns")
def test_the_mark_of_a_line_decides_its_colour() -> None:
    with redirect_stdout(Terminal()) as terminal:
        print_summary("+ good\n! bad\n? unclear\n- unmeasured")
    lines = terminal.getvalue().splitlines()
    assert [line[:5] for line in lines[:3]] == ["\033[32m", "\033[31m", "\033[33m"]
    assert lines[3] == "- unmeasured"


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": float("nan"), "b": (1, float("inf")), "c": None, "d": "ä"})
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"a": None, "b": [1, None], "c": None, "d": "ä"}
    assert "ä" in printed


def test_scores_stand_beside_their_baseline(capsys: pytest.CaptureFixture[str]) -> None:
    score = Score(
        "gap.marginals",
        "gap",
        0.05,
        False,
        Verdict.EQUIVALENT,
        Estimate(0.05, 0.04, 0.3, (-0.002, 0.021), 0.01),
    )
    print_scores([score])
    head, line = capsys.readouterr().out.splitlines()
    assert line.split("  ")[0] == "gap.marginals"
    assert "-0.002 to +0.021" in line
    assert line.endswith("as good as real")
    assert line.index("0.04") == head.index("real vs real")


def test_paths_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_paths({"twin": Path("a.csv"), "report": Path("a.csv.html")})
    assert capsys.readouterr().out == "twin:   a.csv\nreport: a.csv.html\n"


def test_a_warning_of_ours_is_a_note_without_a_place_in_the_source() -> None:
    def warned(kind: type[Warning]) -> str:
        return warnings.formatwarning("3 rows only", kind, "smote.py", 7)

    with plain_warnings():
        assert warned(FewRowsWarning) == "Note: 3 rows only\n"
        assert warned(UserWarning).startswith("smote.py:7: UserWarning: 3 rows only")
    assert warned(FewRowsWarning).startswith("smote.py:7: FewRowsWarning")


HOSTILE = "a\x1b[31m\x00\x07\x7f\x9b\u202eb\u2066\u200f\u2028c\udcff\nd\r\u6f22"
RAW = set(HOSTILE) - set("a[31mbcd\n\u6f22")


def test_no_printed_form_holds_signs_that_steer_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_lines(HOSTILE)
    print_table((HOSTILE, "x"), [(HOSTILE, HOSTILE)])
    print_notes([HOSTILE])
    print_summary(f"+ {HOSTILE}")
    print_paths({"page": Path(HOSTILE.replace("\x00", ""))})
    print_error(HOSTILE)
    with plain_warnings():
        for kind in (FewRowsWarning, UserWarning):
            sys.stderr.write(warnings.formatwarning(kind(HOSTILE), kind, "x.py", 1))
    print_json({HOSTILE: [HOSTILE]})
    printed = capsys.readouterr()
    for text in (printed.out, printed.err):
        assert not RAW & set(text)
        assert "\\x1b[31m" in text
        assert "\\u202e" in text
        assert "\u6f22" in text
    assert json.loads(printed.out[printed.out.index("{\n") :]) == {HOSTILE: [HOSTILE]}


def test_colour_is_ours_alone(sixty_columns: None) -> None:
    screen = Terminal()
    print_lines("\x1b[32mall is well", colour="red", stream=screen)
    assert screen.getvalue() == "\x1b[31m\\x1b[32mall is well\x1b[0m\n"
