"""Paths that no file can have, places that hold no file, and folders that cannot be read."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from twinset.core.errors import DataError, RecipeError, TwinsetError
from twinset.io import read_dataset
from twinset.io.files import file_digest, inside, replacing
from twinset.io.paths import check_output, check_source, path_fault, real_path

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes and links as Unix has them")
SPECIAL: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to nothing": lambda path: path.symlink_to("gone"),
}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "  ",
        "\t\n",
        "a\0b",
        "\ud800.csv",
        "n" * 256,
        "漢" * 86,
        "x/" + "n" * 300 + "/y",
        "ab/" * 1400,
    ],
)
def test_a_path_that_no_file_can_have_is_refused(path: str) -> None:
    assert path_fault(path)
    for check in (check_source, check_output, lambda one: inside(Path(), str(one))):
        with pytest.raises(RecipeError, match="cannot be used"):
            check(path)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", ["a.csv", "n" * 255, "漢" * 85, "a b/é 漢 \U0001f600", " x", "a\nb"]
)
def test_an_unusual_path_is_no_fault(path: str) -> None:
    assert not path_fault(path)


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.parquet", "x.conll", "x.tfrecord"])
def test_what_is_no_file_is_refused_before_it_is_opened(
    tmp_path: Path, kind: str, name: str
) -> None:
    SPECIAL[kind](tmp_path / name)
    for use in (read_dataset, file_digest):
        with pytest.raises(DataError, match=f"{name}' is a"):
            use(tmp_path / name)


@pytest.mark.parametrize("kind", SPECIAL)
def test_what_is_no_file_is_never_replaced(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "report.html"
    SPECIAL[kind](place)
    before = place.lstat()
    with pytest.raises(TwinsetError), replacing(place) as draft:
        draft.write_text("x")
    assert place.lstat() == before
    assert os.listdir(tmp_path) == ["report.html"]


@pytest.mark.parametrize("kind", SPECIAL)
def test_a_folder_that_holds_what_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "cats").mkdir()
    SPECIAL[kind](tmp_path / "cats" / "1.png")
    with pytest.raises(DataError, match=r"cats/1\.png'"):
        check_source(tmp_path)


def test_hidden_names_in_a_folder_are_nobodys_rows(tmp_path: Path) -> None:
    (tmp_path / "1.png").touch()
    os.mkfifo(tmp_path / ".control")
    check_source(tmp_path)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.csv")
        with pytest.raises(DataError, match="is a socket"):
            check_source(Path("s.csv"))


def test_a_path_through_a_file_leads_to_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").touch()
    with pytest.raises(DataError, match="there is no file"):
        check_source(tmp_path / "a.csv" / "b.csv")
    with pytest.raises(RecipeError, match="does not exist"):
        check_output(tmp_path / "a.csv" / "b.csv")


def test_links_in_a_circle_have_a_path(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert real_path(tmp_path / "a").parent == real_path(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_folder_without_rights_loses_no_rows(tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir(mode=0)
    with pytest.raises(DataError, match="cats'; got Permission denied"):
        check_source(tmp_path)
