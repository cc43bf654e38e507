"""What the README and the guide show is executed: Python blocks run, recipes parse, files exist."""

import re
from pathlib import Path

import pytest

from twinset.recipe import parse_recipe

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[object]:
    return [
        pytest.param(page, found[2], id=f"{page.name}-{i}")
        for page in PAGES
        for i, found in enumerate(BLOCK.finditer(page.read_text()))
        if found[1] == language
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "code"), blocks("python"))
def test_python_blocks_run(
    page: Path, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, str(page), "exec"), {})


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_whole_recipes_parse(page: Path, text: str) -> None:
    if text.startswith("name:"):
        parse_recipe(text, name=page.name)


def test_the_readme_shows_a_whole_recipe_and_a_python_session() -> None:
    text = (ROOT / "README.md").read_text()
    languages = [found[1] for found in BLOCK.finditer(text)]
    assert {"python", "yaml"} <= set(languages)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!http|#)([^)]+)\)", page.read_text()):
        assert (page.parent / link.split("#")[0]).exists(), link
