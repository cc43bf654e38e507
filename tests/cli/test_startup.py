"""What a start of the program must not import: that is what keeps it fast on any machine."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "numpy",
    "pyarrow",
    "sklearn",
    "scipy",
    "pydantic",
    "sqlite3",
    "pandas",
    "torch",
    "httpx",
)


def _imported_by(code: str) -> set[str]:
    """Run `code` in a fresh interpreter and return the top-level modules it had imported."""
    ending = "\nprint('\\n' + '|'.join({name.partition('.')[0] for name in sys.modules}))"
    found = subprocess.run(
        [sys.executable, "-c", "import sys\n" + code + ending],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(found.stdout.splitlines()[-1].split("|"))


def _command(*words: str) -> str:
    return f"from twinset.cli import main\nassert main({list(words)!r}) == 0"


def test_importing_the_package_imports_nothing_heavy() -> None:
    found = _imported_by("import twinset")
    assert "twinset" in found
    assert not found & {*HEAVY, "cyclopts", "rich", "yaml"}


def test_what_needs_no_parsing_imports_no_argument_parser() -> None:
    for words in [("--help",), (), ("--version",), ("list",)]:
        assert not _imported_by(_command(*words)) & {*HEAVY, "cyclopts", "rich", "yaml"}


def test_help_and_list_import_nothing_heavy() -> None:
    for words in [
        ("list",),
        ("list", "metric", "--json"),
        ("run", "--help"),
        ("twin", "--help"),
        ("evaluate", "--help"),
        ("gaps", "--help"),
        ("compare", "--help"),
        ("sets", "--help"),
        ("schema", "--help"),
        ("paraphrase", "--help"),
    ]:
        assert not _imported_by(_command(*words)) & set(HEAVY)


def test_show_imports_no_optional_library() -> None:
    found = _imported_by(_command("show", "image.albumentations"))
    assert not found & {"albumentations", "cv2", "torch", "pandas", "sklearn"}
