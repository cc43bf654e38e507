"""`evaluate: {embedder: ...}`: one name or a list, with files from the recipe's folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from twinset.core.errors import RecipeError
from twinset.recipe import Recipe, parse_recipe, recipe_schema


def parsed(embedder: str) -> Recipe:
    text = f"""\
name: photos
brief: {{}}
generate: [{{use: image.shapes, rows: 10}}]
evaluate: {{embedder: {embedder}}}
"""
    return parse_recipe(text, base=Path("/recipes"))


def test_one_name_is_a_list_of_one() -> None:
    assert parsed("classical").evaluate.embedder == ["classical"]
    assert parsed("[]").embedders() == ()


def test_files_start_from_the_folder_of_the_recipe() -> None:
    names = '[classical, "timm:resnet18:weights/eye.pt", "onnx:/abs/eye.onnx"]'
    assert parsed(names).embedders() == (
        "classical", "timm:resnet18:/recipes/weights/eye.pt", "onnx:/abs/eye.onnx",
    )  # fmt: skip


WHAT_NAMES_NO_EMBEDDER_IS_TOLD_WITH_ITS_PLACE_CASES = [
    ("clasical", "did you mean 'classical'"),
    ("[net, net]", "an embedder stands here twice"),
    ("'timm:resnet18'", "names no file of weights"),
    ("3", "must be a list; got 3"),
    ("[3]", "must be text; got 3"),
]


def test_what_names_no_embedder_is_reported_with_its_place() -> None:
    for embedder, why in WHAT_NAMES_NO_EMBEDDER_IS_TOLD_WITH_ITS_PLACE_CASES:
        with pytest.raises(RecipeError, match=r"recipe:4: evaluate\.embedder") as caught:
            parsed(embedder)
        assert why in str(caught.value)


def test_the_schema_takes_one_name_or_a_list() -> None:
    told = recipe_schema()["$defs"]["Evaluate"]["properties"]["embedder"]
    assert [one["type"] for one in told["anyOf"]] == ["string", "array"]
