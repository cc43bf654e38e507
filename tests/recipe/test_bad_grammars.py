"""Whatever is wrong with a grammar: one sentence, with the file and the line where it stands."""

import re
from pathlib import Path

import pytest

from twinset.core.errors import RecipeError
from twinset.recipe import load_recipe

pytest.importorskip("faker")

RECIPE = """name: texts
brief: {task: intent, target: label}
generate:
  - use: text.templates
    rows: 30
    with: {grammar: grammar.yaml}
"""
GOOD = """templates:
  refund:
    - "Please refund {amount} for the {product}."
    - "<hello>, I sent the {product} back[ on {day}]."
  login:
    - "I cannot log in with {email}."
slots:
  amount: {number: [5, 900], decimals: 2}
  product: [kettle, lamp, tent]
  day: {date_range: [2025-01-01, 2025-12-31]}
  email: {faker: ascii_safe_email}
rules:
  hello: [Hello, Hi]
"""
# What is wrong: a part of the good grammar, what stands there instead, the line, words of the sentence.
BAD = {
    "unknown slot": ("{product}.", "{produkt}.", 3, "unknown slot.*did you mean 'product'"),
    "unknown rule": ("<hello>", "<helo>", 4, "unknown rule.*did you mean 'hello'"),
    "no partner": ("{amount} for", "{amount for", 3, "bracket in the template 'refund-1'"),
    "open option": ("[ on {day}]", "[ on {day}", 4, "bracket in the template 'refund-2'"),
    "open choice": ("Please", "(Please|Kindly", 3, "bracket in the template 'refund-1'"),
    "recursion": ("[Hello, Hi]", "[Hello, <hello>]", 13, "'hello' calls itself and never ends"),
    "long recursion": (
        "  hello: [Hello, Hi]",
        "  hello: [Hello, <hi>]\n  hi: [<hey>]\n  hey: [Hey, <hello>]",
        13,
        "hello -> hi -> hey -> hello",
    ),
    "no weight": ("Please", "(Please *0|Kindly)", 3, "a weight that is not above 0"),
    "probability": ("[ on {day}]", "[ on {day} ?1.5]", 4, "a probability out of range; got 1.5"),
    "overlap": (
        "[Hello, Hi]",
        "{label: greeting, any_of: ['Hello {product}']}",
        13,
        "spans overlap: the rule 'hello' is marked 'greeting' and holds {product}",
    ),
    "empty value": (
        "[kettle, lamp, tent]",
        "[kettle, '']",
        9,
        r"product\[1\]'.*a value is empty",
    ),
    "blank value": ("[kettle, lamp, tent]", "[' lamp']", 9, r"product\[0\]'.*has blanks"),
    "no range": ("[2025-01-01, 2025-12-31]", "[2025-12-31, 2025-01-01]", 10, "not a range"),
    "missing locale": (
        "{faker: ascii_safe_email}",
        "{faker: city, locale: de_XX}",
        11,
        "Faker does not know the locale 'de_XX'",
    ),
    "other country": (
        "{faker: ascii_safe_email}",
        "{faker: job, locale: en_GB}",
        11,
        "no 'job' for the locale 'en_GB'.*would give en_US",
    ),
    "unknown provider": ("ascii_safe_email", "ascii_safe_mail", 11, "unknown Faker provider"),
    "unknown key": ("decimals: 2", "decimal: 2", 8, "unknown setting 'decimal'"),
    "empty template": ("I cannot log in with {email}.", " ", 6, "'login-1' is empty"),
    "empty text": ("I cannot log in with {email}.", "[{email}]", 6, "can become an empty text"),
    "no lexicon": ("[kettle, lamp, tent]", "{lexicon: none.txt}", 9, "there is no file 'none.txt'"),
    "unknown table": (
        "[kettle, lamp, tent]",
        "{column: customer.name}",
        9,
        "'product' names no column of a table",
    ),
    "distinct": (
        "[kettle, lamp, tent]",
        "{values: [kettle], distinct_from: produkt}",
        9,
        "differ from an unknown slot 'produkt'",
    ),
    "twice": ("  login:", "  refund:", 5, "this key stands here twice"),
    "too few texts": (
        '"I cannot log in with {email}."',
        '"I cannot log in[ today]."',
        5,
        "the templates of 'login' cannot give 15 different texts; got about 2 ways",
    ),
    "no more values": (
        "[kettle, lamp, tent]",
        "{values: [kettle, lamp, tent], unique: true}",
        9,
        "the slot 'product' is unique and does not have enough values",
    ),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    (tmp_path / "grammar.yaml").write_text(GOOD)
    return tmp_path


def sentence(folder: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        load_recipe(folder / "recipe.yaml")
    return str(caught.value)


def test_the_good_grammar_is_good(folder: Path) -> None:
    settings = load_recipe(folder / "recipe.yaml").generate[0].settings
    assert set(settings) == {"templates", "slots", "rules"}


@pytest.mark.parametrize("case", BAD)
def test_a_fault_is_one_sentence_with_file_and_line(folder: Path, case: str) -> None:
    old, new, line, words = BAD[case]
    assert GOOD.count(old) >= 1
    (folder / "grammar.yaml").write_text(GOOD.replace(old, new, 1))
    found = sentence(folder)
    assert "\n" not in found
    assert re.match(rf"grammar\.yaml:{line}: .*{words}", found), found


def test_a_lexicon_that_is_not_utf8_is_told_with_its_line(folder: Path) -> None:
    (folder / "grammar.yaml").write_text(GOOD.replace("[kettle, lamp, tent]", "{lexicon: a.txt}"))
    (folder / "a.txt").write_bytes("kettle\nThéière\n".encode("latin-1"))
    assert sentence(folder).startswith("a.txt:2: generate[0].with.slots.product.lexicon: the file")


@pytest.mark.parametrize("line", ["tea\tmany", "tea\t1\tTea\tmore", "tea\t0"])
def test_a_bad_line_of_a_lexicon_is_told(folder: Path, line: str) -> None:
    (folder / "grammar.yaml").write_text(GOOD.replace("[kettle, lamp, tent]", "{lexicon: a.txt}"))
    (folder / "a.txt").write_text(f"# things\nkettle\n{line}\n")
    found = sentence(folder)
    assert "\n" not in found
    assert found.startswith("a.txt:3: ")


def test_a_grammar_that_is_not_there_is_told(folder: Path) -> None:
    (folder / "grammar.yaml").unlink()
    assert sentence(folder).startswith("recipe.yaml:6: generate[0].with.grammar: there is no file")


def test_a_grammar_that_is_no_yaml_is_told_with_its_line(folder: Path) -> None:
    (folder / "grammar.yaml").write_text("templates:\n  a: [unclosed\n")
    assert re.match(r"grammar\.yaml:\d: .*not YAML", sentence(folder))


def test_an_asset_that_no_step_takes_is_refused(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(
        "name: a\nbrief: {task: other}\nassets: {x: x.csv}\ngenerate: [{use: image.shapes, rows: 1}]\n"
    )
    assert "no step of this recipe takes assets" in sentence(folder)


def test_an_asset_that_is_not_there_is_told(folder: Path) -> None:
    (folder / "recipe.yaml").write_text(RECIPE + "assets: {people: people.csv}\n")
    assert "assets.people: there is no file or folder 'people.csv'" in sentence(folder)


def test_the_step_overrides_its_file_and_lines_stay_true(folder: Path) -> None:
    own = "with: {grammar: grammar.yaml, shares: {refund: 3, login: 1}}"
    (folder / "recipe.yaml").write_text(RECIPE.replace("with: {grammar: grammar.yaml}", own))
    assert load_recipe(folder / "recipe.yaml").generate[0].settings["shares"] == {
        "refund": 3,
        "login": 1,
    }
    (folder / "recipe.yaml").write_text(
        RECIPE.replace("with: {grammar: grammar.yaml}", own.replace("login", "logn"))
    )
    assert sentence(folder).startswith("recipe.yaml:6: generate[0].with.shares.logn")


def test_values_of_a_lexicon_stand_in_the_recipe(folder: Path) -> None:
    (folder / "words").mkdir()
    (folder / "words" / "g.yaml").write_text(
        GOOD.replace("[kettle, lamp, tent]", "{lexicon: a.txt}")
    )
    (folder / "words" / "a.txt").write_text("\ufeff# things\nkettle\nlamp\t2\nlight\t1\tlamp\n\n")
    (folder / "recipe.yaml").write_text(RECIPE.replace("grammar.yaml", "words/g.yaml"))
    recipe = load_recipe(folder / "recipe.yaml")
    assert recipe.generate[0].settings["slots"]["product"] == {
        "values": [
            "kettle",
            {"value": "lamp", "weight": 2.0},
            {"value": "light", "weight": 1.0, "canonical": "lamp"},
        ]
    }
    digest = recipe.digest
    (folder / "words" / "a.txt").write_text("kettle\nlamp\n")
    assert load_recipe(folder / "recipe.yaml").digest != digest


def test_an_override_names_a_grammar_of_the_working_folder_or_a_shipped_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "own").mkdir()
    (folder / "own" / "mine.yaml").write_text(
        "templates: {ask: ['Where is {number}?']}\nslots: {number: {number: [1, 99]}}\n"
    )
    monkeypatch.chdir(folder / "own")
    name = "generate.0.with.grammar"
    mine = load_recipe(folder / "recipe.yaml", [f"{name}=mine.yaml"]).generate[0].settings
    assert set(mine["templates"]) == {"ask"}
    legal = load_recipe(folder / "recipe.yaml", [f"{name}=legal"]).generate[0].settings
    assert "governing_law" in legal["templates"]
    with pytest.raises(RecipeError, match=r"there is no file 'yours\.yaml'"):
        load_recipe(folder / "recipe.yaml", [f"{name}=yours.yaml"])


def test_a_grammar_that_is_run_as_a_recipe_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD)
    with pytest.raises(RecipeError, match=r"'mine\.yaml' holds templates.*no recipe; .*grammar:"):
        load_recipe(tmp_path / "mine.yaml")


def test_a_language_in_place_of_a_locale_is_told_with_locales(tmp_path: Path) -> None:
    (tmp_path / "grammar.yaml").write_text(
        GOOD.replace("2025-12-31]", '2025-12-31], format: "%d %B"')
    )
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("{grammar:", "{locale: german, grammar:"))
    with pytest.raises(
        RecipeError, match=r"names of months in 'german'.*a locale looks like de_DE"
    ):
        load_recipe(tmp_path / "recipe.yaml")


def test_a_misspelt_shipped_grammar_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("grammar.yaml", "suport.de"))
    with pytest.raises(RecipeError) as caught:
        load_recipe(tmp_path / "recipe.yaml")
    said = str(caught.value)
    assert "there is no file 'suport.de'; allowed: a file, or one of the shipped clinical," in said
    assert said.endswith("did you mean 'support.de'?")
