"""`leaks` finds what two tables share, in any spelling, and passes clean splits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pytest

from twinset.cli import main
from twinset.core.errors import ParameterError
from twinset.workflows.leaks import leaks

N = 1_600
Columns = dict[str, object]


def payments(seed: int = 0) -> Columns:
    """Return payments of 120 cards, ordered by time."""
    rng = np.random.default_rng(seed)
    card = rng.integers(0, 120, N)
    amount = np.round(np.exp(rng.normal(3, 1, N) + 0.3 * np.sin(card)), 2)
    seconds = np.sort(rng.integers(0, 60 * 86_400, N)) * 1_000_000
    return {
        "card": [f"c-{i:05d}" for i in card],
        "when": pa.array(1_700_000_000_000_000 + seconds, pa.timestamp("us")),
        "amount": amount,
        "score": rng.normal(size=N),
        "shop": [f"shop {i}" for i in rng.integers(0, 40, N)],
        "fraud": np.where(rng.random(N) < 0.15, "yes", "no"),
    }


def halves(columns: Columns, seed: int = 1) -> tuple[pa.Table, pa.Table]:
    """Return a random split into two thirds and a third."""
    table = pa.table(columns)
    test = np.random.default_rng(seed).random(len(table)) < 1 / 3
    return table.filter(pa.array(~test)), table.filter(pa.array(test))


def kinds(
    train: pa.Table, test: pa.Table, time: str | None = None, group: str | None = None
) -> set[str]:
    found = leaks(train, test, target="fraud", time=time, group=group)
    return {leak.kind for leak in found.leaks}


def replaced(table: pa.Table, name: str, values: object) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_split_passes(seed: int) -> None:
    assert kinds(*halves(payments(seed), seed)) == set()


def test_encodings_fitted_on_train_rows_pass() -> None:
    train, test = halves(payments())
    fraud = np.array([value == "yes" for value in train["fraud"].to_pylist()])
    shops = np.array(train["shop"].to_pylist())
    rate = {shop: float(fraud[shops == shop].mean()) for shop in np.unique(shops)}
    train, test = (
        part.append_column("rate", pa.array([rate[v] for v in part["shop"].to_pylist()]))
        for part in (train, test)
    )
    assert kinds(train, test) == set()


def copies(n: int = 60) -> tuple[pa.Table, pa.Table]:
    """Return a split with train rows among the test rows."""
    train, test = halves(payments())
    return train, pa.concat_tables([test, train.slice(0, n)])


def test_copies_are_found_in_other_spelling_units_zone_and_names() -> None:
    train, test = copies()
    assert kinds(train, replaced(test, "card", pc.utf8_upper(test["card"]))) == {"copies"}
    cents = np.rint(test["amount"].to_numpy() * 100)
    found = leaks(train, replaced(test, "amount", cents.astype(np.int64)), target="fraud")
    assert found.leaks[0].kind in ("copies", "changed_copies")
    assert found.leaks[0].expected is not None
    assert found.leaks[0].expected < found.leaks[0].rows
    later = pc.add(test["when"], pa.scalar(7_200_000_000, pa.duration("us")))
    assert kinds(train, replaced(test, "when", later)) & {"copies", "changed_copies"}
    renamed = test.rename_columns(["Card", "WHEN", "value_of_sale", "score", "shop", "fraud"])
    assert kinds(train, renamed) == {"copies"}


def test_groups_are_found_in_other_spelling() -> None:
    train, test = halves(payments())
    plain = pc.replace_substring_regex(pc.utf8_upper(test["card"]), "C-0*", "C")
    assert "group" in kinds(train, replaced(test, "card", plain), group="card")


def level_means(columns: Columns, by: str, values: np.ndarray) -> np.ndarray:
    codes = np.unique(columns[by], return_inverse=True)[1]  # type: ignore[call-overload]
    return np.asarray((np.bincount(codes, weights=values) / np.bincount(codes))[codes])


def test_encodings_and_scalings_of_all_rows_are_found() -> None:
    columns = payments()
    fraud = (columns["fraud"] == "yes").astype(float)  # type: ignore[attr-defined]
    encoded = {**columns, "rate": level_means(columns, "shop", fraud)}
    assert kinds(*halves(encoded)) == {"preprocessing"}
    amount = np.asarray(columns["amount"])
    mean = {**columns, "usual": level_means(columns, "card", amount)}
    assert kinds(*halves(mean)) == {"preprocessing"}
    scaled = {**columns, "score": (amount - amount.mean()) / amount.std()}
    assert kinds(*halves(scaled)) == {"preprocessing"}


def test_a_value_of_the_next_row_is_found() -> None:
    columns = payments()
    table = pa.table({**columns, "ahead": np.append(np.asarray(columns["amount"])[1:], np.nan)})
    train, test = table.slice(0, 1_000), table.slice(1_000)
    assert kinds(train, test, time="when") == {"future"}
    before = np.append(np.nan, np.asarray(columns["amount"])[:-1])
    table = pa.table({**columns, "ahead": before})
    assert kinds(table.slice(0, 1_000), table.slice(1_000), time="when") == set()


def test_a_label_in_disguise_is_found() -> None:
    columns = payments()
    fraud = np.asarray(columns["fraud"]) == "yes"
    closed = np.where(fraud, np.random.default_rng(2).integers(1, 60, N), np.nan)
    assert kinds(*halves({**columns, "closed": closed})) == {"label"}


def test_one_event_in_two_rows_is_found() -> None:
    table = pa.table(payments()).slice(0, 800)
    capture = pc.add(table["when"], pa.scalar(40_000_000, pa.duration("us")))
    score = np.random.default_rng(3).normal(size=len(table))
    both = pa.concat_tables([table, replaced(replaced(table, "when", capture), "score", score)])
    test = np.random.default_rng(4).random(len(both)) < 0.5
    found = kinds(both.filter(pa.array(~test)), both.filter(pa.array(test)))
    assert found & {"events", "changed_copies"}


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(ParameterError, match="named column"):
        leaks(*halves(payments()), target="fruad")


def test_the_command_prints_findings_and_ends_with_code_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = copies()
    paths = [str(tmp_path / name) for name in ("train.csv", "test.csv")]
    for part, path in zip((train, test), paths, strict=True):
        csv.write_csv(part, path)
    assert main(["leaks", *paths, "--target", "fraud", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert not found["passed"]
    assert found["leaks"][0]["rows"] >= 60
    assert found["leaks"][0]["positions"]
    words = ["leaks", *paths, "--target", "fraud", "--allow-leak", "copies"]
    assert main(words) == 0
    assert "allowed" in capsys.readouterr().out
