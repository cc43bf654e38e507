"""The list of slow tests names files and tests that exist."""

from __future__ import annotations

from tests.conftest import REPOSITORY, read_slow_tests


def test_every_listed_test_exists() -> None:
    for name in read_slow_tests():
        file, _, test = name.partition("::")
        assert (REPOSITORY / file).exists(), name
        assert not test or f"def {test}(" in (REPOSITORY / file).read_text("utf-8"), name
