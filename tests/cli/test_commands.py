"""Every command on a small table: what it prints, writes and returns."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import yaml

from twinset.cli import COMMANDS
from twinset.core.errors import TwinsetError

from .conftest import Twinset, listing


def test_list_names_every_component_with_its_text(twinset: Twinset) -> None:
    printed = twinset("list").out
    assert "generator  tabular.copula" in printed
    found = json.loads(twinset("list", "metric", "--json").out)
    assert {"gap.marginals", "privacy.exact_copies"} <= {info["name"] for info in found}
    assert all(info["text"].endswith(".") for info in found)


def test_show_tells_each_setting_with_default_and_meaning(twinset: Twinset) -> None:
    found = json.loads(twinset("show", "minority.smote", "--json").out)
    settings = {p["name"]: p for p in found["parameters"]}
    assert settings["k_neighbors"]["default"] == 5
    assert all(p["help"] for p in found["parameters"])
    printed = twinset("show", "minority.smote").out
    assert printed.startswith("generator minority.smote: ")
    assert "k_neighbors" in printed


def test_schema_is_a_json_schema_of_recipes(twinset: Twinset) -> None:
    found = json.loads(twinset("schema").out)
    assert {"name", "brief", "source", "generate"} <= found["properties"].keys()


def test_run_prints_the_verdict_and_the_paths(folder: Path, twinset: Twinset) -> None:
    outcome = twinset("run", "recipe.yaml")
    assert outcome.code == 0
    assert outcome.err == ""
    assert "How far from real?" in outcome.out
    assert "Does it leak?" in outcome.out
    assert str(Path("out") / "report.html") in outcome.out
    assert (folder / "out" / "report.html").is_file()
    again = twinset("run", "recipe.yaml")
    assert "0 steps made" in again.out


def test_run_as_json_holds_every_score(folder: Path, twinset: Twinset) -> None:
    found = json.loads(twinset("run", "recipe.yaml", "--json").out)
    assert found["passed"] is True
    scores = {score["metric"]: score for score in found["report"]["scores"]}
    assert scores.keys() == {"gap.marginals", "privacy.exact_copies"}
    assert {"value", "baseline", "interval", "verdict"} <= scores["gap.marginals"].keys()
    assert Path(found["delivered"]).is_dir()


def test_a_failed_gate_is_exit_code_3(folder: Path, twinset: Twinset) -> None:
    strict = "evaluate.gates={gap.marginals: {max: -1}}"
    outcome = twinset("run", "recipe.yaml", "--set", strict)
    assert outcome.code == 3
    assert "gate" in outcome.out.lower()
    assert (folder / "out" / "report.html").is_file()


def test_a_dry_run_tells_the_steps_and_writes_nothing(folder: Path, twinset: Twinset) -> None:
    before = listing(folder)
    outcome = twinset("run", "recipe.yaml", "--dry-run")
    assert outcome.code == 0
    assert listing(folder) == before
    assert "tabular.marginals: 60 rows" in outcome.out
    assert "to make" in outcome.out
    assert "30% holdout" in outcome.out
    twinset("run", "recipe.yaml")
    states = {
        s["state"]
        for s in json.loads(twinset("run", "recipe.yaml", "--dry-run", "--json").out)["steps"]
    }
    assert states == {"kept"}


def test_init_writes_a_recipe_that_runs(folder: Path, twinset: Twinset) -> None:
    outcome = twinset("init", "people.csv", "--out", "people.yaml")
    assert outcome.code == 0
    assert "'label'" in outcome.out
    recipe = yaml.safe_load((folder / "people.yaml").read_text())
    assert recipe["brief"] == {"task": "classification", "target": "label", "positive": "no"} or (
        recipe["brief"]["positive"] == "yes"
    )
    assert recipe["source"]["schema"]["customer"] == {"kind": "id", "role": "identifier"}
    few = ["--set", "evaluate.metrics=[gap.marginals]"]
    assert twinset("run", "people.yaml", *few).code == 0
    assert (folder / "out" / "people" / "synthetic.csv").is_file()


def test_init_overwrites_only_when_forced(folder: Path, twinset: Twinset) -> None:
    assert twinset("init", "people.csv").code == 2
    assert twinset("init", "people.csv", "--force", "--target", "age").code == 0
    assert "regression" in (folder / "recipe.yaml").read_text()


def test_register_sets_lineage_and_deliver(folder: Path, twinset: Twinset) -> None:
    assert twinset("register", "people.csv", "--licence", "CC0-1.0").out == "people-real@1\n"
    assert twinset("register", "people.csv", "--licence", "CC0-1.0").out == "people-real@1\n"
    assert "people-real@1" in twinset("sets").out
    (found,) = json.loads(twinset("sets", "--json").out)
    assert (found["name"], found["rows"], found["origin"]) == ("people-real", 240, "real")
    assert twinset("lineage", "people-real").out.startswith(
        "people-real@1: real, 240 rows, CC0-1.0"
    )
    (node,) = json.loads(twinset("lineage", "people-real@1", "--json").out)
    assert (node["ref"], node["parents"]) == ("people-real@1", [])
    outcome = twinset(
        "deliver", "people-real", "given", "--real", "--format", "csv", "--format", "parquet"
    )
    assert outcome.code == 0
    assert {"people-real.csv", "people-real.parquet", "CHECKSUMS.sha256"} <= {
        p.name for p in (folder / "given").iterdir()
    }
    given = pyarrow.csv.read_csv(folder / "given" / "people-real.csv")
    real = pyarrow.csv.read_csv(folder / "people.csv")
    assert given.column("income").to_pylist() == real.column("income").to_pylist()


def test_real_rows_are_not_handed_out_by_accident(folder: Path, twinset: Twinset) -> None:
    twinset("register", "people.csv")
    outcome = twinset("deliver", "people-real", "given")
    assert outcome.code == 2
    assert "holds real rows" in outcome.err
    assert not (folder / "given").exists()
    outcome = twinset("register", "people.csv", "--name", "people-real", "--synthetic")
    assert outcome.code == 2
    assert "belongs to real rows" in outcome.err


def test_lineage_of_a_synthetic_set_leads_back_to_the_real_one(
    folder: Path, twinset: Twinset
) -> None:
    twinset("run", "recipe.yaml")
    lines = twinset("lineage", "small").out.splitlines()
    assert lines[0].startswith("small@1")
    assert any(line.startswith(" ") and "people@1" in line for line in lines)


def test_an_unknown_set_suggests_the_nearest(folder: Path, twinset: Twinset) -> None:
    twinset("register", "people.csv")
    outcome = twinset("lineage", "people-rael")
    assert outcome.code == 2
    assert "did you mean 'people-real'?" in outcome.err


def test_interruption_is_exit_code_130(
    folder: Path, twinset: Twinset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("twinset.workflows.twin.fit_source", interrupted)
    before = listing(folder)
    outcome = twinset("twin", "people.csv", "t.csv")
    assert outcome.code == 130
    assert outcome.err == "twinset: interrupted\n"
    assert listing(folder) == before


def test_our_own_bugs_keep_their_traceback(
    folder: Path, twinset: Twinset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("twinset.workflows.twin.fit_source", broken)
    assert not issubclass(ZeroDivisionError, TwinsetError)
    with pytest.raises(ZeroDivisionError):
        twinset("twin", "people.csv", "t.csv")


def test_every_command_has_plain_help(twinset: Twinset) -> None:
    for command in COMMANDS:
        assert command in twinset("--help").out
        outcome = twinset(command, "--help")
        assert outcome.code == 0
        assert outcome.out.startswith(f"Usage: twinset {command}")
        # The overview is a table of its own, for speed: the same first sentence stands in both.
        assert " ".join(outcome.out.split("\n\n")[1].split()) == COMMANDS[command]
        assert "\x1b" not in outcome.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    program = f"{sys.executable} -m twinset schema"
    command = f"set -o pipefail; {program} | {sys.executable} -c 'pass'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_recipe_drafted_for_odd_names_can_be_read(folder: Path, twinset: Twinset) -> None:
    names = ['a"b', "c: d", "# e", "f\ng", "<script>", "{h}", "yes", "ö", "label"]
    table = pa.table({name: ["x", "y"] * 30 for name in names})
    pa.parquet.write_table(table, folder / "odd.parquet")
    assert twinset("init", "odd.parquet", "--out", "odd.yaml").code == 0
    recipe = yaml.safe_load((folder / "odd.yaml").read_text("utf-8"))
    assert list(recipe["source"]["schema"]) == names
    assert twinset("run", "odd.yaml", "--dry-run").code == 0


def test_formulas_are_escaped_in_deliveries_and_twins(folder: Path, twinset: Twinset) -> None:
    rows = [f"{i},{('=a', '-5', 'b')[i % 3]}" for i in range(90)]
    Path("f.csv").write_text("\n".join(["n,@label", *rows]) + "\n")
    assert twinset("register", "f.csv", "--synthetic").out == "f-synthetic@1\n"
    words = ("deliver", "f-synthetic", "out", "--format", "csv")
    assert twinset(*words).code == 0
    assert (
        Path("out/f-synthetic.csv").read_text().startswith("n,@label,_id,_origin,_parents\n0,=a,f-")
    )
    assert twinset(*words, "--escape-formulas").code == 0
    assert (
        Path("out/f-synthetic.csv")
        .read_text()
        .startswith("n,'@label,_id,_origin,_parents\n0,'=a,f-")
    )
    for flags, sign in (((), ""), (("--escape-formulas",), "'")):
        words = ("twin", "f.csv", "t.csv", "--use", "tabular.bootstrap", *flags)
        assert twinset(*words, "--no-value-protection").code in (0, 3)
        head, *lines = Path("t.csv").read_text().splitlines()
        assert head == f"n,{sign}@label"
        assert {line.partition(",")[2] for line in lines} == {f"{sign}=a", "-5", "b"}
        assert twinset("evaluate", "f.csv", "t.csv", "--quick").code == 0


def test_register_refuses_what_is_no_licence(folder: Path, twinset: Twinset) -> None:
    done = twinset("register", "people.csv", "--licence", "Apache2.0")
    assert done.code == 2
    assert "did you mean 'Apache-2.0'" in done.err
    assert not (folder / ".twinset").exists()
    twinset("register", "people.csv", "--licence", "apache-2.0 or MIT")
    assert "Apache-2.0 OR MIT" in twinset("sets").out
