"""What is told of long work where nobody looks at a terminal."""

import pytest

from twinset.cli import terminal
from twinset.cli.terminal import progress_bar


def test_a_log_gets_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 16.0, 20.0, 40.0])
    monkeypatch.setattr(terminal.time, "monotonic", lambda: next(clock))
    with progress_bar() as report:
        for done in range(4):
            report("measure", done, 12_000)
    assert capsys.readouterr().err == "measure: 1 of 12,000\nmeasure: 3 of 12,000\n"
