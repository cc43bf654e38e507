"""Settings of the metrics of gap and coverage outside their ranges are refused by their name."""

import pytest

from twinset.core.errors import ParameterError
from twinset.registry import build

WRONG = {
    "coverage.alpha_beta": {"max_rows": 2, "replicates": 1},
    "coverage.density_coverage": {"k": 0, "max_rows": 5},
    "coverage.group_outcomes": {"min_rows": 5, "margin": -1.0, "max_columns": 0, "max_rows": 99},
    "coverage.modes": {"n_modes": 1, "max_rows": 10, "margin": -1.0},
    "coverage.slices": {"margin": -1.0, "min_rows": 0, "max_rows": 19, "replicates": 1},
    "coverage.vendi": {"block_rows": 49},
    "gap.classifier": {"n_folds": 1, "max_rows": 3},
    "gap.frechet": {"margin": -1.0, "n_directions": 0, "replicates": 1},
    "gap.image_labels": {"max_rows": 10},
    "gap.k_marginals": {"margin": -1.0, "n_bins": 1, "n_triples": 0},
    "gap.marginals": {"margin": -0.1},
    "gap.mean_embedding": {"n_frequencies": 0, "max_rows": 3},
    "gap.missingness": {"max_columns": 1},
    "gap.rules_kept": {"nearly": 0.9, "max_rows": 10},
    "gap.text_anomalies": {"margin": -1.0, "replicates": 1, "max_rows": 10},
    "gap.text_classifier": {"max_rows": 10},
    "gap.text_labels": {"max_rows": 10},
    "gap.texts": {"max_rows": 10},
    "gap.time_patterns": {"replicates": 1},
}


def test_settings_out_of_range_are_refused() -> None:
    for name, settings in WRONG.items():
        for setting, value in settings.items():
            with pytest.raises(ParameterError, match=setting):
                build("metric", name, {setting: value})
