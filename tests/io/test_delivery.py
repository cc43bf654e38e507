import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from twinset.core.data.dataset import Card, Dataset
from twinset.core.data.schema import SPAN, Field, Schema
from twinset.core.errors import (
    ConcurrentWriteWarning,
    DataError,
    FormatLossWarning,
    RecipeError,
    SchemaError,
    UnknownNameError,
)
from twinset.io import read_dataset
from twinset.io.delivery import check_place, deliver, is_delivered
from twinset.io.drafts import sweep_drafts

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
    listed = {line[66:]: line[:64] for line in text.splitlines()}
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
from twinset.io import drafts
from twinset.io.delivery import deliver
place, moment = sys.argv[1:]
exchange, replace = drafts._exchange, os.replace
def die():
    os.kill(os.getpid(), signal.SIGKILL)
def dying_exchange(*paths):
    if moment == "before the exchange": die()
    if moment.startswith("two renames"): return False
    assert exchange(*paths)
    die()
def dying_replace(source, target):
    if moment == "the second file" and str(target).endswith("a.parquet"): die()
    if moment == "the checksums" and str(target).endswith("CHECKSUMS.sha256"): die()
    if moment == "two renames, between" and str(target) == place: die()
    replace(source, target)
    if moment == "two renames, after" and str(target) == place: die()
drafts._exchange, os.replace = dying_exchange, dying_replace
data = Dataset.from_arrow(pa.table({"x": [1.5]}))
deliver(Path(place), sets={"a": (data, data.card)}, formats=["csv", "parquet"])
"""
NEW = "a.csv"  # a file that only the new delivery has


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "has_new"),
    [
        ("the second file", False),
        ("the checksums", False),
        ("before the exchange", False),
        ("after the exchange", True),
        ("two renames, between", None),
        ("two renames, after", True),
    ],
)
def test_kill_leaves_the_old_or_the_new_and_a_repeat_ends_well(
    moment: str, has_new: bool | None, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    bring(out)
    old = snapshot(out)
    child = subprocess.run([sys.executable, "-c", CHILD, str(out), moment], timeout=120)
    assert child.returncode == -signal.SIGKILL
    if has_new is None:
        # Where folders cannot be exchanged, the next writer in the parent puts the old one back.
        assert not out.exists()
        sweep_drafts(tmp_path)
    assert is_delivered(out, (out / "CHECKSUMS.sha256").read_text())
    assert (snapshot(out) != old) == (out / NEW).is_file() == bool(has_new)
    text = bring(out)
    assert snapshot(out) == old
    assert is_delivered(out, text)
    assert os.listdir(tmp_path) == ["out"]


def test_a_second_delivery_waits_and_says_for_whom(tmp_path: Path) -> None:
    """Two threads deliver to one folder, by two paths; both end, one after the other."""
    (tmp_path / "link").symlink_to(tmp_path)
    begun, ends = threading.Event(), threading.Event()

    def slow() -> Iterator[Dataset]:
        yield DATA
        begun.set()
        assert ends.wait(30)

    with ThreadPoolExecutor() as pool:
        first = pool.submit(deliver, tmp_path / "out", sets={"a": (slow(), CARD)}, formats=["csv"])
        assert begun.wait(30)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            second = pool.submit(bring, tmp_path / "link" / "out")
            time.sleep(0.3)
            assert not second.done()
            assert not (tmp_path / "out").exists()
            ends.set()
            text = second.result(30)
        assert text != first.result(30)
    sentences = [str(w.message) for w in caught if w.category is ConcurrentWriteWarning]
    assert sentences == [
        f"process {os.getpid()} is writing 'out'; this one waits until it has ended"
    ]
    assert is_delivered(tmp_path / "out", text)
    assert sorted(os.listdir(tmp_path)) == ["link", "out"]


def test_a_file_that_vanishes_from_the_draft_is_seen(tmp_path: Path) -> None:
    def sabotage(step: str, done: int, total: int) -> None:
        for draft in tmp_path.glob(".*/delivery"):
            for file in draft.glob("synthetic.csv"):
                file.unlink()

    bring(tmp_path / "out")
    before = snapshot(tmp_path / "out")
    sets = dict.fromkeys(("synthetic", "other"), (DATA, CARD))
    with pytest.raises(DataError, match=r"changed while it was written; got without synthetic.csv"):
        deliver(tmp_path / "out", sets=sets, formats=["csv"], progress=sabotage)
    assert snapshot(tmp_path / "out") == before


def test_a_delivery_is_not_put_into_another(tmp_path: Path) -> None:
    bring(tmp_path / "out")
    with pytest.raises(DataError, match="lies inside another delivery"):
        bring(tmp_path / "out" / "sub" / "deep")
    assert is_delivered(tmp_path / "out", (tmp_path / "out" / "CHECKSUMS.sha256").read_text())


def test_what_others_put_there_meanwhile_is_not_lost(tmp_path: Path) -> None:
    bring(tmp_path / "out")

    def busy() -> Iterator[Dataset]:
        yield DATA
        (tmp_path / "out" / "notes.txt").write_text("mine")

    with pytest.raises(DataError, match=r"got 'notes.txt'"):
        deliver(tmp_path / "out", sets={"a": (busy(), CARD)}, formats=["csv"])
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.skipif(os.name == "nt", reason="modes of POSIX")
@pytest.mark.parametrize("umask", [0o000, 0o027])
def test_a_delivery_of_real_rows_is_for_its_owner(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        bring(tmp_path / "twin")
        real = replace(CARD, origin="real")
        deliver(tmp_path / "real", sets={"a": (DATA, real)}, formats=["csv", "parquet"])
    finally:
        os.umask(before)
    for name, folder_mode, file_mode in (
        ("twin", 0o777 & ~umask, 0o666 & ~umask),
        ("real", 0o700, 0o600),
    ):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == folder_mode
        modes = {stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / name).iterdir()}
        assert modes == {file_mode}


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
