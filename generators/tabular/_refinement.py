"""What two boosted models see wrong in a chain's rows, mended as they are drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._chain import Chain
from ._chain_table import Matrix
from ._rejection import Rejection
from ._target_correction import TargetCorrection


@dataclass(frozen=True)
class Refinement:
    """Rows of a chain with labels corrected and rows that are plainly not real drawn anew.

    Both were measured on rows that the chain draws in its own order and without a condition, and are
    used for such rows only.

    Parameters
    ----------
    correction : TargetCorrection or None
        What brings labels of the target to the odds that real rows have.
    rejection : Rejection or None
        What tells drawn rows from real ones, where that is easy.
    """

    correction: TargetCorrection | None
    rejection: Rejection | None

    @classmethod
    def of(cls, chain: Chain, target: str | None, rng: np.random.Generator) -> Refinement:
        """Return what there is to mend in the rows of a chain; without a target, no labels."""
        correction = None if target is None else TargetCorrection.of(chain, target, rng)
        labelled = cls(correction, None)
        rejection = Rejection.of(
            chain.table, chain.matrix, lambda n: labelled.draw(chain, n, rng), rng
        )
        return cls(correction, rejection)

    def draw(self, chain: Chain, n: int, rng: np.random.Generator) -> Matrix:
        """Return `n` rows of the chain as variables, shape (n, v)."""

        def labelled(count: int) -> Matrix:
            made = chain.draw(count, rng)
            if self.correction is not None:
                self.correction.apply(made, rng)
            return made

        made = labelled(n)
        return made if self.rejection is None else self.rejection.redraw(made, labelled, rng)
