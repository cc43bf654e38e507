"""A request to end (SIGTERM, SIGHUP) ends a command with its own exit code and without a traceback."""

from __future__ import annotations

import subprocess
import sys

import pytest

# A library that is interrupted turns the request into an error of its own, or passes over it.
_COMMAND = """
import os, signal, sys
import twinset.cli as cli

class Removed:
    def __del__(self):
        os.kill(os.getpid(), getattr(signal, {name!r}))
        str()  # the request arrives here

def answer(words):
    if {is_lost}:
        Removed()
        return 0
    try:
        os.kill(os.getpid(), getattr(signal, {name!r}))
    except SystemExit as request:
        if {fails}:
            raise RuntimeError("interrupted") from request
    return 0

signal.signal(signal.SIGHUP, signal.SIG_DFL)
cli._answer = answer
sys.argv = ["twinset", "list"]
sys.exit(cli.main())
"""


@pytest.mark.parametrize(("name", "code"), [("SIGHUP", 129), ("SIGTERM", 143)])
@pytest.mark.parametrize(("fails", "is_lost"), [(True, False), (False, False), (False, True)])
def test_a_request_keeps_its_exit_code_whatever_a_library_makes_of_it(
    name: str, code: int, fails: bool, is_lost: bool
) -> None:
    source = _COMMAND.format(name=name, fails=fails, is_lost=is_lost)
    ended = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
