"""Conditions on the rows of a chain: which donors may be drawn, and what to do where they moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from twinset.core.conditions import unmet
from twinset.core.where import Where

from ._chain_link import Link
from ._chain_table import Matrix

if TYPE_CHECKING:
    from ._chain import Chain

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Conditions:
    """A `where` on a chain: which rows learnt from meet it, on each column and on all together.

    Parameters
    ----------
    where : Where
        The conditions.
    chain : Chain
        The chain, which draws their columns first.
    columns : mapping
        Column -> rows learnt from that meet its condition, shape (n,), and are not too rare.
    helpers : mapping
        Column that a conditioned date is counted from -> rows from which that date can be reached.
    """

    where: Where
    chain: Chain
    columns: dict[str, Mask]
    helpers: dict[str, Mask]

    @classmethod
    def of(cls, where: Where, chain: Chain, masks: dict[str, Mask]) -> Conditions:
        """Return the conditions, `masks` being the rows that meet each of them.

        Raises
        ------
        ParameterError
            Only levels that are too rare to be drawn meet one of them.
        """
        columns: dict[str, Mask] = {}
        helpers: dict[str, Mask] = {}
        for name, mask in masks.items():
            positions = chain.table.of_column(name)
            columns[name] = mask & ~np.logical_or.reduce([chain.too_rare(p) for p in positions])
            if not columns[name].any():
                raise unmet(Where({name: where.conditions[name]}))
        for name in columns:
            for other in _anchors(chain, name) - set(columns):
                helpers[other] = columns[name] & helpers.get(other, columns[name])
        return cls(where, chain, columns, helpers)

    def allowed(self, name: str, link: Link) -> Mask | None:
        """Return which donors of a link may be drawn, shape (donors,); None for any.

        Where none may (a long table's tree has seen only a part of it), any is drawn and mended.
        """
        own = self.columns.get(name, self.helpers.get(name))
        if own is None:
            return None
        for mask in (self._mask(name, own), own):
            allowed = mask[link.rows]
            if allowed.any():
                return np.asarray(allowed)
        return None

    def mend(self, name: str, matrix: Matrix, rng: np.random.Generator) -> None:
        """Give rows that moved out of the condition the very value of a row that meets it."""
        if name not in self.columns:
            return
        made = self.chain.table.decode(matrix, [name])
        off = np.flatnonzero(~Where({name: self.where.conditions[name]}).mask(made))
        if not len(off):
            return
        source = rng.choice(np.flatnonzero(self._mask(name, self.columns[name])), len(off))
        real, table = self.chain.matrix, self.chain.table
        for other in sorted(_anchors(self.chain, name)):
            # The date it is counted from comes along, so that the gap between them is a real one.
            if other not in self.columns or self._together.any():
                for position in table.of_column(other):
                    matrix[off, position] = real[source, position]
        for position in table.of_column(name):
            anchor = table.variables[position].anchor
            matrix[off, position] = real[source, position]
            if anchor is not None:
                matrix[off, position] += real[source, anchor] - matrix[off, anchor]

    @property
    def _together(self) -> Mask:
        return np.asarray(np.logical_and.reduce(list(self.columns.values())))

    def _mask(self, name: str, own: Mask) -> Mask:
        together = self._together
        return together if together.any() else own


def _anchors(chain: Chain, name: str) -> set[str]:
    """Return the columns that the dates of a column are counted from."""
    variables = chain.table.variables
    anchors = (variables[p].anchor for p in chain.table.of_column(name))
    return {variables[anchor].name for anchor in anchors if anchor is not None}
