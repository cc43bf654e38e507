from pathlib import Path

import pytest

from twinset.core.errors import DataError, RecipeError
from twinset.io.files import check_name, inside, replacing


def test_good_names() -> None:
    for name in ["a", "ulb", "card-fraud.train_2", "9"]:
        assert check_name(name) == name


def test_bad_names() -> None:
    for name in [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "a\\b",
        ".hidden",
        "-rf",
        "a b",
        "a\n",
        "ü",
        "a" * 101,
    ]:
        with pytest.raises(RecipeError, match="cannot be used for a file"):
            check_name(name)


def test_inside_follows_links(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "link").symlink_to(tmp_path)
    base = tmp_path / "base"
    assert inside(base, "a/../b") == base.resolve() / "b"
    for path in ("../x", "a/../../x", "/etc/passwd", "link/x"):
        with pytest.raises(DataError, match="leads out"):
            inside(base, path)


def test_replacing_is_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "t"
    with replacing(path) as draft:
        draft.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(ZeroDivisionError), replacing(path) as draft:
        draft.write_text(str(1 // 0))
    assert path.read_text() == "one"
    assert [p.name for p in path.parent.iterdir()] == ["t"]
