"""Every kind of planted leak on a real set is refused, and every clean cut of it passes."""

from __future__ import annotations

import pytest

pytest.importorskip("imblearn", reason="the extra 'imbalanced' is not installed")
pytest.importorskip("pandas", reason="the extra 'frames' is not installed")

from benchmarks.datasets import DATA
from benchmarks.minority.leakage import CLEAN, KINDS, plant
from benchmarks.minority.real_sets import real_set
from twinset.measurement.leakage import find_leakage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (DATA / "fraud").is_dir(), reason="put the folders fraud and tabular into shared/data"
    ),
]


EXPECTED = {
    "random oversampling to 1:1, then the cut": {"oversampled"},
    "random oversampling to 1:2, then the cut": {"oversampled"},
    "the same to 1:1, test rows real": {"oversampled"},
    "copies of the rare holdout rows in train": {"oversampled", "copies"},
    "copies with another label": {"changed_copies"},
    "copies with one column redrawn": {"changed_copies"},
    "copies blurred by 1 % of the spread": {"near_copies"},
    "copies under other running numbers": {"changed_copies"},
    "copies at other times": {"changed_copies"},
    "copies under other groups": {"changed_copies"},
    "5 % of the train rows in the holdout": {"copies"},
    "groups on both sets": {"group"},
    "a cut by time that is none": {"time"},
    "holdout rows flagged as made": {"synthetic_rows"},
    "a holdout whose card says synthetic": {"synthetic_rows"},
    "parents in the holdout": {"parents"},
}


def expected(kind: str) -> set[str]:
    """Return the kinds of leaks that a planted one must be told as."""
    if kind in EXPECTED:
        return EXPECTED[kind]
    return {"interpolated"} if "SMOTE" in kind else {"copies"}


@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_leak_is_refused(kind: str) -> None:
    real = real_set("wilt")
    planted = plant(kind, real, seed=5)
    assert planted is not None
    found = find_leakage(
        planted.train, planted.holdout, planted.synthetic, split_by=planted.split_by
    )
    assert {leak.kind for leak in found.leaks} == expected(kind)


@pytest.mark.parametrize("kind", CLEAN)
@pytest.mark.parametrize("name", ["wilt", "yeast_me2", "wine_quality"])
def test_a_clean_cut_passes(name: str, kind: str) -> None:
    real = real_set(name)
    cut = plant(kind, real, seed=5)
    if cut is None:
        pytest.skip("the set has no such column")
    found = find_leakage(cut.train, cut.holdout, cut.synthetic, split_by=cut.split_by)
    # Columns of yeast were scaled to 0 and 1 before they were published, which some cuts show.
    scaled = [leak for leak in found.leaks if name == "yeast_me2" and leak.kind == "preprocessing"]
    assert {column for leak in scaled for column in leak.columns} <= {"mit", "nuc"}
    assert found.leaks == tuple(scaled)
