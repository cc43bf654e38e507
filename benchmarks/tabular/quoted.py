"""Published rows, quoted, never run here: errors in percent, means over runs as printed.

Shape and Trend as printed are against train, SDMetrics 0.11.1 semantics. Only figures that were read
in a stored copy of a paper are here; cells known only from memory are left out.
"""

from __future__ import annotations

from typing import NamedTuple

SOURCE = (
    "TabDLM, arXiv 2602.22586, tables 6, 7 and 11, which restate the tables of TabSyn "
    "(arXiv 2310.09656) and TabDiff (arXiv 2410.20626, ICLR 2025)"
)


class Quoted(NamedTuple):
    """One method's published figures, by set; `mle` is AUC, for Beijing RMSE of the log target."""

    method: str
    shape: dict[str, float]
    trend: dict[str, float]
    mle: dict[str, float]


def _row(method: str, shape: str, trend: str, mle: str) -> Quoted:
    sets = ("adult", "default", "shoppers", "magic", "beijing")
    cells = [dict(zip(sets, map(float, text.split()))) for text in (shape, trend, mle)]
    return Quoted(method, *cells)


QUOTED = (
    _row(
        "TabDiff",
        "0.63 1.24 1.28 0.78 1.03",
        "1.49 2.55 1.74 0.76 2.59",
        ".912 .763 .921 .936 .555",
    ),
    _row(
        "TabSyn (TabDiff's re-run)",
        "0.81 1.01 1.44 1.03 1.26",
        "1.93 2.81 2.13 0.88 3.13",
        ".909 .763 .914 .937 .580",
    ),
    _row(
        "TabDDPM",
        "1.75 1.57 2.72 1.01 1.30",
        "3.01 4.89 6.61 1.70 2.71",
        ".907 .758 .918 .935 .592",
    ),
    _row(
        "CTGAN",
        "16.84 16.83 21.15 9.81 21.39",
        "20.23 26.95 13.08 7.00 22.95",
        ".886 .696 .875 .855 .902",
    ),
    _row(
        "TVAE",
        "14.22 10.17 24.51 8.25 19.16",
        "14.15 19.50 18.67 5.82 18.01",
        ".878 .724 .871 .887 .770",
    ),
)
REAL_MLE = {"adult": 0.927, "default": 0.770, "shoppers": 0.926, "magic": 0.946, "beijing": 0.423}
