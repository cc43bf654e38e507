"""`twinset doctor` names each fault in a line, changes nothing unless asked, and repairs."""

import dataclasses
import errno
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.catalog import Catalog
from twinset.catalog.inspection import inspect_catalogue
from twinset.catalog.version import Manifest
from twinset.cli import main
from twinset.core.data.dataset import Card, Dataset
from twinset.core.errors import CatalogError

CARD = Card(name="people", origin="real")
DATA = Dataset.from_arrow(pa.table({"x": [1.5, 2.5]}), card=CARD)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    catalog = Catalog(tmp_path / "catalogue")
    catalog.register("people", [DATA], CARD, step="step")
    catalog.note("report", "kind", b"text")
    return catalog


def stored(root: Path, suffix: str) -> Path:
    return next((root / "objects").glob(f"??/*{suffix}"))


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mode, b"" if path.is_dir() else path.read_bytes())
        for path in folder.rglob("*")
    }


def execute(root: Path, text: str) -> None:
    with closing(sqlite3.connect(root / "catalog.sqlite")) as connection:
        connection.executescript(text)


def damage(path: Path) -> None:
    path.write_bytes(b"x" * path.stat().st_size)


def leave_draft(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    (draft := folder / ".77aa.twinset-draft").mkdir(mode=0o700)
    for name in ("twinset.lock", "rows.parquet"):
        (draft / name).touch(mode=0o600)


FAULTS: dict[str, tuple[Callable[[Path], object], str, bool]] = {
    "damaged manifest": (lambda r: damage(stored(r, ".json")), "the manifest of a set", True),
    "missing manifest": (lambda r: stored(r, ".json").unlink(), "the manifest of a set", True),
    "damaged rows": (lambda r: damage(stored(r, ".parquet")), "the rows of a set are dam", False),
    "missing rows": (lambda r: stored(r, ".parquet").unlink(), "the rows of a set are mis", False),
    "damaged note": (lambda r: damage(stored(r, ".note")), "a result of a step", True),
    "missing note": (lambda r: stored(r, ".note").unlink(), "a result of a step", True),
    "unneeded file": (
        lambda r: Catalog(r)._objects.put(b"of a killed run", ".parquet"), "no registered set", True,
    ),
    "draft of a set": (lambda r: leave_draft(r / "objects" / "incoming"), "a killed process", True),
    "draft of a delivery": (lambda r: leave_draft(r.parent), "a killed process", True),
    "old draft": (
        lambda r: (r / "objects" / "incoming" / "77-aa").touch(mode=0o600), "a killed process", True,
    ),
    "journal": (lambda r: (r / "journal.jsonl").unlink(), "the journal is missing", True),
    "permissions": (lambda r: (r / "journal.jsonl").chmod(0o644), "1 file or folder may be", True),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_repaired(
    fault: str, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    if fault == "permissions" and os.name == "nt":
        pytest.skip("modes of POSIX")
    cause, sentence, is_repaired = FAULTS[fault]
    before, words = catalog.sets(), ["doctor", "--root", str(catalog.root)]
    assert main(words) == 0
    cause(catalog.root)
    files = snapshot(catalog.root.parent)
    capsys.readouterr()
    assert main([*words, "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert [row["fault"].startswith(sentence) for row in found] == [True]
    assert snapshot(catalog.root.parent) == files
    assert main([*words, "--repair"]) == (0 if is_repaired or fault == "damaged rows" else 3)
    # What was missing or damaged is made again to the same version.
    assert main(words) == (0 if is_repaired else 3)
    if not is_repaired:
        assert catalog.find_step("step") is None
        catalog.register("people", [DATA], CARD, step="step")
    assert catalog.sets() == before
    assert catalog.load(before[0]).to_arrow().equals(DATA.to_arrow())
    assert catalog.find_step("step") == before[0]
    assert main(words) == 0


def test_files_of_a_process_that_registers_a_set_are_not_removed(
    catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["doctor", "--repair", "--root", str(catalog.root)]

    def card() -> Card:
        assert main(words) == 0
        return dataclasses.replace(CARD, seed=1)

    with catalog.in_use():
        catalog._objects.put(b"not listed yet", ".parquet")
        assert main(words) == 0
    assert main(words[:1] + words[2:]) == 3
    assert catalog.register("people", [DATA], card).number == 2
    assert main(words) == 0


def test_a_file_that_was_listed_meanwhile_is_not_removed(catalog: Catalog) -> None:
    """The check of a large catalogue takes minutes, in which runs come and go."""
    card = dataclasses.replace(CARD, seed=1)
    files = set((catalog.root / "objects").rglob("*.note"))
    catalog.note("other", "kind", b"of a run")
    (path,) = set((catalog.root / "objects").rglob("*.note")) - files
    execute(catalog.root, "DELETE FROM note WHERE step = 'other';")
    (finding,) = inspect_catalogue(catalog.root)
    assert (finding.fault, finding.place) == ("no registered set needs this file", str(path))
    catalog.note("other", "kind", b"of a run")
    catalog.register("people", [DATA], card)
    assert finding.repair is not None
    finding.repair()
    assert catalog.read_note("other") == b"of a run"
    assert list(inspect_catalogue(catalog.root)) == []


def test_what_a_run_stored_again_meanwhile_stays(catalog: Catalog) -> None:
    damage(stored(catalog.root, ".note"))
    damage(stored(catalog.root, ".parquet"))
    found = list(inspect_catalogue(catalog.root))
    assert len(found) == 2
    catalog.register("people", [DATA], CARD)
    catalog.note("report", "kind", b"text")
    for finding in found:
        assert finding.repair is not None
        finding.repair()
    assert catalog.read_note("report") == b"text"
    assert list(inspect_catalogue(catalog.root)) == []


def test_a_stored_set_that_is_not_listed_is_listed_and_not_removed(catalog: Catalog) -> None:
    """Database and journal were replaced by an older copy."""
    older = {
        name: (catalog.root / name).read_bytes() for name in ("catalog.sqlite", "journal.jsonl")
    }
    catalog.register("people", [DATA], dataclasses.replace(CARD, seed=1))
    before = catalog.sets()
    for name, content in older.items():
        (catalog.root / name).write_bytes(content)
    assert len(catalog.sets()) == 1
    words = ["doctor", "--root", str(catalog.root)]
    assert main(words) == 3
    assert main([*words, "--repair"]) == 0
    assert catalog.sets() == before
    assert main(words) == 0


def test_rows_of_a_set_that_is_lost_are_not_removed(
    catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    stored(catalog.root, ".json").unlink()
    (catalog.root / "catalog.sqlite").unlink()
    words = ["doctor", "--root", str(catalog.root)]
    for _ in range(2):
        assert main([*words, "--repair"]) == 3
    assert "it may hold the rows of a lost set" in capsys.readouterr().out
    assert stored(catalog.root, ".parquet").exists()


def test_a_database_that_is_locked_is_not_damaged(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twinset.catalog.inspection.BUSY_SECONDS", 0.01)
    before = snapshot(catalog.root)
    with closing(sqlite3.connect(catalog.root / "catalog.sqlite")) as other:
        other.execute("BEGIN IMMEDIATE")
        assert main(["doctor", "--repair", "--root", str(catalog.root)]) == 2
    assert snapshot(catalog.root) == before
    execute(catalog.root, "PRAGMA user_version=99")
    with pytest.raises(CatalogError, match="later version"):
        list(inspect_catalogue(catalog.root))


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
def test_only_files_of_a_catalogue_are_touched(
    catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody names the folder that the catalogue lies in."""
    for folder in (catalog.root.parent, catalog.root):
        (script := folder / "script.sh").touch()
        script.chmod(0o755)
    before = snapshot(catalog.root.parent)
    assert main(["doctor", "--repair", "--root", str(catalog.root.parent)]) == 2
    assert "there is no catalogue in" in capsys.readouterr().err
    assert main(["doctor", "--repair", "--root", str(catalog.root)]) == 0
    assert snapshot(catalog.root.parent) == before


def test_a_manifest_that_another_version_wrote_is_not_repaired_to_another(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(catalog.root, ".json").unlink()
    monkeypatch.setattr(Manifest, "to_bytes", lambda self: b"{}")
    (finding,) = inspect_catalogue(catalog.root)
    assert finding.fault == "the manifest of a set is missing or damaged"
    assert finding.repair is None


def test_a_catalogue_that_may_not_be_looked_at_is_refused_in_a_sentence(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is another user's; the administrator, who may run these tests, is refused nothing."""

    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(Path, "is_dir", lambda _: True)
    for words in (["doctor"], ["doctor", "--repair"], ["sets"], ["lineage", "people"]):
        assert main([*words, "--root", str(catalog.root)]) == 2
        printed = capsys.readouterr().err
        assert printed.startswith(f"twinset: the catalogue '{catalog.root / 'catalog.sqlite'}'")
        assert "got Permission denied" in printed


def test_a_version_whose_file_vanishes_before_its_end_is_not_listed(catalog: Catalog) -> None:
    class Vanishing(type(catalog._objects)):  # type: ignore[misc]
        def put(self, content: bytes, suffix: str) -> object:
            blob = super().put(content, suffix)
            self.path(blob.digest, suffix).unlink()
            return blob

    catalog._objects = Vanishing(catalog._objects.root)
    with pytest.raises(CatalogError, match="vanished while it was registered"):
        catalog.register("people", [DATA], dataclasses.replace(CARD, seed=1))
    assert [version.number for version in catalog.sets()] == [1]


def test_without_a_catalogue_there_is_nothing_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--root", str(tmp_path / "none")]) == 2
    assert not list(tmp_path.iterdir())
