import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.core.errors import (
    DataError,
    FormatLossWarning,
    RecipeError,
    SchemaError,
    UnknownNameError,
)
from twinset.io import read_dataset
from twinset.io.delivery import check_place, deliver, is_delivered

CARD = Card(name="twin", origin="synthetic", licence="CC0-1.0")
DATA = Dataset.from_arrow(
    pa.table({"amount": [1.25, 2.0, None], "kind": ["=cmd()", "b", None]}), card=CARD
).with_reserved(ids=["t-0", "t-1", "t-2"], parents=[["a"], ["a", "b"], []])
FORMATS = ("csv", "jsonl", "parquet")


def bring(to: Path, data: Dataset = DATA, **more: object) -> str:
    settings: dict[str, object] = {
        "formats": FORMATS,
        "report_html": "<p>é</p>",
        "report_json": "{}",
    }
    return deliver(to, sets={"synthetic": (data, CARD)}, **{**settings, **more})  # type: ignore[arg-type]


def snapshot(folder: Path) -> dict[str, bytes]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}


def test_the_folder_is_whole_and_its_checksums_hold(tmp_path: Path) -> None:
    text = bring(tmp_path / "out")
    files = snapshot(tmp_path / "out")
    assert sorted(files) == [
        "CHECKSUMS.sha256", "cards.json", "report.html", "report.json", "schema.json",
        "synthetic.csv", "synthetic.jsonl", "synthetic.parquet",
    ]  # fmt: skip
    assert files["CHECKSUMS.sha256"].decode() == text
    listed = dict(reversed(line.split("  ", 1)) for line in text.splitlines())
    assert listed == {
        name: hashlib.sha256(content).hexdigest()
        for name, content in files.items()
        if name != "CHECKSUMS.sha256"
    }
    assert json.loads(files["cards.json"])["synthetic"]["licence"] == "CC0-1.0"
    assert Schema.from_json(json.loads(files["schema.json"])["synthetic"]) == DATA.schema
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    for word in FORMATS:
        again = read_dataset(tmp_path / "out" / f"synthetic.{word}", DATA.schema)
        assert again.to_arrow().equals(DATA.to_arrow())


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum on this system")
def test_sha256sum_agrees(tmp_path: Path) -> None:
    bring(tmp_path / "out")
    command = ["sha256sum", "--check", "--strict", "--quiet", "CHECKSUMS.sha256"]
    assert subprocess.run(command, cwd=tmp_path / "out").returncode == 0


def test_the_same_set_gives_the_same_bytes_anywhere_and_in_any_chunks(tmp_path: Path) -> None:
    def chunks() -> Iterator[Dataset]:
        yield DATA.slice(0, 1)
        yield DATA.slice(1, 2)

    bring(tmp_path / "a")
    deliver(
        tmp_path / "deep" / "b",
        sets={"synthetic": (chunks(), CARD)},
        formats=FORMATS,
        report_html="<p>é</p>",
        report_json="{}",
    )
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "deep" / "b")


