"""A user's mistake: one sentence on standard error, exit code 2, and nothing left behind."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from .conftest import RECIPE, Twinset, listing, make_folder, people

Prepare = Callable[[Path], list[str]]
CASES: dict[str, tuple[Prepare, str]] = {}


def case(name: str, told: str) -> Callable[[Prepare], Prepare]:
    """Add a case: `prepare` makes its files and returns the words; `told` is part of the sentence."""

    def add(prepare: Prepare) -> Prepare:
        CASES[name] = (prepare, told)
        return prepare

    return add


def bad_file(name: str, file: str, content: str | bytes | None, told: str) -> None:
    """Add one case for each command that reads a real file: `run`, `twin` and `evaluate`."""

    def write(folder: Path) -> None:
        if content is not None:
            (folder / file).write_bytes(content.encode() if isinstance(content, str) else content)

    def through_run(folder: Path) -> list[str]:
        write(folder)
        return ["run", "recipe.yaml", "--set", f"source.path={file}"]

    def through_twin(folder: Path) -> list[str]:
        write(folder)
        return ["twin", file, "twin.csv"]

    def through_evaluate(folder: Path) -> list[str]:
        write(folder)
        return ["evaluate", file, "people.csv"]

    for command, prepare in (
        ("run", through_run),
        ("twin", through_twin),
        ("evaluate", through_evaluate),
    ):
        case(f"{command}: {name}", told)(prepare)


def bad_recipe(name: str, told: str, *changes: tuple[str, str]) -> None:
    """Add a case of `run` with the small recipe changed."""

    def prepare(folder: Path) -> list[str]:
        text = RECIPE
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (folder / "recipe.yaml").write_text(text)
        return ["run", "recipe.yaml"]

    case(f"run: {name}", told)(prepare)


def words(name: str, told: str, *given: str) -> None:
    """Add a case that needs no other file than people.csv and recipe.yaml."""
    case(name, told)(lambda folder: list(given))


bad_file("missing file", "absent.csv", None, "absent.csv")
bad_file("empty file", "bad.csv", "", "empty")
bad_file("header only", "bad.csv", "age,label\n", "row")
bad_file("corrupt Parquet", "bad.parquet", b"PAR1 this is no Parquet PAR1", "bad.parquet")
bad_file("not UTF-8", "bad.csv", "age,label\n31,caf\xe9\n".encode("latin-1"), "UTF-8")
bad_file("ragged rows", "bad.csv", "age,label\n31,yes\n32,no,more\n", "differ in length")
bad_file("column twice", "bad.csv", "age,age,label\n1,2,yes\n3,4,no\n", "same name")
bad_file("NaN everywhere", "bad.csv", "age,label\n" + "NaN,\n" * 30, "value")
bad_file("unknown ending", "bad.xyz", "age,label\n1,yes\n", ".xyz")
bad_file("JSON lines that are none", "bad.jsonl", "[1, 2, 3\n", "bad.jsonl")
bad_file("a folder without images", "empty-folder/none.csv", None, "empty-folder")

words("run: no recipe", "absent.yaml", "run", "absent.yaml")
words("run: target absent", "lable", "run", "recipe.yaml", "--set", "brief.target=lable")
words(
    "run: rows 0",
    "rows",
    "run",
    "recipe.yaml",
    "--set",
    "generate=[{use: tabular.marginals, rows: 0}]",
)
words("run: set unknown", "people@99", "run", "recipe.yaml", "--set", "source.set=people@99")
words("run: override without =", "source.path", "run", "recipe.yaml", "--set", "source.path")
words(
    "run: fraction 2", "holdout_fraction", "run", "recipe.yaml", "--set", "split.holdout_fraction=2"
)
words("run: workers 0", "workers", "run", "recipe.yaml", "--workers", "0")
words("run: no words", "RECIPE", "run")
words("run: unknown option", "--dry", "run", "recipe.yaml", "--dry")
bad_recipe("unknown key", "sead", ("seed: 3", "sead: 3"))
bad_recipe("wrong type", "seed", ("seed: 3", "seed: three"))
bad_recipe("unknown component", "tabular.marginals", ("tabular.marginals", "tabular.marginal"))
bad_recipe("unknown metric", "gap.marginals", ("gap.marginals", "gap.marginalz"))
bad_recipe("unknown kind", "kind", ("licence: CC0-1.0", "schema: {age: {kind: numbr}}"))
bad_recipe("unknown column", "agee", ("licence: CC0-1.0", "schema: {agee: {kind: number}}"))
bad_recipe("negative rows", "rows", ("rows: 60", "rows: -3"))
bad_recipe("unknown setting", "speed", ("rows: 60", "rows: 60, with: {speed: 1}"))
bad_recipe("out path leaves", "../", ("to: out", "to: ../../../../../escape"))
bad_recipe("name leaves", "name", ("name: small", "name: ../small"))
bad_recipe("unknown format", "xlsx", ("formats: [csv]", "formats: [xlsx]"))
bad_recipe("where nowhere", "agee", ("rows: 60", "rows: 60, where: {agee: 3}"))
bad_recipe("no such rows", "condition", ("rows: 60", "rows: 60, where: {age: {gt: 1000}}"))
bad_recipe("gate on nothing", "gap.pairs", ("gates: {}", "gates: {gap.pairs: {max: 0}}"))

words("twin: target absent", "lable", "twin", "people.csv", "t.csv", "--target", "lable")
words("twin: target is text", "remark", "twin", "people.csv", "t.csv", "--target", "remark")
words(
    "twin: label absent",
    "maybe",
    "twin",
    "people.csv",
    "t.csv",
    "--target",
    "label",
    "--positive",
    "maybe",
)
words("twin: rows 0", "rows", "twin", "people.csv", "t.csv", "--rows", "0")
words("twin: negative rows", "rows", "twin", "people.csv", "t.csv", "--rows", "-5")
words("twin: rows in words", "--rows", "twin", "people.csv", "t.csv", "--rows", "many")
words("twin: negative seed", "seed", "twin", "people.csv", "t.csv", "--seed", "-1")
words("twin: fraction 2", "fraction", "twin", "people.csv", "t.csv", "--holdout-fraction", "2")
words("twin: fraction nan", "fraction", "twin", "people.csv", "t.csv", "--holdout-fraction", "nan")
words(
    "twin: unknown generator",
    "tabular.copula",
    "twin",
    "people.csv",
    "t.csv",
    "--use",
    "tabular.copla",
)
words("twin: needs no file", "recipe", "twin", "people.csv", "t.csv", "--use", "image.shapes")
words("twin: unknown setting", "speed", "twin", "people.csv", "t.csv", "--with", "speed=3")
words("twin: setting without =", "key=value", "twin", "people.csv", "t.csv", "--with", "speed")
words("twin: where on nothing", "agee", "twin", "people.csv", "t.csv", "--where", "agee = 3")
words("twin: where unreadable", "age =", "twin", "people.csv", "t.csv", "--where", "age = = 3")
words("twin: where on no row", "condition", "twin", "people.csv", "t.csv", "--where", "age > 1000")
words("twin: where of another type", "age", "twin", "people.csv", "t.csv", "--where", "age > tall")
words("twin: out folder absent", "nowhere", "twin", "people.csv", "nowhere/t.csv")
words("twin: out under a file", "recipe.yaml", "twin", "people.csv", "recipe.yaml/t.csv")
words("twin: out ending", ".xlsx", "twin", "people.csv", "t.xlsx")
words("twin: out is source", "overwrite", "twin", "people.csv", "people.csv")
words("init: out is source", "overwrite", "init", "people.csv", "--out", "people.csv", "--force")
words(
    "gaps: out is a source",
    "overwrite",
    *("gaps", "people.csv", "people.csv", "--out", "people.csv", "--force"),
)
words("twin: one word", "OUT", "twin", "people.csv")


@case("twin: target constant", "never changes")
def _(folder: Path) -> list[str]:
    (folder / "one.csv").write_text("age,label\n" + "".join(f"{i}.5,yes\n" for i in range(40)))
    return ["twin", "one.csv", "t.csv", "--target", "label"]


@case("run: target constant", "label")
def _(folder: Path) -> list[str]:
    (folder / "one.csv").write_text("age,label\n" + "".join(f"{i}.5,yes\n" for i in range(40)))
    return ["run", "recipe.yaml", "--set", "source.path=one.csv"]


@case("run: no positive row in train", "no training row")
def _(folder: Path) -> list[str]:
    table = people(60)
    label = pa.array(["no"] * 59 + ["yes"])
    table = table.set_column(5, "label", label).append_column("when", pa.array(range(60)))
    pyarrow.csv.write_csv(table, folder / "late.csv")
    rare = "generate=[{use: tabular.marginals, rows: 20, where: {label: 'yes'}}]"
    late = ["--set", "source.path=late.csv", "--set", "split.by=time", "--set", "split.on=when"]
    return ["run", "recipe.yaml", *late, "--set", rare]


@case("twin: infinite values", "infinite")
def _(folder: Path) -> list[str]:
    values = np.array([1.5, np.inf, 2.5] * 20)
    pyarrow.parquet.write_table(pa.table({"x": values, "y": values}), folder / "inf.parquet")
    return ["twin", "inf.parquet", "t.csv"]


@case("twin: images", "image")
def _(folder: Path) -> list[str]:
    blob = pa.array([{"bytes": b"x", "path": "a.png"}] * 5)
    table = pa.table({"picture": blob, "size": [1.5, 2.5, 3.5, 4.5, 5.5]})
    pyarrow.parquet.write_table(table, folder / "images.parquet")
    return ["twin", "images.parquet", "t.csv"]


@case("twin: one row", "row")
def _(folder: Path) -> list[str]:
    (folder / "one.csv").write_text("age,label\n31.5,yes\n")
    return ["twin", "one.csv", "t.csv"]


@case("twin: out is a folder", "folder")
def _(folder: Path) -> list[str]:
    (folder / "there.csv").mkdir()
    return ["twin", "people.csv", "there.csv"]


@case("run: recipe is a list", "recipe.yaml")
def _(folder: Path) -> list[str]:
    (folder / "recipe.yaml").write_text("- name: small\n- seed: 3\n")
    return ["run", "recipe.yaml"]


@case("run: recipe is no YAML", "recipe.yaml")
def _(folder: Path) -> list[str]:
    (folder / "recipe.yaml").write_text("name: [small\nseed: 3\n")
    return ["run", "recipe.yaml"]


@case("run: recipe not UTF-8", "UTF-8")
def _(folder: Path) -> list[str]:
    (folder / "recipe.yaml").write_bytes("name: caf\xe9\n".encode("latin-1"))
    return ["run", "recipe.yaml"]


@case("run: recipe is empty", "recipe.yaml")
def _(folder: Path) -> list[str]:
    (folder / "recipe.yaml").write_text("")
    return ["run", "recipe.yaml"]


@case("run: out is somebody's folder", "out")
def _(folder: Path) -> list[str]:
    (folder / "out").mkdir()
    (folder / "out" / "precious.txt").write_text("mine")
    return ["run", "recipe.yaml"]


@case("evaluate: no column in common", "synthetic")
def _(folder: Path) -> list[str]:
    pyarrow.csv.write_csv(pa.table({"other": range(40)}), folder / "synthetic.csv")
    return ["evaluate", "people.csv", "synthetic.csv"]


@case("evaluate: note unreadable", "people.csv.twin.json")
def _(folder: Path) -> list[str]:
    (folder / "people.csv.twin.json").write_text("{")
    return ["evaluate", "people.csv", "people.csv"]


words("evaluate: synthetic absent", "absent.csv", "evaluate", "people.csv", "absent.csv")
words(
    "evaluate: holdout absent",
    "absent.csv",
    "evaluate",
    "people.csv",
    "people.csv",
    "--holdout",
    "absent.csv",
)
words(
    "evaluate: target absent", "lable", "evaluate", "people.csv", "people.csv", "--target", "lable"
)
words(
    "evaluate: where on no row",
    "condition",
    "evaluate",
    "people.csv",
    "people.csv",
    "--where",
    "age > 999",
)
words(
    "evaluate: report under a file",
    "folder",
    "evaluate",
    "people.csv",
    "people.csv",
    "--html",
    "no/r.html",
)
GAPS = ("gaps", "people.csv", "people.csv")
words("gaps: real absent", "absent.csv", "gaps", "absent.csv", "people.csv")
words("gaps: synthetic absent", "absent.csv", "gaps", "people.csv", "absent.csv")
words("gaps: recipe there", "--force", *GAPS, "--out", "recipe.yaml")
words("gaps: out folder absent", "nowhere", *GAPS, "--out", "nowhere/g.yaml")
words("gaps: want without a share", "region = north", *GAPS, "--want", "region = north")
words("gaps: want in words", "0.05", *GAPS, "--want", "region = north: a lot")
words("gaps: want of everything", "out of range", *GAPS, "--want", "region = north: 1.5")
words("gaps: want on nothing", "agee", *GAPS, "--want", "agee > 3: 0.5")
words("gaps: want unreadable", "age =", *GAPS, "--want", "age = = 3: 0.5")
words("gaps: population of nothing", "regoin", *GAPS, "--population", "regoin={north: 0.5}")
words("gaps: population no shares", "region", *GAPS, "--population", "region=north")
words("gaps: population sums to 2", "sum", *GAPS, "--population", "region={north: 0.9, west: 0.9}")
words("gaps: population of a number", "income", *GAPS, "--population", "income={1: 0.9}")
words("gaps: unknown generator", "tabular.trees", *GAPS, "--use", "tabular.tres")
words("gaps: target absent", "lable", *GAPS, "--target", "lable")
words("gaps: most 0", "slices", *GAPS, "--max-slices", "0")


@case("gaps: column lacking", "income")
def _(folder: Path) -> list[str]:
    pyarrow.csv.write_csv(people(40).drop_columns(["income"]), folder / "synthetic.csv")
    return ["gaps", "people.csv", "synthetic.csv"]


words("init: missing file", "absent.csv", "init", "absent.csv", "--out", "other.yaml")
words("init: recipe there", "--force", "init", "people.csv")
words("show: unknown", "tabular.copula", "show", "tabular.copla")
words("sets: no catalogue", "catalogue", "sets")
words("lineage: no catalogue", "catalogue", "lineage", "people")
words("deliver: no catalogue", "catalogue", "deliver", "people", "out")
words("register: missing file", "absent.csv", "register", "absent.csv")
words("fetch: unknown", "ulb-creditcard", "fetch", "ulb-creditcart")
words("no such command", "evaluate", "evalute")


@pytest.mark.parametrize("command", sorted({name.partition(":")[0] for name in CASES}))
def test_a_mistake_is_reported_in_one_sentence_and_leaves_nothing(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twinset: Twinset
) -> None:
    names = [name for name in CASES if name.partition(":")[0] == command]
    for number, name in enumerate(names):
        folder = make_folder(tmp_path / str(number))
        monkeypatch.chdir(folder)
        prepare, part = CASES[name]
        given = prepare(folder)
        before = listing(folder)
        outcome = twinset(*given)
        assert (outcome.code, outcome.out) == (2, ""), name
        assert outcome.err.startswith("twinset: "), name
        assert part in outcome.err, name
        assert outcome.err.count("\n") == 1, f"{name}: one sentence, one line"
        assert listing(folder) == before, name


@pytest.mark.parametrize(
    "name", ["run: unknown key", "twin: missing file", "evaluate: no column in common"]
)
def test_the_same_through_the_installed_program(name: str, folder: Path) -> None:
    given = CASES[name][0](folder)
    before = listing(folder)
    command = [sys.executable, "-m", "twinset", *given]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("twinset: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert listing(folder) == before


LONG = "n" * 5000


@pytest.mark.parametrize(
    "words",
    [
        ["show", LONG],
        ["show", "\x1b]0;x\x07\u202e"],
        [LONG],
        ["twin", "people.csv", "t.csv", f"--{LONG}"],
        ["twin", "people.csv", "t.csv", "--rows", "9" * 5000],
        ["twin", "people.csv", "t.csv", "--holdout-fraction", "9" * 5000],
        ["twin", "people.csv", "t.csv", "--use", "\x1b[2J" * 500],
        ["twin", "people.csv", "t.csv", "--where", "a\u2066" * 700],
        ["twin", "people.csv", "t.csv", "--read", f"skip={'9' * 5000}"],
        ["twin", "people.csv", f"{'t' * 246}.csv"],
        ["evaluate", "people.csv", "people.csv", "--html", f"{LONG}.html"],
        ["evaluate", "people.csv", "people.csv", "--gate", "gap.marginals <= 1e400"],
        ["register", "a\udcff\x9b.csv"],
        ["run", "recipe.yaml", "--set", f"generate.{'9' * 5000}.rows=1"],
        ["run", "recipe.yaml", "--set", f"deliver.to={LONG}"],
        ["run", "recipe.yaml", "--set", f"source.path={LONG}"],
        ["run", "recipe.yaml", "--root", LONG],
        ["run", "\n\n".join([LONG] * 3)],
    ],
    ids=lambda words: ascii(" ".join(words))[:40],
)
def test_a_mistake_of_any_length_is_one_short_paragraph(
    folder: Path, twinset: Twinset, words: list[str]
) -> None:
    before = listing(folder)
    found = twinset(*words)
    assert (found.code, found.out) == (2, "")
    assert len(found.err) < 1300
    assert max(map(len, found.err.split())) < 250
    assert found.err.count("\n") == 1
    assert found.err.rstrip("\n").isprintable()
    assert listing(folder) == before


def test_of_many_faults_the_first_are_shown(folder: Path, twinset: Twinset) -> None:
    with (folder / "recipe.yaml").open("a") as stream:
        stream.writelines(f"k{i}: 1\n" for i in range(20_000))
    found = twinset("run", "recipe.yaml")
    assert found.code == 2
    assert len(found.err) < 1300
    assert "20,000 faults" in found.err
    assert " further" in found.err


def test_a_refusal_of_the_system_is_one_sentence(
    folder: Path, twinset: Twinset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files", "people.csv")

    monkeypatch.setattr("twinset.registry.list_components", refuse)
    found = twinset("list", "--json")
    assert found.code == 2
    assert found.err.startswith("twinset: 'people.csv' cannot be used; got Too many open files")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("> /dev/full", 2),
        ("list > /dev/full", 2),
        ("list >&-", 0),
        ("nothing 2> /dev/full", 2),
        ("nothing >&- 2>&-", 2),
    ],
)
def test_output_that_cannot_be_written_is_no_traceback(words: str, code: int) -> None:
    command = f"'{sys.executable}' -m twinset {words}"
    found = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (code, "")
    assert found.stderr.count("\n") <= 1


@pytest.mark.skipif(sys.platform == "win32", reason="pipes, devices and limits as Unix has them")
@pytest.mark.parametrize("kind", ["pipe", "device", "loop", "folder", "below a file"])
def test_no_result_is_written_to_what_is_no_file(folder: Path, twinset: Twinset, kind: str) -> None:
    place = folder / "x.csv"
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        place.mkdir()
    elif kind != "below a file":
        place.symlink_to("/dev/null" if kind == "device" else "x.csv")
    place = folder / "people.csv" / "x.csv" if kind == "below a file" else place
    before = sorted(folder.rglob("*")), place.lstat() if kind != "below a file" else None
    evaluate = ["evaluate", "people.csv", "people.csv"]
    for words in (
        ["twin", "people.csv", place, "--use", "tabular.bootstrap"],
        *([*evaluate, option, place] for option in ("--html", "--markdown", "--junit")),
        ["init", "people.csv", "--force", "--out", place],
        ["run", "recipe.yaml", "--junit", place],
        ["plan", "recipe.yaml", "--csv", place],
    ):
        found = twinset(*words)
        assert (found.code, found.err.count("\n")) == (2, 1), found
        assert "x.csv" in found.err or "people.csv" in found.err
    after = sorted(folder.rglob("*")), place.lstat() if kind != "below a file" else None
    assert after == before


def test_a_full_disk_is_one_sentence(folder: Path) -> None:
    resource = pytest.importorskip("resource")
    command = [sys.executable, "-m", "twinset", "register", "people.csv", "--root", "catalogue"]
    found = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr.count("\n") == 1
