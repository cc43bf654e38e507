"""Models trained on real, synthetic and mixed rows, side by side, and whether the synthetic ones help."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MODES = {
    "real": "real rows only",
    "synthetic": "synthetic rows only",
    "mixed": "real and synthetic rows together",
}


def compared(
    measures: Sequence[str], values: Mapping[str, Floats], drawn: Mapping[str, Floats]
) -> dict[str, Any]:
    """Return all models on all measures, their changes against real rows alone, and the answers."""
    out: dict[str, Any] = {
        "measures": {
            measure: {name: float(value[i]) for name, value in values.items()}
            for i, measure in enumerate(measures)
        }
    }
    if len(values) == 1:
        return out
    changes: dict[str, dict[str, Any]] = {measure: {} for measure in measures}
    answers = {}
    for name in [name for name in values if name != "real"]:
        findings = []
        for i, measure in enumerate(measures):
            difference = float(values[name][i] - values["real"][i])
            reach = 1.96 * float(np.std(drawn[name][:, i] - drawn["real"][:, i], ddof=1))
            low, high = difference - reach, difference + reach
            finding = "helps" if low > 0 else "hurts" if high < 0 else "no evidence"
            changes[measure][name] = {
                "difference": difference,
                "interval": [low, high],
                "finding": finding,
            }
            findings.append(finding)
        answers[name] = findings[0]
    return {**out, "changes": changes, "answers": answers, "finding": answers["mixed"]}
