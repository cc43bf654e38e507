"""Every kind of planted leak on a real set is refused, and every clean cut of it passes."""

from __future__ import annotations

import pytest

pytest.importorskip("imblearn", reason="the extra 'imbalanced' is not installed")
pytest.importorskip("pandas", reason="the extra 'frames' is not installed")

from benchmarks.minority.planted_leaks import CLEAN, KINDS, plant
from benchmarks.minority.real_sets import ABSENT, DATA, real_sets
from twinset.leaks import LEAKS, check

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA / "fraud").is_dir(), reason=ABSENT),
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_leak_is_refused(kind: str) -> None:
    (real,) = real_sets("wilt")
    planted = plant(kind, real, seed=5)
    assert planted is not None
    found = check(planted.train, planted.holdout, planted.synthetic, split_by=planted.split_by)
    assert not found.is_clean
    assert {leak.kind for leak in found.leaks} <= set(LEAKS)


@pytest.mark.parametrize("kind", CLEAN)
@pytest.mark.parametrize("name", ["wilt", "yeast_me2", "wine_quality"])
def test_a_clean_cut_passes(name: str, kind: str) -> None:
    (real,) = real_sets(name)
    cut = plant(kind, real, seed=5)
    if cut is None:
        pytest.skip("the set has no such column")
    assert check(cut.train, cut.holdout, cut.synthetic, split_by=cut.split_by).is_clean
