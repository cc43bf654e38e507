"""What metrics of integrity share: settings and class attributes."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.core.contracts import Metric, Role
from twinset.core.parameters import Margin


@dataclass(frozen=True, kw_only=True)
class IntegrityMetric(Metric):
    """Share of rows at fault, of which real rows have none by definition.

    Parameters
    ----------
    margin : float
        Largest acceptable share, 0 or more.
    """

    family = "integrity"
    roles = frozenset({Role.APPEARANCE})
    higher_is_better = False
    bounds = (0.0, 1.0)
    has_floor = False
    known_baseline = 0.0
    uses_learnt_embedders = False

    margin: Margin = 0.0
