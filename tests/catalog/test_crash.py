"""kill -9 at every point of a registration, and several writers at once."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.catalog import Catalog
from twinset.core.data.dataset import Card, Dataset
from twinset.core.errors import CatalogRestoredWarning

CARD = Card(name="s", origin="real")
DATA = Dataset.from_arrow(pa.table({"x": [i / 4 for i in range(100)]}), card=CARD)

# Dies by kill -9 right before the n-th call of a function: each file flush, each rename, and the
# statements of the transaction, its COMMIT last.
CHILD = """
import os, signal, sqlite3, sys
import pyarrow as pa
from twinset.catalog import Catalog
from twinset.core.data.dataset import Card, Dataset

root, what, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
left = [number]
def count(*_):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
if what in ("commit", "statement"):
    def traced(*args, connect=sqlite3.connect, **options):
        connection = connect(*args, **options)
        connection.set_trace_callback(
            lambda text: count() if what == "statement" or text.strip().startswith("COMMIT") else None
        )
        return connection
    sqlite3.connect = traced
else:
    original = getattr(os, what)
    def dying(*args):
        count()
        return original(*args)
    setattr(os, what, dying)
card = Card(name="s", origin="real")
data = Dataset.from_arrow(pa.table({"x": [i / 4 for i in range(100)]}), card=card)
Catalog(root).register("s", [data.slice(0, 50), data.slice(50, 50)], card, step="step")
"""


def run_child(root: Path, what: str, number: int) -> int:
    command = [sys.executable, "-c", CHILD, str(root), what, str(number)]
    return subprocess.run(command, timeout=120).returncode


MOMENTS = [
    *(("fsync", n) for n in (1, 3, 5, 7, 9)),
    *(("replace", n) for n in (1, 2, 3)),
    *(("commit", n) for n in (1, 2, 4)),
    *(("statement", n) for n in (8, 32, 56)),
]
# The last moments: the version stands in the journal, and is listed from there.
RECORDED = [("fsync", 9), ("commit", 4)]


@pytest.mark.slow
@pytest.mark.parametrize(("what", "number"), MOMENTS)
def test_a_killed_registration_is_whole_or_not_listed_and_can_be_repeated(
    what: str, number: int, tmp_path: Path
) -> None:
    assert run_child(tmp_path, what, number) == -signal.SIGKILL
    undisturbed = Catalog(tmp_path / "other").register("s", [DATA], CARD)
    catalog = Catalog(tmp_path)
    is_recorded = (what, number) in RECORDED
    restored = pytest.warns(CatalogRestoredWarning, match="lacked 1 registered set, now listed")
    with restored if is_recorded else nullcontext():
        assert catalog.sets() == ([undisturbed] if is_recorded else [])
    assert catalog.find_step("step") == (undisturbed if is_recorded else None)

    version = catalog.register("s", [DATA], CARD, step="step")
    assert version == undisturbed
    # No draft is left, and the two files of the version.
    assert len([p for p in (tmp_path / "objects").rglob("*") if p.is_file()]) == 2
    assert catalog.load(version).to_arrow().equals(DATA.to_arrow())
    assert catalog.find_step("step") == version
    with sqlite3.connect(tmp_path / "catalog.sqlite") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()


@pytest.mark.slow
def test_the_moments_cover_a_registration_to_its_end(tmp_path: Path) -> None:
    for what, last in (("fsync", 9), ("replace", 3), ("commit", 4), ("statement", 60)):
        assert run_child(tmp_path / what, what, last + 1) == 0
        assert [v.ref for v in Catalog(tmp_path / what).sets()] == ["s@1"]


WRITER = """
import sys
import pyarrow as pa
from twinset.catalog import Catalog
from twinset.core.data.dataset import Card, Dataset
for i in range(10):
    card = Card(name="s", origin="real", seed=int(sys.argv[2]) * 100 + i)
    Catalog(sys.argv[1]).register("s", [Dataset.from_arrow(pa.table({"x": [0.5, i]}))], card)
"""


@pytest.mark.slow
def test_four_writers_leave_no_gap(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(i)]) for i in range(4)]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0, 0]
    assert [v.number for v in Catalog(tmp_path).sets()] == list(range(1, 41))
