import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from twinset.io.drafts import LOCK, new_draft, sole_draft, sweep_drafts

CHILD = """
import sys, time
from pathlib import Path
from twinset.io.drafts import new_draft, sole_draft
place = Path(sys.argv[1])
with new_draft(place.parent) as one, sole_draft(place) as other:
    for folder in (one, other):
        (folder / "rows.csv").write_text("real")
    print("begun", flush=True)
    time.sleep(60)
"""


@contextmanager
def other_process(place: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that owns two draft folders beside a place; it is killed at the end."""
    words = [sys.executable, "-c", CHILD, str(place)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "begun\n"
            yield process
        finally:
            process.kill()


def test_drafts_of_a_killed_process_are_removed_and_those_of_a_live_one_are_not(
    tmp_path: Path,
) -> None:
    with other_process(tmp_path / "out") as process:
        before = sorted(tmp_path.rglob("*"))
        assert len(before) == 6
        sweep_drafts(tmp_path)
        with new_draft(tmp_path):
            pass
        assert sorted(tmp_path.rglob("*")) == before
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        assert sorted(tmp_path.rglob("*")) == before
        with new_draft(tmp_path) as folder:
            assert os.listdir(tmp_path) == [folder.name]
    assert os.listdir(tmp_path) == []


def test_what_is_nobodys_draft_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".mine.twinset-draft").mkdir()
    (tmp_path / ".mine.twinset-draft" / "thesis.tex").touch()
    (tmp_path / ".file.twinset-draft").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / LOCK).touch()
    (tmp_path / "elsewhere" / "precious").touch()
    (tmp_path / ".out.twinset-draft").symlink_to(tmp_path / "elsewhere")
    before = sorted(tmp_path.rglob("*"))
    sweep_drafts(tmp_path)
    with pytest.raises(NotADirectoryError, match="is a link"), sole_draft(tmp_path / "out"):
        pass
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
@pytest.mark.parametrize("umask", [0, 0o022, 0o277])
def test_a_draft_is_private_whatever_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with sole_draft(tmp_path / ("x" * 255)) as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)
