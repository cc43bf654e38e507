"""What `init` takes for the target, and the recipe it writes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import yaml

from twinset.core.dataset import Dataset
from twinset.core.rules import rules_from_json
from twinset.drafting import draft_recipe, recipe_name
from twinset.guessing import guess_target
from twinset.recipe import parse_recipe


def dataset(**columns: list[object]) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


NUMBERS = [1.5, 2.5, 3.5, 4.5]
LABELS = ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    ("columns", "target"),
    [
        ({"Class": LABELS, "x": NUMBERS}, "Class"),
        ({"kind": LABELS, "is_fraud": [0, 1, 0, 0], "x": NUMBERS}, "is_fraud"),
        ({"x": NUMBERS, "kind": LABELS}, "kind"),
        ({"kind": LABELS, "x": NUMBERS}, None),
        ({"class": NUMBERS, "x": NUMBERS}, None),
        ({"label": ["a"] * 4, "x": NUMBERS}, None),
    ],
)
def test_the_target_is_guessed_by_name_then_by_place(
    columns: dict[str, list[object]], target: str | None
) -> None:
    field, reason = guess_target(dataset(**columns))
    assert (field.name if field else None) == target
    assert reason


def drafted(real: Dataset, target: str | None) -> dict[str, object]:
    field = real.schema[target] if target else None
    text = draft_recipe(real, path="real.csv", name="real", target=field, reason="so")
    return yaml.safe_load(text)


def test_the_rarest_label_is_the_positive_one() -> None:
    recipe = drafted(dataset(label=["a", "a", "b", "a"], x=NUMBERS), "label")
    assert recipe["brief"] == {"task": "classification", "target": "label", "positive": "b"}


def test_a_number_to_predict_is_regression() -> None:
    recipe = drafted(dataset(price=NUMBERS, x=NUMBERS), "price")
    assert recipe["brief"] == {"task": "regression", "target": "price"}


def test_images_are_varied_and_tables_are_drawn() -> None:
    blob = pa.array([{"bytes": b"x", "path": "a.png"}] * 4)
    images = Dataset.from_arrow(pa.table({"image": blob, "label": LABELS}))
    recipe = drafted(images, "label")
    assert "generate" not in recipe
    assert recipe["augment"] == [{"use": "image.albumentations", "copies": 1}]
    assert drafted(dataset(x=NUMBERS), None)["generate"] == [{"use": "tabular.trees", "rows": 4}]


def test_identifiers_are_told_apart() -> None:
    real = dataset(customer_id=list(range(30)), x=list(np.arange(30) / 7))
    schema = drafted(real, None)["source"]["schema"]
    assert schema == {"customer_id": {"kind": "id", "role": "identifier"}, "x": {"kind": "number"}}


def test_names_fit_every_file_system() -> None:
    assert recipe_name("../A b/ü") == "a-b"
    assert len(recipe_name("x" * 300)) == 50


def test_rules_that_hold_stand_in_the_recipe_and_those_that_nearly_hold_beside_it() -> None:
    rng = np.random.default_rng(0)
    start = rng.integers(0, 500, 1_000)
    net, tax = np.round(rng.gamma(2, 50, 1_000), 2), np.round(rng.gamma(2, 5, 1_000) - 4, 2)
    end = start + rng.integers(0, 90, 1_000)
    end[:3] = start[:3] - 7
    real = Dataset.from_arrow(
        pa.table(
            {
                "start: day": start, "end": end, "net": net, "tax": tax,
                "all": np.round(net + tax, 2), "cm": np.round(net * 0.3048, 6),
            }
        )
    )  # fmt: skip
    text = draft_recipe(real, path="real.csv", name="real", target=None, reason="so")
    rules = yaml.safe_load(text)["source"]["rules"]
    assert {"kind": "sum", "columns": ["all", "net", "tax"]} in rules
    (linear,) = (rule for rule in rules if rule["kind"] == "linear")
    assert linear["coefficients"] == {"cm": 1, "net": -0.3048}
    assert rules_from_json(rules)
    assert '# - {kind: order, columns: ["start: day", "end"]}' in text
    assert "broken by 3 of 1,000 rows" in text
    assert parse_recipe(text, name="real.yaml").source is not None


def test_a_table_without_rules_says_so() -> None:
    assert drafted(dataset(x=NUMBERS), None)["source"]["rules"] == []
