"""A section that every recipe needs is told with words that can be written there."""

import pytest

from twinset.core.errors import RecipeError
from twinset.recipe import parse_recipe

SECTIONS = {"name": "name: my-set", "brief": "brief: {task: detection}"}
REST = "generate: [{use: image.shapes, rows: 2}]"


def test_a_missing_section_is_reported_with_an_example_that_can_be_run() -> None:
    for without in SECTIONS:
        lines = {**SECTIONS, "generate": REST}
        assert parse_recipe("\n".join(lines.values()))
        example = lines.pop(without)
        with pytest.raises(RecipeError) as told:
            parse_recipe("\n".join(lines.values()))
        assert f"{without}: this key is missing; write e.g. {example}" in str(told.value)
