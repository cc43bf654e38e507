"""A database that lost what the manifests tell of is restored with a warning, or refused."""

import dataclasses
import os
import sqlite3
import stat
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.catalog import Catalog, Version
from twinset.cli import main
from twinset.core.data.dataset import Card, Dataset
from twinset.core.errors import CatalogError, CatalogRestoredWarning

DATA = Dataset.from_arrow(pa.table({"x": [1.5, 2.5]}))


def add(catalog: Catalog, name: str, seed: int, step: str = "") -> Version:
    card = Card(name=name, origin="real", seed=seed)
    return catalog.register(name, [dataclasses.replace(DATA, card=card)], card, step=step)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    """Four versions of two names, whose order no manifest tells, two steps and a note."""
    catalog = Catalog(tmp_path / "catalogue")
    for seed in (3, 1, 2):
        add(catalog, "b", seed, f"step {seed}")
    add(catalog, "a", 0)
    catalog.note("report", "kind", b"text")
    for name in ("catalog.sqlite-wal", "catalog.sqlite-shm"):
        assert not (catalog.root / name).exists()
    return catalog


def state(catalog: Catalog) -> tuple[object, ...]:
    steps = [catalog.find_step(f"step {seed}") for seed in (1, 2, 3)]
    return catalog.sets(), steps, catalog.read_note("report")


def execute(root: Path, text: str) -> None:
    with closing(sqlite3.connect(root / "catalog.sqlite")) as connection:
        connection.executescript(text)


def overwrite(path: Path, content: bytes) -> None:
    path.write_bytes(content)


RESTORED: dict[str, Callable[[Path], object]] = {
    "emptied": lambda root: overwrite(root / "catalog.sqlite", b""),
    "deleted": lambda root: (root / "catalog.sqlite").unlink(),
    "all rows deleted": lambda root: execute(
        root, "DELETE FROM step; DELETE FROM version_file; DELETE FROM parent; DELETE FROM version;"
    ),
    "some rows deleted": lambda root: execute(
        root,
        "DELETE FROM step WHERE version_id = 2; DELETE FROM version_file WHERE version_id = 2;"
        "DELETE FROM version WHERE id = 2;",
    ),
}


def lose_all_but_objects(root: Path) -> None:
    for name in ("catalog.sqlite", "journal.jsonl"):
        (root / name).unlink()


REFUSED: dict[str, Callable[[Path], object]] = {
    "truncated": lambda root: os.truncate(root / "catalog.sqlite", 8192),
    "cut in its first page": lambda root: os.truncate(root / "catalog.sqlite", 1000),
    "garbage": lambda root: overwrite(root / "catalog.sqlite", b"no database" * 1000),
    "without tables": lambda root: execute(
        root, "DROP TABLE step; DROP TABLE parent; DROP TABLE version_file; DROP TABLE version;"
    ),
    "lost with its journal": lose_all_but_objects,
}


@pytest.mark.parametrize("loss", RESTORED)
def test_a_database_that_lost_sets_is_restored_with_a_note(
    loss: str, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    before = state(catalog)
    RESTORED[loss](catalog.root)
    with pytest.warns(
        CatalogRestoredWarning, match=r"its database lacked \d registered sets?, now"
    ):
        assert main(["sets", "--root", str(catalog.root)]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == [
        "set", "a@1", "b@1", "b@2", "b@3",
    ]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert state(catalog) == before
        assert add(catalog, "b", 5).number == 4


@pytest.mark.parametrize("loss", REFUSED)
def test_a_database_that_cannot_be_read_is_refused_and_repaired_by_doctor(
    loss: str, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    before, root = state(catalog), ["--root", str(catalog.root)]
    REFUSED[loss](catalog.root)
    assert main(["sets", *root]) == 2
    assert f"twinset doctor --repair --root {catalog.root}" in capsys.readouterr().err
    with pytest.raises(CatalogError):
        add(catalog, "b", 5)
    assert main(["doctor", *root]) == 3
    faults = capsys.readouterr().out.splitlines()
    assert faults[0].startswith(("the database is", "the journal is missing"))
    assert main(["doctor", "--repair", *root]) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if loss == "lost with its journal":
            # Steps are made again; sets have their numbers by the times of their files.
            assert catalog.sets() == before[0]
        else:
            assert state(catalog) == before
    assert main(["doctor", *root]) == 0


def test_what_no_transaction_ended_with_is_taken_back(catalog: Catalog) -> None:
    """A process was killed while it wrote a line of the journal."""
    before, journal = state(catalog), catalog.root / "journal.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"version":["b",4,"')
    assert state(catalog) == before
    assert journal.read_bytes() == whole


@pytest.mark.parametrize("content", [None, b"", b"garbage\nof two lines\n"])
def test_a_damaged_journal_is_written_again(content: bytes | None, catalog: Catalog) -> None:
    before, journal = state(catalog), catalog.root / "journal.jsonl"
    whole = journal.read_bytes()
    journal.unlink()
    if content is not None:
        journal.write_bytes(content)
    with pytest.warns(CatalogRestoredWarning, match="its journal was damaged"):
        assert state(catalog) == before
    assert sorted(journal.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_set_whose_file_is_gone_is_not_listed_again_and_takes_its_number(
    catalog: Catalog,
) -> None:
    lost = catalog.sets()[2]
    (catalog.root / "objects" / lost.digest[:2] / f"{lost.digest}.json").unlink()
    (catalog.root / "catalog.sqlite").unlink()
    with pytest.warns(CatalogRestoredWarning, match="1 could not be listed, see: twinset doctor"):
        assert [v.ref for v in catalog.sets()] == ["a@1", "b@1", "b@3"]
    assert catalog.find_step("step 1") is None


def test_a_catalogue_of_the_layout_before_gets_its_journal(catalog: Catalog) -> None:
    before, journal = state(catalog), catalog.root / "journal.jsonl"
    whole = journal.read_bytes()
    journal.unlink()
    execute(catalog.root, "DROP TABLE journal; PRAGMA user_version=1;")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert state(catalog) == before
    assert sorted(journal.read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_deleted_log_of_the_database_loses_nothing(catalog: Catalog) -> None:
    """SQLite's log holds the last version when a process is killed before it closes."""
    with closing(sqlite3.connect(catalog.root / "catalog.sqlite")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM version").fetchall()
        add(catalog, "b", 7, "step 7")
        assert (catalog.root / "catalog.sqlite-wal").exists()
        main_file = (catalog.root / "catalog.sqlite").read_bytes()
    before = catalog.sets()
    (catalog.root / "catalog.sqlite").write_bytes(main_file)
    with pytest.warns(CatalogRestoredWarning, match="lacked 1 registered set"):
        assert catalog.sets() == before
    assert catalog.find_step("step 7") is not None


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_only_the_owner_may_read_a_catalogue(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        catalog = Catalog(tmp_path / "catalogue")
        add(catalog, "a", 0, "step")
        catalog.note("step", "kind", b"text")
        with catalog._database.transaction("IMMEDIATE"), catalog.sole_writer("step", "step"):
            modes = {
                path.relative_to(catalog.root).as_posix(): stat.S_IMODE(path.stat().st_mode)
                for path in (catalog.root, *catalog.root.rglob("*"))
            }
            folders = {name for name in modes if (catalog.root / name).is_dir()}
    finally:
        os.umask(before)
    assert {"catalog.sqlite-wal", "catalog.sqlite-shm", "journal.jsonl"} <= set(modes)
    assert {modes[name] for name in folders} == {0o700}
    assert {modes[name] for name in modes.keys() - folders} == {0o600}
