"""Every component that the registry finds, put through every check of its kind."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from functools import partial
from typing import Any

import numpy as np
import pytest

from twinset.core.contracts import Metric, NotMeasurable
from twinset.core.errors import MissingExtraError
from twinset.core.features.embedders import handcrafted
from twinset.generators.minority._engine import filter as filter_module
from twinset.registry import ComponentKind, component_class, component_names
from twinset.testing import (
    check_augmenter,
    check_generator,
    check_metric,
    example_comparison,
)

QUICK_NETS = {
    "steps": 2, "seeds": 2, "window": 32, "longest": 32, "max_rows": 12,
}  # fmt: skip
# What a component is tried with: the quick settings of those that are slow by default.
SETTINGS: dict[str, dict[str, Any]] = {
    "image.shapes": {"size": 48},
    "image.scenes": {"size": 64},
    "image.defects": {"size": 48},
    "image.meshes": {"size": 32, "samples": 1, "n_objects_range": (1, 1)},
    "minority.bursts": {"group": "colour", "time": "opened"},
    "tabular.gan": {"steps": 4, "width": 16},
    "tabular.network": {"epochs": 1, "width": 16},
    "tabular.sdv": {"epochs": 1},
    "gap.classifier": {"iterations": 3, "n_folds": 2},
    "utility.exchange_rate": {"iterations": 2},
    "utility.image_classes": {"steps": 4, "seeds": 2, "side": 16},
    "utility.image_detection": QUICK_NETS,
    "utility.image_segmentation": QUICK_NETS,
    "utility.train_synthetic_test_real": {"iterations": 3},
    "coverage.modes": {"n_modes": 4},
    "coverage.group_outcomes": {"replicates": 20, "min_rows": 11},
    "privacy.shadow_models": {"n_shadows": 4},
    "gap.slice_scan": {"shuffles": 5},
    "gap.mean_embedding": {"n_frequencies": 50, "permutations": 20},
    "privacy.quasi_identifiers": {"columns": ("colour",)},
}


def check_on_few_rows(metric: Metric) -> None:
    """Check a metric on the fewest rows that it does not refuse."""
    for rows in (40, 64):
        with suppress(NotMeasurable):
            return check_metric(metric, example_comparison(metric.kinds, rows=rows))
    return check_metric(metric, example_comparison(metric.kinds, rows=120))


CHECKS: dict[ComponentKind, Callable[[Any], None]] = {
    "generator": check_generator,
    "augmenter": check_augmenter,
    "metric": check_on_few_rows,
}
FEATURES: dict[tuple[Any, ...], np.ndarray] = {}
COMPONENTS = [(kind, name) for kind in CHECKS for name in component_names(kind)]


@pytest.fixture(autouse=True)
def features_of_equal_images_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the handcrafted features of the example images, which most of the time would go into."""
    original = handcrafted.classical_vector

    def cached(pixels: np.ndarray) -> np.ndarray:
        key = (pixels.shape, pixels.dtype.str, pixels.tobytes())
        if key not in FEATURES:
            FEATURES[key] = original(pixels)
        return FEATURES[key].copy()

    monkeypatch.setattr(handcrafted, "classical_vector", cached)


@pytest.fixture(autouse=True)
def filters_have_few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit few trees where a filter has no setting of their number."""
    few = partial(filter_module.fit_discriminator, iterations=5)
    monkeypatch.setattr(filter_module, "fit_discriminator", few)


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=str)
def test_component_passes_every_check(kind: ComponentKind, name: str) -> None:
    cls = component_class(kind, name)
    settings = dict(SETTINGS.get(name, {}))
    if "replicates" in {field.name for field in fields(cls)}:
        settings["replicates"] = 20
    try:
        CHECKS[kind](cls(**settings))
    except MissingExtraError as error:
        pytest.skip(str(error))
