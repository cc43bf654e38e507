import dataclasses
import json
import time
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.catalog import Catalog, Version
from twinset.catalog.version import lineage_tree
from twinset.cli import main
from twinset.core.data.dataset import Card, Dataset, Origin
from twinset.report.report import lineage_lines

DATA = Dataset.from_arrow(pa.table({"x": [1.5, 2.5]}))


def add(catalog: Catalog, name: str, *parents: str, component: str = "") -> Version:
    origin: Origin = "synthetic" if component else "real"
    card = Card(name=name, origin=origin, parents=parents, component=component)
    return catalog.register(name, [dataclasses.replace(DATA, card=card)], card)


def test_the_tree_leads_back_to_the_source(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    real = add(catalog, "real")
    train = add(catalog, "train", real.digest)
    one = add(catalog, "one", train.digest, component="tabular.copula")
    two = add(catalog, "two", train.digest, component="minority.smote")
    joined = add(catalog, "joined", one.digest, two.digest, "f" * 64)
    assert joined.parents == (one.digest, two.digest, "f" * 64)

    ancestors = catalog.lineage(joined).to_json()
    assert [(depth, node["ref"]) for depth, node in lineage_tree(ancestors)] == [
        (0, "joined@1"), (1, "one@1"), (2, "train@1"), (3, "real@1"),
        # The shared ancestor is named again, its own past is not.
        (1, "two@1"), (2, "train@1"), (1, "not registered here"),
    ]  # fmt: skip
    by_ref = {node["ref"]: node for node in ancestors}
    assert len(by_ref) == len(ancestors) == 6
    assert by_ref["one@1"]["component"] == "tabular.copula"
    assert by_ref["one@1"]["parents"] == [train.digest]
    assert by_ref["real@1"] == {
        "ref": "real@1", "origin": "real", "rows": 2, "licence": "", "component": "",
        "digest": real.digest, "parents": [],
    }  # fmt: skip
    assert by_ref["not registered here"]["digest"] == "f" * 64


def test_a_set_under_two_names_has_the_name_that_was_asked_for(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    real = add(catalog, "real")
    card = Card(name="real", origin="real")
    again = catalog.register("again", [dataclasses.replace(DATA, card=card)], card)
    assert again.digest == real.digest
    child = add(catalog, "child", real.digest)
    assert [node["ref"] for node in catalog.lineage(child).to_json()] == ["child@1", "real@1"]
    assert [node["ref"] for node in catalog.lineage(again).to_json()] == ["again@1"]


def test_many_shared_ancestors_do_not_multiply(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    parents: tuple[str, ...] = ()
    for level in range(12):
        versions = [add(catalog, f"{half}{level}", *parents) for half in "ab"]
        parents = tuple(version.digest for version in versions)
    # 2^12 paths lead to the source.
    ancestors = catalog.lineage(versions[0]).to_json()
    assert len(ancestors) == 23
    assert len(list(lineage_tree(ancestors))) < 50


def test_ten_thousand_generations_take_a_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog, digests = Catalog(tmp_path), [f"{i:064x}" for i in range(10_000)]
    add(catalog, "first")
    card = '{"component":"tabular.copula","parents":%s}'
    with catalog._database.transaction("IMMEDIATE") as connection:
        for number, digest in enumerate(digests):
            parents = [digests[number - 1]] if number else []
            connection.execute("INSERT INTO blob VALUES (?, '.json', 1)", [digest])
            facts = (number + 2, 1, number + 2, digest, 5, "real", "", "{}")
            row = (*facts, card % json.dumps(parents), "", "")
            connection.execute(f"INSERT INTO version VALUES ({', '.join('?' * 11)})", row)
            connection.executemany(
                "INSERT INTO parent VALUES (?, 0, ?)", [(number + 2, p) for p in parents]
            )
        connection.execute("UPDATE journal SET n_versions = n_versions + 10000")
    start = time.process_time()
    assert main(["lineage", digests[-1], "--root", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 10_000
    assert main(["lineage", digests[-1], "--json", "--root", str(tmp_path)]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 10_000
    lineage = catalog.lineage(catalog.find(digests[-1])).to_json()
    assert len(lineage_lines(lineage)) == 10_000
    assert time.process_time() - start < 3  # three times the whole way; 0.3 s each here
