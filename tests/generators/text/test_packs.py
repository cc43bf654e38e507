"""The shipped packs: varied, clean, exactly marked, and as their schema says."""

import re
from pathlib import Path

import pytest

from twinset.core.seeding import rng_for
from twinset.generators.text._grammar.syntax import parse
from twinset.recipe import file_schema, load_recipe, read_yaml
from twinset.registry import build, parameters

pytest.importorskip("faker")

FOLDER = Path(__file__).parents[3] / "configs" / "text"
PACKS = sorted(path.stem for path in FOLDER.glob("*.yaml"))
# French puts a blank before these signs; elsewhere, and before a full stop, it is a slip.
SLIPS = {"fr": r"  |\s[.,]|[.,]{2}", "": r"  |\s[.,;:!?]|[.,]{2}|[?!]\s[a-zäöü]"}


def settings_of(pack):
    return read_yaml((FOLDER / f"{pack}.yaml").read_text(encoding="utf-8")).data


def test_there_are_the_packs_of_four_trades_and_four_languages():
    assert set(PACKS) == {
        "clinical", "finance", "legal", "support.de", "support.en", "support.es", "support.fr",
    }  # fmt: skip


def test_every_class_has_eight_templates_or_more_and_they_differ():
    for pack in PACKS:
        for label, said in settings_of(pack)["templates"].items():
            texts = said["templates"] if isinstance(said, dict) else said
            written = [text["text"] if isinstance(text, dict) else text for text in texts]
            assert len(written) >= 8, label
            words = [frozenset(re.findall(r"\w+", text.lower())) for text in written]
            for i, one in enumerate(words):
                for other in words[:i]:
                    assert len(one & other) / len(one | other) < 0.6, (label, one, other)
            assert all(parse(text, subject=label) for text in written)


@pytest.mark.parametrize("pack", PACKS)
def test_texts_are_clean_and_marked(pack):
    recipe = load_recipe(
        FOLDER.parent / "text_packs.yaml", overrides=[f"generate.0.with.grammar={pack}"]
    )
    generator = build("generator", "text.templates", recipe.generate[0].settings)
    data = generator.fit(None, rng_for(1, "fit")).sample(1_000, rng_for(1, "draw"))
    rows = data.records.to_pylist()
    slips = re.compile(SLIPS["fr" if pack.endswith("fr") else ""])
    for row in rows:
        text = row["text"]
        for span in row["spans"]:
            assert text[span["start"] : span["end"]] == span["value"]
        assert not slips.search(text.replace("?0", "")), text
        assert not re.search(r"[{}\[\]|<>*]|\(\s|\s\)", text), text
        assert text.count("¿") == text.count("?") or not pack.endswith("es"), text
        assert text.count("¡") == text.count("!") or not pack.endswith("es"), text
        first = text.lstrip('¿¡„“"(')
        assert not first[0].islower() or row["spans"][0]["start"] == 0, text
    assert len({row["text"] for row in rows}) == len(rows)
    assert len({row["label"] for row in rows}) >= 5
    assert any(row["spans"] for row in rows)


def test_packs_fit_the_published_schema():
    for pack in PACKS:
        jsonschema = pytest.importorskip("jsonschema")
        jsonschema.validate(settings_of(pack), file_schema("text.templates"))


def test_the_schema_refuses_what_the_generator_refuses():
    for wrong in [
        {"template": {}},
        {"templates": {}},
        {"templates": {"a": []}},
        {"templates": {"a": [{"weight": 2}]}},
        {"templates": {"a": ["x"]}, "slots": {"x": {"pattern": "a", "mask": "b"}}},
        {"templates": {"a": ["x"]}, "slots": {"x": {"number": [1, 2], "decimal": 1}}},
        {"templates": {"a": ["x"]}, "rules": {"r": {"label": "x"}}},
        {"templates": {"a": ["x"]}, "holdout": {"fraction": 1}},
    ]:
        jsonschema = pytest.importorskip("jsonschema")
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, file_schema("text.templates"))


def test_the_schema_names_every_setting():
    settings = {parameter.name for parameter in parameters("generator", "text.templates")}
    assert set(file_schema("text.templates")["properties"]) == settings
