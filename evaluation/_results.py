"""Results that most metrics share: distances of shares, and the mean over components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from twinset.core.contracts import ComponentResults, Measurement
from twinset.core.findings import Finding
from twinset.core.stats.bootstrap import total_variation

from ._bootstrap_metric import Floats

Pattern = tuple[str, float, Floats]
"""Title, distance of all rows, and its replicates, shape (b,)."""
Shares = tuple[Floats, Floats]
"""Shares of k cells: of all rows, shape (1, k), and of each bootstrap replicate, (b, k)."""


def share_distance(synthetic: Shares, reference: Shares) -> tuple[float, Floats]:
    """Return the total variation distance of two tables of shares, and its replicates, shape (b,)."""
    whole = total_variation(synthetic[0], reference[0])
    return float(whole[0]), total_variation(synthetic[1], reference[1])


def largest_first(names: Sequence[str], values: Floats) -> dict[str, float]:
    """Return the value of each name, largest first."""
    return {names[i]: float(values[i]) for i in np.argsort(-values, kind="stable")}


def average_components(
    kind: str,
    names: Sequence[str],
    values: Floats,
    replicates: Floats,
    margin: float,
    *,
    findings: Sequence[Finding] = (),
    facts: Mapping[str, Any] | None = None,
) -> Measurement:
    """Return the mean over components as a measurement; each component keeps its own result."""
    return Measurement(
        float(values.mean()),
        replicates.mean(axis=1),
        tuple(findings),
        ComponentResults(kind, tuple(names), values, replicates, margin),
        facts or {},
    )


def average_patterns(found: Sequence[Pattern], margin: float) -> Measurement:
    """Return the mean over patterns as a measurement; facts hold each distance, largest first."""
    titles, distances, drawn = zip(*found)
    values = np.array(distances)
    facts = {"patterns": largest_first(titles, values)}
    return average_components("pattern", titles, values, np.stack(drawn, 1), margin, facts=facts)
