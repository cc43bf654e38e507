"""Check that a component keeps its contract: for authors of plug-ins, and for us.

Each check is a function that raises AssertionError with a sentence; the lists `GENERATOR_CHECKS`,
`AUGMENTER_CHECKS` and `METRIC_CHECKS` serve as parameters of a pytest test.
"""

from twinset.testing._augmenters import AUGMENTER_CHECKS, check_augmenter
from twinset.testing._examples import example_comparison, example_dataset
from twinset.testing._generators import GENERATOR_CHECKS, check_generator
from twinset.testing._metrics import METRIC_CHECKS, check_metric

__all__ = [
    "AUGMENTER_CHECKS",
    "GENERATOR_CHECKS",
    "METRIC_CHECKS",
    "check_augmenter",
    "check_generator",
    "check_metric",
    "example_comparison",
    "example_dataset",
]
