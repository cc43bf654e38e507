import dataclasses
import sqlite3
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.catalog import Catalog, Version
from twinset.catalog.database import Database
from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import Label, Taxonomy
from twinset.core.errors import CatalogError, RecipeError

CARD = Card(name="people", origin="real", licence="CC0-1.0", provenance={"citation": "nobody"})


def people(rows: int = 6) -> Dataset:
    table = pa.table(
        {
            "age": pa.array([30.5 + i if i != 2 else None for i in range(rows)]),
            "sex": ["fm"[i % 2] if i != 3 else None for i in range(rows)],
            "n": pa.array(range(rows), pa.int16()),
        }
    )
    return dataclasses.replace(Dataset.from_arrow(table), card=CARD)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return Catalog(tmp_path / "catalogue")


def test_what_is_loaded_is_what_was_registered(catalog: Catalog) -> None:
    data = people()
    taxonomy = Taxonomy((Label("f", "female"), Label("m")))
    schema = data.schema.with_target("sex")
    schema = schema.with_field(dataclasses.replace(schema["sex"], taxonomy=taxonomy))
    data = data.with_schema(schema).with_reserved(
        ids=[f"p{i}" for i in range(6)], parents=[["q"], [], [], [], [], ["q", "r"]]
    )
    version = catalog.register("people", [data], CARD)
    assert version == Version(
        name="people", number=1, digest=version.digest, n_rows=6, origin="real", licence="CC0-1.0"
    )
    again = catalog.load(version)
    assert again.records.equals(data.records)
    assert (again.schema, again.card) == (data.schema, CARD)
    assert (catalog.schema(version), catalog.card(version)) == (data.schema, CARD)


def test_chunks_do_not_matter_and_streams_are_cut_exactly(catalog: Catalog) -> None:
    whole = catalog.register("a", [people()], CARD)
    parts = [people().slice(0, 1), people().slice(1, 4), people().slice(5, 1)]
    assert catalog.register("a", iter(parts), CARD) == whole
    assert [len(chunk) for chunk in catalog.stream(whole, rows=4)] == [4, 2]
    streamed = Dataset.concat(list(catalog.stream(whole, rows=4)))
    assert streamed.to_arrow().equals(people().to_arrow())


def test_the_same_twice_is_one_version_and_a_change_is_the_next(catalog: Catalog) -> None:
    first = catalog.register("people", [people()], CARD)
    assert catalog.register("people", [people()], CARD) == first
    by_rows = catalog.register("people", [people(5)], CARD)
    by_card = catalog.register("people", [people()], dataclasses.replace(CARD, seed=3))
    by_schema = catalog.register(
        "people", [people().with_schema(people().schema.with_target("sex"))], CARD
    )
    assert [v.number for v in (by_rows, by_card, by_schema)] == [2, 3, 4]
    assert len({v.digest for v in (first, by_rows, by_card, by_schema)}) == 4
    other = catalog.register("others", [people()], CARD)
    assert (other.number, other.digest) == (1, first.digest)
    assert [v.ref for v in catalog.sets()] == [
        "others@1", "people@1", "people@2", "people@3", "people@4",
    ]  # fmt: skip


def test_two_catalogues_agree_on_every_byte(tmp_path: Path) -> None:
    def files(root: Path) -> dict[str, bytes]:
        Catalog(root).register("people", [people()], CARD)
        found = (root / "objects").rglob("*.*")
        return {p.relative_to(root).as_posix(): p.read_bytes() for p in found}

    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert one == two
    assert len(one) == 2


def test_references(catalog: Catalog) -> None:
    one = catalog.register("people", [people()], CARD)
    two = catalog.register("people", [people(5)], CARD)
    assert catalog.find("people") == two
    assert catalog.find("people@1") == one
    assert catalog.find(one.digest) == catalog.find(one.digest[:8]) == one
    with pytest.raises(CatalogError, match="did you mean 'people'"):
        catalog.find("peple")
    with pytest.raises(CatalogError, match="no version 7; allowed: 1 to 2"):
        catalog.find("people@7")
    with pytest.raises(CatalogError, match="no registered set 'abcdef012345'"):
        catalog.find("abcdef012345")


