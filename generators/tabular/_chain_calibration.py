"""Weights and scales that keep the distribution of each column along the whole chain."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from twinset.core.seeding import draw_seed, rng_for

from ._chain_grain import quantile_bins
from ._chain_link import Link
from ._chain_overlay import Overlay
from ._chain_table import Matrix, is_there

if TYPE_CHECKING:
    from ._chain import Chain

_MOST_ROWS = 50_000
_BINS = 32
_PSEUDO_ROWS = 10
_MOST = 2.0
_OFF, _LEAST_LAID = 0.02, 1_000
_SURE = 1.95  # of a Kolmogorov-Smirnov distance times root rows: one in a thousand by chance


def calibrated(chain: Chain) -> Chain:
    """Return the chain whose drawn columns have the real distributions.

    Each link errs a little, and the next one is led by drawn parents where it learnt from real
    ones: shares drift along the chain. Link by link, a trial is drawn. Donors of every level or bin
    are weighted by how often it occurs among real rows and in the trial; the scores of a number that
    leans are laid anew on its values, and so is a number that is still .02 off. Not at a
    temperature other than 1, which asks for other shares.
    """
    if chain.settings.temperature != 1.0:
        return chain
    real, n = chain.matrix, min(len(chain.matrix), _MOST_ROWS)
    rng = rng_for(chain.seed, "calibrate")
    trial = chain.blank(n)
    links = []
    for link in chain.links:
        variable = chain.table.variables[link.position]
        rows, known = (np.flatnonzero(is_there(part, variable)) for part in (trial, real))
        if len(rows) and len(known):
            again, numbers = trial[rows], real[known, link.position]
            reached, back_off = link.reach(again), chain.settings.back_off
            seed = draw_seed(rng)
            if link.residuals is not None and reached.expected is not None:
                donors = link.tree.pick(reached.leaves, rng, link.weight)
                scores = link.residuals.scores(reached.expected, donors)
                link = replace(link, residuals=link.residuals.matched(scores, numbers))
            elif len(link.tree.parent) > 1:
                drawn = link.draw_at(reached, again, np.random.default_rng(seed), back_off)
                link = _weighted(link, variable.n_levels, numbers, drawn)
                drawn = link.draw_at(reached, again, np.random.default_rng(seed), back_off)
                link = laid_where_off(link, numbers, drawn)
            drawn = link.draw_at(reached, again, np.random.default_rng(seed), back_off)
            trial[rows, link.position] = drawn
        links.append(link)
    return replace(chain, links=tuple(links))


def _weighted(link: Link, n_levels: int, real: Matrix, drawn: Matrix) -> Link:
    """Return the link with weights that turn the shares of `drawn` into those of `real`."""
    if link.grain is None:
        n_bins = n_levels
        bins = [part.astype(np.int64) for part in (real, drawn, link.donors)]
    else:
        values, counts = np.unique(real, return_counts=True)
        bin_of = quantile_bins(counts, _BINS)[0]
        n_bins = int(bin_of[-1]) + 1
        last = len(values) - 1
        parts = (real, drawn, link.grain.values[link.donors])
        bins = [bin_of[np.minimum(np.searchsorted(values, part), last)] for part in parts]
    want, have = (np.bincount(part, minlength=n_bins) for part in bins[:2])
    wanted = want * (len(drawn) / len(real))
    ratio = np.clip((wanted + _PSEUDO_ROWS) / (have + _PSEUDO_ROWS), 1 / _MOST, _MOST)
    weight: npt.NDArray[np.float64] = ratio[bins[2]]
    if link.weight is not None:
        weight = weight * link.weight
    return replace(link, weight=weight.astype(np.float32))


def laid_where_off(link: Link, real: Matrix, drawn: Matrix) -> Link:
    """Return the link with an overlay if the drawn numbers are off in spite of their weights."""
    if link.grain is None or link.ties or len(drawn) < _LEAST_LAID:
        return link
    values = link.grain.values
    below = [
        np.searchsorted(np.sort(part), values, side="right") / len(part) for part in (real, drawn)
    ]
    if np.abs(below[0] - below[1]).max() <= _OFF + _SURE / np.sqrt(len(drawn)):
        return link
    return replace(link, overlay=Overlay.of(drawn, np.searchsorted(values, real)))
