"""The two recipes that need no real data say what they should."""

from pathlib import Path

import pytest

from twinset.core.data.where import Where
from twinset.recipe import load_recipe
from twinset.registry import build

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", ["shapes", "support_tickets"])
def test_declared_shares_are_the_shares_that_are_drawn(name):
    # weights of the generator and population of the brief stand twice in the file, for readers
    recipe = load_recipe(CONFIGS / f"{name}.yaml")
    settings = recipe.generate[0].settings
    shares = settings["categories"] if name == "shapes" else settings["shares"]
    assert recipe.brief.population[recipe.brief.target] == shares
    assert recipe.source is None


@pytest.mark.parametrize(
    ("use", "settings", "where"),
    [
        ("image.shapes", {"size": 48, "n_objects_range": [1, 2], "categories": ["ring"]}, None),
        ("text.templates", {"templates": {"a": ["{x}"]}, "slots": {"x": ["tea"]}}, {"label": "a"}),
    ],
)
def test_settings_as_yaml_writes_them(use, settings, where):
    pytest.importorskip({"image.shapes": "cv2", "text.templates": "faker"}[use])
    from twinset.core.seeding import rng_for

    fitted = build("generator", use, settings).fit(None, rng_for(0, "fit"))
    assert len(fitted.sample(3, rng_for(0, "draw"), Where.from_value(where))) == 3