def test_an_ambiguous_digest_is_refused(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    one = catalog.register("a", [people()], CARD)
    two = catalog.register("b", [people(5)], CARD)
    monkeypatch.setattr(Database, "versions_by_digest", lambda *_: [one, two])
    with pytest.raises(
        CatalogError, match="more than one digest begins with 'abcdef'; got a@1, b@1"
    ):
        catalog.find("abcdef")


def test_reading_an_empty_place_makes_nothing(catalog: Catalog) -> None:
    assert catalog.sets() == []
    assert catalog.find_step("s") is None
    assert catalog.read_note("s") is None
    assert not catalog.has_step("s")
    with pytest.raises(CatalogError, match="nothing: the catalogue is empty"):
        catalog.find("people")
    assert not catalog.root.exists()


def test_steps_are_found_again(catalog: Catalog) -> None:
    version = catalog.register("people", [people()], CARD, step="s1")
    assert catalog.register("people", [people()], CARD, step="s2") == version
    assert catalog.find_step("s1") == catalog.find_step("s2") == version
    assert catalog.find_step("s3") is None
    later = catalog.register("people", [people(5)], CARD, step="s1")
    assert catalog.find_step("s1") == later


def test_a_step_whose_file_is_gone_is_not_found_and_can_be_made_again(catalog: Catalog) -> None:
    version = catalog.register("people", [people()], CARD, step="s")
    (file,) = catalog.root.rglob("*.parquet")
    file.unlink()
    assert catalog.find_step("s") is None
    with pytest.raises(CatalogError, match="is missing"):
        catalog.load(version)
    assert catalog.register("people", [people()], CARD, step="s") == version
    assert catalog.find_step("s") == version
    assert len(catalog.load(version)) == 6


@pytest.mark.parametrize("suffix", ["parquet", "json"])
def test_damage_is_seen(catalog: Catalog, suffix: str) -> None:
    version = catalog.register("people", [people()], CARD)
    (file,) = catalog.root.rglob(f"*.{suffix}")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(CatalogError, match="is damaged: its content changed"):
        catalog.load(version)
    with pytest.raises(CatalogError, match="is damaged"):
        next(catalog.stream(version))
    # Registering the same rows again makes the file good.
    catalog.register("people", [people()], CARD)
    assert len(catalog.load(version)) == 6


def test_notes(catalog: Catalog) -> None:
    catalog.note("s", "scores", b"[1]")
    catalog.note("t", "scores", b"[1]")
    assert catalog.read_note("s") == catalog.read_note("t") == b"[1]"
    assert catalog.has_step("s")
    catalog.note("s", "scores", b"[2]")
    assert (catalog.read_note("s"), catalog.read_note("t")) == (b"[2]", b"[1]")
    for file in catalog.root.rglob("*.note"):
        file.write_bytes(b"[3]")
    with pytest.raises(CatalogError, match="damaged"):
        catalog.read_note("s")


def test_versions_cannot_be_changed_by_sql(catalog: Catalog) -> None:
    catalog.register("people", [people()], CARD)
    connection = sqlite3.connect(catalog.root / "catalog.sqlite")
    with pytest.raises(sqlite3.IntegrityError, match="immutable"):
        connection.execute("UPDATE version SET licence = 'MIT'")
    connection.close()


def test_bad_registrations(catalog: Catalog) -> None:
    with pytest.raises(RecipeError, match="cannot be used for a file"):
        catalog.register("../people", [people()], CARD)
    with pytest.raises(CatalogError, match="nothing to register"):
        catalog.register("people", [], CARD)
    with pytest.raises(CatalogError, match="differ in their columns"):
        catalog.register("people", [people(), people().select(["age"])], CARD)
    assert catalog.sets() == []
    assert [p for p in catalog.root.rglob("*") if p.is_file()] == []


def test_a_set_without_rows(catalog: Catalog) -> None:
    version = catalog.register("none", [people().slice(0, 0)], CARD)
    assert (version.n_rows, len(catalog.load(version))) == (0, 0)
    assert [len(chunk) for chunk in catalog.stream(version)] == [0]


def test_a_foreign_or_later_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalog.sqlite").write_text("this is no database at all, just some text")
    with pytest.raises(CatalogError, match="cannot be used; got file is not a database"):
        Catalog(tmp_path).sets()
    later = Catalog(tmp_path / "later")
    later.register("people", [people()], CARD)
    connection = sqlite3.connect(later.root / "catalog.sqlite")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(CatalogError, match="later version of twinset; got layout 99"):
        Catalog(later.root).sets()


def test_database_settings(catalog: Catalog) -> None:
    catalog.register("people", [people()], CARD)
    with catalog._database.transaction() as connection:
        found = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000,
    }  # fmt: skip


def test_importing_the_package_leaves_sqlite_out() -> None:
    code = (
        "import sys, twinset, twinset.catalog; from twinset.catalog import Version; "
        "assert 'sqlite3' not in sys.modules; twinset.catalog.Catalog; "
        "assert 'sqlite3' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
