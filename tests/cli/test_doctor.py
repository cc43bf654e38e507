"""`twinset doctor` names each fault in a line, changes nothing unless asked, and repairs."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.catalog import Catalog
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
