import dataclasses
from pathlib import Path

import pyarrow as pa

from twinset.catalog import Catalog, Version
from twinset.core.data.dataset import Card, Dataset

DATA = Dataset.from_arrow(pa.table({"x": [1.5, 2.5]}))


def add(catalog: Catalog, name: str, *parents: str, component: str = "") -> Version:
    origin = "synthetic" if component else "real"
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

    tree = catalog.lineage(joined).to_json()
    assert tree["ref"] == "joined@1"
    assert [node["ref"] for node in tree["parents"]] == ["one@1", "two@1", "not registered here"]
    first, second, unknown = tree["parents"]
    assert first["component"] == "tabular.copula"
    assert first["parents"][0]["ref"] == "train@1"
    assert first["parents"][0]["parents"][0] == {
        "ref": "real@1", "origin": "real", "rows": 2, "licence": "", "component": "",
        "digest": real.digest, "parents": [],
    }  # fmt: skip
    # The shared ancestor is named again, its own past is not.
    assert second["parents"][0] == {**first["parents"][0], "parents": []}
    assert unknown["digest"] == "f" * 64


def test_many_shared_ancestors_do_not_multiply(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    parents: tuple[str, ...] = ()
    for level in range(25):
        made = [add(catalog, f"{side}{level}", *parents) for side in "ab"]
        parents = tuple(version.digest for version in made)

    def count(node: dict) -> int:
        return 1 + sum(count(parent) for parent in node["parents"])

    # 2^25 paths lead to the source.
    assert count(catalog.lineage(made[0]).to_json()) < 100
