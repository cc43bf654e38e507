"""Lists and mappings that augment steps name as files: taken in place, faults told with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinset.core.errors import RecipeError
from twinset.recipe import Recipe, load_recipe

RECIPE = """name: texts
brief: {task: intent, modality: text}
source: {path: texts.jsonl}
augment:
  - use: text.entity_swap
    with:
      lexicon: {city: cities.txt, name: [Anna, Zoë]}
  - use: text.noise
    with: {synonyms: words.yaml}
"""


def loaded(folder: Path, cities: bytes | None, words: str | None) -> Recipe:
    if cities is not None:
        (folder / "cities.txt").write_bytes(cities)
    if words is not None:
        (folder / "words.yaml").write_text(words)
    (folder / "texts.yaml").write_text(RECIPE)
    return load_recipe(folder / "texts.yaml")


def test_files_take_the_place_of_their_names(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, "# ours\nKöln\nNew York\n\n".encode(), "cheap: [inexpensive]\n")
    assert recipe.augment[0].settings["lexicon"] == {
        "city": ["Köln", "New York"],
        "name": ["Anna", "Zoë"],
    }
    assert recipe.augment[1].settings["synonyms"] == {"cheap": ["inexpensive"]}


def test_weights_make_a_mapping(tmp_path: Path) -> None:
    recipe = loaded(tmp_path, b"Rome\t3\nUlm\n", "a: [b]\n")
    assert recipe.augment[0].settings["lexicon"]["city"] == {"Rome": 3.0, "Ulm": 1.0}


FAULTS_ARE_TOLD_BY_FILE_CASES = [
    (None, "a: [b]\n", "there is no file 'cities.txt'"),
    (b"Rome\n", None, "there is no file 'words.yaml'"),
    (b"Rome\n\xff\n", "a: [b]\n", "cities.txt:2.*not UTF-8"),
    (b"Rome\nUlm\tmuch\n", "a: [b]\n", "cities.txt:2.*value TAB weight"),
    (b"Rome\t1\tcapital\n", "a: [b]\n", "'cities.txt' has more than a value and its weight"),
    (b"# nothing\n", "a: [b]\n", "this list of values is empty"),
    (b"Rome\n", "- a\n", "'words.yaml' holds no mapping"),
    (b"Rome\n", "a: [b\n", "words.yaml"),
    (b"Rome\n", "Big: [large]\n", "lowercase"),
]


def test_faults_are_reported_by_file(tmp_path: Path) -> None:
    for number, (cities, words, told) in enumerate(FAULTS_ARE_TOLD_BY_FILE_CASES):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.raises(RecipeError, match=told):
            loaded(folder, cities, words)
