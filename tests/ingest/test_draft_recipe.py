"""What `init` takes for the target, and the recipe it writes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import yaml

from twinset.core.data.dataset import Dataset
from twinset.core.data.rule import rules_from_json
from twinset.ingest.draft_recipe import draft_recipe, guess_target, recipe_name
from twinset.recipe import parse_recipe


def dataset(**columns: list[object]) -> Dataset:
    return Dataset.from_arrow(pa.table(columns))


NUMBERS = [1.5, 2.5, 3.5, 4.5]
LABELS = ["a", "b", "a", "b"]


THE_TARGET_IS_GUESSED_BY_NAME_THEN_BY_PLACE_CASES = [
    ({"Class": LABELS, "x": NUMBERS}, "Class"),
    ({"kind": LABELS, "is_fraud": [0, 1, 0, 0], "x": NUMBERS}, "is_fraud"),
    ({"x": NUMBERS, "kind": LABELS}, "kind"),
    ({"kind": LABELS, "x": NUMBERS}, None),
    ({"class": NUMBERS, "x": NUMBERS}, None),
    ({"label": ["a"] * 4, "x": NUMBERS}, None),
]


def test_the_target_is_guessed_by_name_then_by_place() -> None:
    for columns, target in THE_TARGET_IS_GUESSED_BY_NAME_THEN_BY_PLACE_CASES:
        field, reason = guess_target(dataset(**columns))
        assert (field.name if field else None) == target
        assert reason


def drafted(real: Dataset, target: str | None) -> dict[str, object]:
    field = real.schema[target] if target else None
    text = draft_recipe(real, path="real.csv", name="real", target=field, reason="so")
    return yaml.safe_load(text)


def test_the_rarest_label_is_the_positive_one() -> None:
    recipe = drafted(dataset(label=["a"] * 5 + ["b"] * 3, x=NUMBERS * 2), "label")
    assert recipe["brief"] == {"task": "classification", "target": "label", "positive": "b"}


def test_a_label_of_one_row_is_not_named() -> None:
    real = dataset(label=["a"] * 5 + ["Quibble"], x=[*NUMBERS, *NUMBERS[:2]])
    text = draft_recipe(
        real, path="real.csv", name="real", target=real.schema["label"], reason="so"
    )
    assert "Quibble" not in text
    assert yaml.safe_load(text)["brief"] == {"task": "classification", "target": "label"}


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


def test_identifiers_are_distinguished() -> None:
    real = dataset(customer_id=list(range(30)), x=list(np.arange(30) / 7))
    schema = drafted(real, None)["source"]["schema"]
    assert schema == {"customer_id": {"kind": "id", "role": "identifier"}, "x": {"kind": "number"}}


def events(in_order: bool = True, **more: object) -> Dataset:
    """200 rows of 40 cards, and when each happened."""
    n = 200
    order = np.arange(n) if in_order else np.random.default_rng(0).permutation(n)
    start = np.datetime64("2024-01-01", "s")
    table = {
        "row_id": order,
        "card": [f"C-{i % 40:04d}" for i in order],
        "amount": order % 13 + 0.25,
        "is_fraud": (order % 20 == 0).astype(int),
    }
    table |= {name: start + order * 3600 if at is None else at for name, at in more.items()}
    return Dataset.from_arrow(pa.table(table))


def split_of(recipe: dict[str, object]) -> tuple[object, object]:
    # Plain YAML takes the key `on` for a yes; the recipe's own reader does not.
    return recipe["split"]["by"], recipe["split"].get(True)


def test_an_id_that_comes_back_says_whose_a_row_is() -> None:
    recipe = drafted(events(), "is_fraud")
    schema = recipe["source"]["schema"]
    assert schema["card"] == {"kind": "id", "role": "group"}
    assert schema["row_id"] == {"kind": "id", "role": "identifier"}
    assert split_of(recipe) == ("group", "card")


def test_rows_of_cards_with_a_date_are_split_by_it() -> None:
    for in_order in [True, False]:
        recipe = drafted(events(in_order, when=None), "is_fraud")
        assert recipe["source"]["schema"]["when"] == {"kind": "datetime", "role": "time"}
        assert split_of(recipe) == ("time", "when")


def test_a_birthday_and_a_number_out_of_order_are_no_time() -> None:
    times = np.random.default_rng(1).normal(size=200)
    recipe = drafted(events(birth_date=None, time=times), "is_fraud")
    assert recipe["source"]["schema"]["birth_date"] == {"kind": "datetime"}
    assert split_of(recipe) == ("group", "card")


def test_rows_that_stand_in_the_order_of_a_time_are_split_by_it() -> None:
    rng = np.random.default_rng(0)
    columns = {"Time": np.arange(90.0) // 2, "x": rng.normal(size=90), "Class": [0, 1] * 45}
    in_order = dataset(**columns)
    assert split_of(drafted(in_order, "Class")) == ("time", "Time")
    shuffled = in_order.take(rng.permutation(90))
    assert split_of(drafted(shuffled, "Class")) == ("stratified", None)


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
