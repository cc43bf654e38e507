"""Shared set-up: where the real data lie, and hypothesis without deadlines on busy machines."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# One thread per fit, before numpy is loaded: threads of many small fits wait for one another.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

settings.register_profile(
    "busy", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")

REPOSITORY = Path(__file__).parent.parent
WITH_SMALL_MODELS = (
    "cli",
    "end_to_end",
    "generation",
    "ingest",
    "recipe",
    "report",
    "workflows",
)  # folders of tests
FEW_TREES = 10
SLOW_TESTS = Path(__file__).parent / "slow_tests.txt"


def read_slow_tests() -> tuple[str, ...]:
    """Return the folders, files and tests that are marked slow."""
    lines = SLOW_TESTS.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `slow_tests.txt` lists."""
    ends = tuple(f"{name}{sign}" for name in read_slow_tests() for sign in ("/", "::", "["))
    for item in items:
        if f"{item.nodeid}[".startswith(ends):
            item.add_marker(pytest.mark.slow)


# Nothing of what is loaded before the first test is garbage.
gc.disable()


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what is loaded by now: a tenth of the time went into that."""
    gc.freeze()
    gc.enable()
    gc.set_threshold(20_000, 20, 50)


def pytest_runtest_setup() -> None:
    """Let boosted trees find the bins of weighted rows faster, once a test has loaded them."""
    if "sklearn.ensemble._hist_gradient_boosting.binning" in sys.modules:
        from tests.weighted_bins import find_percentiles_at_once  # loads numpy

        find_percentiles_at_once()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets beside the repository."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no ../shared/data beside the repository: real data sets are not distributed")
    return folder


@pytest.fixture(autouse=True, scope="module")
def small_models(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fit few trees where the question is what commands and recipes do, not how well models learn."""
    with pytest.MonkeyPatch.context() as patch:
        if request.path.relative_to(REPOSITORY / "tests").parts[0] in WITH_SMALL_MODELS:
            from twinset.core.features import models  # loads numpy

            build = models.build_boosted_trees

            def build_few(*args: Any, max_iter: int = 100, **settings: Any) -> Any:
                return build(*args, max_iter=min(max_iter, FEW_TREES), **settings)

            patch.setattr(models, "build_boosted_trees", build_few)
        yield
