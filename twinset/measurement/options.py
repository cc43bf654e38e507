"""`EvaluateOptions`: what is asked of a synthetic set, besides the sets themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twinset.core.contracts import Progress, Remake, silent
from twinset.core.data.where import Where
from twinset.core.features.embedders import Looker
from twinset.measurement.cache import ResultCache


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """What is asked of a synthetic set, besides the sets themselves.

    Parameters
    ----------
    target, positive : str, optional
        Column to predict and its label of interest.
    where : Where, optional
        Which rows are compared.
    seed : int
        Seed of the measuring.
    quick : bool
        Whether metrics that take a while are left out.
    workers : int
        Threads; the result does not depend on them.
    progress : Progress
        Told of every metric.
    embedders, guessed : tuple of Embedder, str, optional
        What images are looked at with; the target, where nobody named it.
    time, group : str, optional
        Columns by which a holdout that was given is later than the real table, or that tell the
        entities apart that it may not share with it.
    allow_leaks : tuple of str
        Kinds of leaks that are noted instead of refused.
    attacks : tuple of str
        Attacks that take far longer than all else, of `twinset.registry.ATTACKS`.
    remake : Remake, optional
        Makes the generator of the synthetic set again, for such attacks.
    remembered : Remembered, optional
        Where what rests on the real rows alone is kept for further sets beside them.
    """

    target: str | None = None
    positive: str | None = None
    where: Where | None = None
    seed: int = 0
    quick: bool = False
    workers: int = 1
    progress: Progress = silent
    time: str | None = None
    group: str | None = None
    allow_leaks: tuple[str, ...] = ()
    attacks: tuple[str, ...] = ()
    remake: Remake | None = None
    embedders: tuple[Looker, ...] | None = None
    guessed: str | None = None
    remembered: ResultCache | None = None

    @property
    def about_leaks(self) -> dict[str, Any]:
        """Settings of the look for leaks."""
        by = None if self.time is None else "time"
        cut = {"split_by": by, "split_on": self.time, "target": self.target}
        return {**cut, "allow": self.allow_leaks, "seed": self.seed}
