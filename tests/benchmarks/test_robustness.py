"""The trials of robustness: their builders, their corpus, and how an outcome is classified."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from benchmarks.robustness import fuzz, leakage
from benchmarks.robustness.files import BUILDERS, TABLE, build, masked_crc
from benchmarks.robustness.hostile import HERE, Trial, classify, read_trials
from benchmarks.robustness.sandbox import Outcome, Sandbox

SAID = "twinset: the file 'a.csv' is empty; give a file that holds rows\n"
REFUSED = Outcome(2, "", SAID, 0.2, 0.2, 100.0, is_late=False)
TRIAL: Trial = {"name": "x", "family": "y", "run": "register a.csv", "files": {"a.csv": ""}}


def test_builders_agree_with_other_libraries() -> None:
    assert masked_crc(b"123456789") == 0xC78AB0E5  # CRC-32C is 0xE3069283
    image = cv2.imdecode(np.frombuffer(build({"raw_png": {"size": [5, 7]}}), np.uint8), -1)
    assert image.shape == (5, 7, 3)
    assert build(["a", {"repeat": ["b", 2]}, {"hex": "63"}, "⟨d*3⟩"]) == b"abbcddd"
    assert build({"rows": {"n": 2, "put": {"1": "x"}}}).splitlines()[:2] == [
        TABLE["head"].encode(),
        b"x",
    ]


def test_every_case_is_declared_once_with_known_builders() -> None:
    trials = read_trials(sorted(HERE.glob("cases/*.yaml")))
    paths = yaml.safe_load((HERE / "leaks" / "paths.yaml").read_bytes())
    repeated = [name for name, n in Counter(c["name"] for c in [*trials, *paths]).items() if n > 1]
    assert not repeated
    assert len(trials) >= 400
    sets = yaml.safe_load((HERE / "leaks" / "sets.yaml").read_bytes())
    assert {path["set"] for path in paths} <= sets.keys()
    special = {"symlink", "hardlink", "fifo", "folder", "copies", "sparse"}
    for trial in trials:
        for spec in trial.get("files", {}).values():
            assert not isinstance(spec, dict) or spec.keys() <= BUILDERS.keys() | special


@pytest.mark.parametrize(
    ("outcome", "expect", "kind"),
    [
        (REFUSED, "refuse", "right"),
        (REFUSED, {"accept": {}}, "wrong exit code"),
        (replace(REFUSED, exit_code=0), "refuse", "silently wrong"),
        (replace(REFUSED, exit_code=0), ["refuse", {"note": ["empty"]}], "right"),
        (replace(REFUSED, exit_code=-11), "refuse", "crash"),
        (replace(REFUSED, is_late=True), "refuse", "hang"),
        (replace(REFUSED, rss_mib=4000.0), "refuse", "memory"),
        (replace(REFUSED, err="Traceback (most recent call last)\n"), "refuse", "traceback"),
        (replace(REFUSED, err="twinset: no\n"), "refuse", "vague sentence"),
        (replace(REFUSED, err="twinset: 'a\x1b[31m' is bad"), "refuse", "vague sentence"),
        (replace(REFUSED, err=SAID + "\nMore.\n"), "refuse", "vague sentence"),
    ],
)
def test_an_outcome_has_its_class(tmp_path: Path, outcome: Outcome, expect: Any, kind: str) -> None:
    sandbox = Sandbox(tmp_path / "box").open(TRIAL["files"])
    found = classify({**TRIAL, "expect": expect}, sandbox, sandbox.digests(), outcome)
    assert found[0] == kind


def test_a_refusal_that_writes_is_half_written(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "box").open(TRIAL["files"])
    before = sandbox.digests()
    (sandbox.work / "out.csv").write_text("a\n")
    assert classify(TRIAL, sandbox, before, REFUSED)[0] == "half-written"


def test_marked_values_are_found_wherever_they_lie(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "box").open({})
    salary = {"salary": 98765432.17}
    table = {"parquet": {"columns": {"pay": [98765432.17], "_origin": ["synthetic"]}}}
    hidden = {
        "a.zip": {"zip": {"t.parquet": table}},
        "b.txt": "98,765,432.17",
        "c.parquet": {"parquet": {"columns": {"pay": [98765432.17], "_origin": ["real"]}}},
    }
    for name, spec in hidden.items():
        (sandbox.work / name).write_bytes(build(spec))
    hits = [re.sub(".* in work/", "", hit) for hit in leakage.search(sandbox, {}, salary, [])]
    assert hits == ["a.zip", "b.txt"]


def test_changed_files_get_right_checksums() -> None:
    png = build({"raw_png": {"size": [5, 7]}})
    broken = png[:20] + b"\x01" + png[21:29] + b"0000" + png[33:]
    assert fuzz.sealed("a.png", png) == png
    assert fuzz.sealed("a.png", broken)[29:33] == zlib.crc32(broken[12:29]).to_bytes(4, "big")
    records = build({"tfrecord": {"n": 3, "records": [{"features": {"a": 1}}]}})
    assert fuzz.sealed("a.tfrecord", records) == records
    assert fuzz.sealed("a.tfrecord", b"\xff" * 40)[:8] == b"\xff" * 8


def test_fuzzing_reports_what_is_no_error_of_twinset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fuzz.resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(fuzz.faulthandler, "dump_traceback_later", lambda *_, **__: None)
    monkeypatch.setattr(fuzz, "inspect_table", lambda _: 1 / 0)
    fuzz.read_batch(1, 0, 12)
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {str(number) for number in range(12)}
    (number, *_), *_ = [line.split() for line in lines if "ZeroDivisionError" in line]
    contents = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        fuzz.make_input(1, int(number), folder)
        contents.append([f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()])
    assert contents[0] == contents[1] != []