def test_an_earlier_delivery_is_replaced_whole(tmp_path: Path) -> None:
    bring(tmp_path / "out")
    text = bring(tmp_path / "out", DATA.slice(0, 1), formats=["csv"])
    assert "synthetic.parquet" not in snapshot(tmp_path / "out")
    assert is_delivered(tmp_path / "out", text)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_is_delivered_sees_every_change(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert not is_delivered(out, "")
    text = bring(out)
    assert is_delivered(out, text)
    assert not is_delivered(out, text + "x")
    (out / "synthetic.csv").write_text("other")
    assert not is_delivered(out, text)
    bring(out)
    (out / "more.txt").write_text("")
    assert not is_delivered(out, text)


A_FOREIGN_FOLDER_IS_LEFT_ALONE_CASES = [
    {"thesis.tex": "years of work"},
    {"CHECKSUMS.sha256": f"{'0' * 64}  data.csv\n", "data.csv": "1"},
    {"sub/x": "1"},
]


def test_a_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    for number, foreign in enumerate(A_FOREIGN_FOLDER_IS_LEFT_ALONE_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, text in foreign.items():
            (folder / "out" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "out" / name).write_text(text)
        before = snapshot(folder)
        with pytest.raises(
            DataError, match="holds something that is no part of an earlier delivery"
        ):
            bring(folder / "out")
        assert snapshot(folder) == before


def test_a_file_added_to_a_delivery_is_not_lost(tmp_path: Path) -> None:
    bring(tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match=r"got 'notes.txt'"):
        bring(tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"


def test_files_and_links_are_no_place(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for name, sentence in (
        ("file", "is a file"),
        ("link", "is a link"),
        ("file/x", "cannot write"),
    ):
        with pytest.raises(DataError, match=sentence):
            bring(tmp_path / name)
    check_place(tmp_path / "real")
    check_place(tmp_path / "new")


def test_names_with_paths_in_them(tmp_path: Path) -> None:
    for number, name in enumerate(["../x", "a/b", "..", ".hidden", "a\\b", ""]):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(RecipeError, match="cannot be used for a file"):
            deliver(folder / "out", sets={name: (DATA, CARD)}, formats=["csv"])
        assert list(folder.iterdir()) == []


def test_other_mistakes_leave_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[Dataset]:
        yield DATA
        raise ZeroDivisionError

    with pytest.raises(UnknownNameError, match="did you mean 'csv'"):
        bring(tmp_path / "out", formats=["csvv"])
    with pytest.raises(RecipeError, match="nothing to deliver"):
        bring(tmp_path / "out", formats=[])
    with pytest.raises(RecipeError, match="the same name"):
        deliver(tmp_path / "o", sets={"a": (DATA, CARD), "A": (DATA, CARD)}, formats=["csv"])
    with pytest.raises(DataError, match="nothing to deliver"):
        deliver(tmp_path / "out", sets={"a": ([], CARD)}, formats=["csv", "parquet"])
    with pytest.raises(ZeroDivisionError):
        deliver(tmp_path / "out", sets={"a": (failing(), CARD)}, formats=FORMATS)
    assert list(tmp_path.iterdir()) == []


def test_formulas_only_when_asked(tmp_path: Path) -> None:
    bring(tmp_path / "out")
    assert "1.25,=cmd(),t-0" in (tmp_path / "out" / "synthetic.csv").read_text()
    bring(tmp_path / "out", escape_formulas=True)
    assert "1.25,'=cmd(),t-0" in (tmp_path / "out" / "synthetic.csv").read_text()
    assert "=cmd()" in (tmp_path / "out" / "synthetic.jsonl").read_text()


CHILD = """
import os, signal, sys
from pathlib import Path
import pyarrow as pa
from twinset.core.data.dataset import Card, Dataset
from twinset.io.delivery import deliver
left, original = [int(sys.argv[2])], os.replace
def dying(*args):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args)
os.replace = dying
data = Dataset.from_arrow(pa.table({"x": [1.5]}))
deliver(Path(sys.argv[1]), sets={"a": (data, data.card)}, formats=["csv", "parquet"])
"""


@pytest.mark.slow
# Two data files, two JSON files, the checksums; then the folder's own two renames.
@pytest.mark.parametrize("number", [2, 5, 6, 7])
def test_kill_leaves_the_old_or_nothing_and_a_repeat_ends_well(number: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    bring(out)
    old = snapshot(out)
    child = subprocess.run([sys.executable, "-c", CHILD, str(out), str(number)], timeout=120)
    assert child.returncode == -signal.SIGKILL
    assert not out.exists() if number == 7 else snapshot(out) == old
    text = bring(out)
    assert snapshot(out) == old
    assert is_delivered(out, text)
    assert os.listdir(tmp_path) == ["out"]


TEXTS = Dataset.from_arrow(
    pa.table(
        {
            "text": ["fly to New York now", "is it far from Rome?", "a 5EUR coffee please"],
            "spans": pa.array(
                [
                    [{"start": 7, "end": 15, "label": "city", "value": "New York"}],
                    [],
                    [{"start": 2, "end": 3, "label": "price", "value": "5"}],
                ],
                pa.list_(SPAN),
            ),
            "label": ["go", "ask", "buy"],
        }
    ),
    Schema(
        (
            Field(name="text", kind="text"),
            Field(name="spans", kind="spans"),
            Field(name="label", kind="category", role="target"),
        )
    ),
)


def test_texts_are_delivered_with_a_count_of_what_formats_cannot_hold(tmp_path: Path) -> None:
    formats = ("jsonl", "conll", "rasa", "tokens", "labelstudio")
    with pytest.warns(FormatLossWarning, match="widened to whole tokens .1 row, .* 0: 2"):
        text = bring(tmp_path / "out", TEXTS, formats=formats)
    files = snapshot(tmp_path / "out")
    assert {"synthetic.conll", "synthetic.rasa.yml", "synthetic.tokens/features.json",
            "synthetic.labelstudio/config.xml", "formats.json"} <= set(files)  # fmt: skip
    assert is_delivered(tmp_path / "out", text)
    told = json.loads(files["formats.json"])["synthetic"]
    assert list(told) == ["conll", "rasa", "tokens", "labelstudio"]
    assert (told["labelstudio"]["exact"], told["labelstudio"]["losses"]) == (3, [])
    assert told["conll"]["exact"] == 2
    assert [(loss["count"], loss["rows"]) for loss in told["conll"]["losses"]] == [(1, [2])]
    assert b"coffee" not in files["formats.json"]


def test_a_table_is_no_text_set(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="one column of texts and one of spans"):
        bring(tmp_path / "out", formats=["conll"])
    assert not list(tmp_path.iterdir())
