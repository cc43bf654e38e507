"""A fitted chain of trees: draws rows, completes rows, and goes to plain arrays and back."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from twinset.core.contracts import FittedGenerator
from twinset.core.data.conditions import column_masks, unmet
from twinset.core.data.dataset import Dataset
from twinset.core.data.encoding import EncodedColumn, TableEncoding
from twinset.core.data.schema import Schema
from twinset.core.data.where import Condition, Where
from twinset.core.errors import DataError, ParameterError

from .boosting import SymmetricTrees
from .chain import Chain, Conditions
from .completion import Completion, with_filled
from .copy_guard import CopyGuard
from .link import Link, LinkSettings
from .parents import Features, ParentView
from .refinement import Refinement, Rejection, TargetCorrection
from .residuals import Expectation, LeafSlopes, Residuals
from .rounding import NumberBins
from .table import ChainTable, Matrix, Variable
from .ties import Overlay, Tie
from .tree import DonorTree

Arrays = dict[str, npt.NDArray[Any]]


def chain_to_arrays(chain: Chain) -> tuple[Arrays, dict[str, Any]]:
    """Return all that a chain is made of."""
    arrays: Arrays = {"matrix": chain.matrix}
    links = [_put_link(link, f"link-{i}/", arrays) for i, link in enumerate(chain.links)]
    columns = [
        {**asdict(replace(c, field=None)), "field": c.field.name}  # type: ignore[arg-type]
        for c in chain.table.encoding.columns
    ]
    meta = {
        "schema": chain.table.encoding.schema.to_json(),
        "columns": columns,
        "variables": [asdict(variable) for variable in chain.table.variables],
        "first": list(chain.first),
        "target": chain.target,
        "settings": asdict(chain.settings),
        "seed": chain.seed,
        "links": links,
    }
    return arrays, meta


def chain_from_arrays(arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]) -> Chain:
    """Return the chain that `chain_to_arrays` took apart."""
    schema = Schema.from_json(meta["schema"])
    columns = [
        EncodedColumn(**{**c, "field": schema[c["field"]], "levels": tuple(c["levels"])})
        for c in meta["columns"]
    ]
    variables = [Variable(**{**v, "natural": tuple(v["natural"])}) for v in meta["variables"]]
    table = ChainTable(TableEncoding(schema, tuple(columns)), tuple(variables))
    links = tuple(_get_link(value, f"link-{i}/", arrays) for i, value in enumerate(meta["links"]))
    settings = LinkSettings(**meta["settings"])
    first, target = tuple(meta["first"]), meta["target"]
    return Chain(table, arrays["matrix"], links, first, target, settings, meta["seed"])


def refinement_to_arrays(refinement: Refinement, arrays: Arrays) -> dict[str, Any]:
    """Put the arrays of a refinement among `arrays`; return the rest of it as JSON values."""
    meta: dict[str, Any] = {}
    correction, rejection = refinement.correction, refinement.rejection
    if correction is not None:
        at = "correction/"
        meta["correction"] = {
            "column": correction.column,
            "position": correction.position,
            "indicator": correction.indicator,
            "view": _put_view(correction.view, at, arrays),
            "n_features": _put_edges(correction.edges, at, arrays),
            "common": [
                _put_trees(t, f"{at}common-{i}/", arrays) for i, t in enumerate(correction.common)
            ],
            "gap": [_put_trees(t, f"{at}gap-{i}/", arrays) for i, t in enumerate(correction.gap)],
        }
    if rejection is not None:
        at = "rejection/"
        meta["rejection"] = {
            "view": _put_view(rejection.view, at, arrays),
            "n_features": _put_edges(rejection.edges, at, arrays),
            "trees": _put_trees(rejection.trees, at, arrays),
        }
    return meta


def refinement_from_arrays(
    arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]
) -> Refinement:
    """Return the refinement that `refinement_to_arrays` took apart."""
    correction = rejection = None
    if held := meta.get("correction"):
        at = "correction/"
        correction = TargetCorrection(
            held["column"],
            held["position"],
            held["indicator"],
            _get_view(held["view"], at, arrays),
            _get_edges(held["n_features"], at, arrays),
            tuple(_get_trees(v, f"{at}common-{i}/", arrays) for i, v in enumerate(held["common"])),
            tuple(_get_trees(v, f"{at}gap-{i}/", arrays) for i, v in enumerate(held["gap"])),
        )
    if held := meta.get("rejection"):
        at = "rejection/"
        rejection = Rejection(
            _get_view(held["view"], at, arrays),
            _get_edges(held["n_features"], at, arrays),
            _get_trees(held["trees"], at, arrays),
        )
    return Refinement(correction, rejection)


def _put_trees(trees: SymmetricTrees, at: str, arrays: Arrays) -> dict[str, float]:
    for part in ("feature", "cut", "value"):
        arrays[at + part] = getattr(trees, part)
    return {"base": trees.base, "gain": trees.gain}


def _get_trees(
    value: Mapping[str, float], at: str, arrays: Mapping[str, npt.NDArray[Any]]
) -> SymmetricTrees:
    feature, cut, leaves = (arrays[at + part] for part in ("feature", "cut", "value"))
    return SymmetricTrees(feature, cut, leaves, value["base"], value["gain"])


def _put_edges(edges: tuple[Features, ...], at: str, arrays: Arrays) -> int:
    for j, upper in enumerate(edges):
        arrays[f"{at}edges-{j}"] = upper
    return len(edges)


def _get_edges(
    n_features: int, at: str, arrays: Mapping[str, npt.NDArray[Any]]
) -> tuple[Features, ...]:
    return tuple(arrays[f"{at}edges-{j}"] for j in range(n_features))


def _put_link(link: Link, at: str, arrays: Arrays) -> dict[str, Any]:
    for name in ("donors", "rows", "tie"):
        arrays[at + name] = getattr(link, name)
    if link.weight is not None:
        arrays[at + "weight"] = link.weight
    forest = None if link.residuals is None else link.residuals.expectation
    parts = {"tree": link.tree, "slopes": link.slopes, "grain": link.grain, "overlay": link.overlay}
    for part, held in {**parts, "residuals": link.residuals, "forest": forest}.items():
        for field in fields(held) if held is not None else ():
            value = getattr(held, field.name)
            if isinstance(value, np.ndarray):
                arrays[f"{at}{part}/{field.name}"] = value
    grain = link.grain
    return {
        "position": link.position,
        **_put_view(link.view, at, arrays),
        "ties": [asdict(tie) for tie in link.ties],
        "grain": None if grain is None else {"step": grain.step, "by_week": grain.by_week},
    }


def _get_link(value: Mapping[str, Any], at: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Link:
    def held(cls: type, part: str) -> dict[str, Any]:
        names = [field.name for field in fields(cls)]
        found = {name: arrays.get(f"{at}{part}/{name}") for name in names}
        return {name: array for name, array in found.items() if array is not None}

    view = _get_view(value, at, arrays)
    slopes, overlay, residuals = held(LeafSlopes, "slopes"), held(Overlay, "overlay"), None
    if rest := held(Residuals, "residuals"):
        residuals = Residuals(Expectation(**held(Expectation, "forest")), **rest)
    return Link(
        position=value["position"],
        view=view,
        tree=DonorTree(**held(DonorTree, "tree")),
        donors=arrays[at + "donors"],
        rows=arrays[at + "rows"],
        grain=None
        if value["grain"] is None
        else NumberBins(**held(NumberBins, "grain"), **value["grain"]),
        ties=tuple(Tie(**tie) for tie in value["ties"]),
        tie=arrays[at + "tie"],
        slopes=LeafSlopes(**slopes) if slopes else None,
        residuals=residuals,
        weight=arrays.get(at + "weight"),
        overlay=Overlay(**overlay) if overlay else None,
    )


def _put_view(view: ParentView, at: str, arrays: Arrays) -> dict[str, Any]:
    for parent, ranks in view.ranks.items():
        arrays[f"{at}ranks/{parent}"] = ranks
    if view.scores is not None:
        for name, value in zip(("mean", "scale", "weights"), view.scores, strict=True):
            arrays[f"{at}scores/{name}"] = value
    return {
        "parents": list(view.parents),
        "days": list(view.days),
        "numbers": list(view.numbers),
        "ranks": list(view.ranks),
    }


def _get_view(
    value: Mapping[str, Any], at: str, arrays: Mapping[str, npt.NDArray[Any]]
) -> ParentView:
    scores = None
    if f"{at}scores/mean" in arrays:
        mean, scale, weights = (arrays[f"{at}scores/{n}"] for n in ("mean", "scale", "weights"))
        scores = (mean, scale, weights)
    return ParentView(
        tuple(value["parents"]),
        tuple(value["days"]),
        tuple(value["numbers"]),
        {parent: arrays[f"{at}ranks/{parent}"] for parent in value["ranks"]},
        scores,
    )


Shares = Mapping[str, Mapping[str, float]]
Kept = TypeVar("Kept")
_FORMAT = 4
_MOST_KEPT = 16


class FittedTrees(FittedGenerator):
    """A fitted chain of trees.

    Parameters
    ----------
    chain : Chain
        The chain; in a private one, its rows are rows that it drew itself.
    refinement : Refinement
        What is mended in rows drawn without a condition.
    guard : CopyGuard or None
        What keeps copies of real rows down.
    shares : mapping
        Column -> {level: share} that rows are drawn with.
    pin_range : bool
        Whether the least and greatest value of each number are put into every sample.
    private : bool
        Whether no donor tells which row it comes from, and no real row is held.
    """

    def __init__(
        self,
        chain: Chain,
        refinement: Refinement,
        guard: CopyGuard | None,
        shares: Shares,
        pin_range: bool,
        private: bool,
    ) -> None:
        self.schema = chain.table.encoding.schema
        self._chain, self._refinement, self._guard = chain, refinement, guard
        # In one order, whatever that of the settings: a checkpoint does not keep it.
        self._shares = {name: dict(sorted(shares[name].items())) for name in sorted(shares)}
        self._pin_range, self._private = pin_range, private
        self._rows = chain.table.decode(chain.matrix)
        self._orders: OrderedDict[tuple[str, ...], Chain] = OrderedDict()
        self._completions: OrderedDict[tuple[str, ...], Completion] = OrderedDict()
        self._lock = threading.Lock()

    def made_private(self, rng: np.random.Generator) -> FittedTrees:
        """Return the same chain with rows of its own making in the place of real ones."""
        own = self._draw(len(self._chain.matrix), rng, None)
        links = tuple(link.anonymous(rng) for link in self._chain.links)
        # Rare levels are gone from its own rows; what is rare among those alone may stay.
        settings = replace(self._chain.settings, least_repeats=0)
        chain = replace(self._chain, matrix=own, links=links, settings=settings)
        return FittedTrees(
            chain, self._refinement, self._guard, self._shares, self._pin_range, private=True
        )

    def drawing_from(
        self, is_own: npt.NDArray[np.bool_], rng: np.random.Generator, *, guard_copies: bool
    ) -> FittedTrees:
        """Return the same chain that draws from some of its rows only, shape (n,): those of one label.

        With `guard_copies` copies of these rows are kept down, of the others not. What is mended in
        rows of the whole chain is not mended in these.
        """
        chain, guard = self._chain.drawing_from(is_own), None
        if guard_copies:
            guard = CopyGuard.of(chain.matrix[is_own], lambda n: chain.draw(n, rng))
        none = Refinement(None, None)
        return FittedTrees(chain, none, guard, {}, pin_range=False, private=False)

    def sample(self, n: int, rng: np.random.Generator, where: Where | None = None) -> Dataset:
        """Return `n` rows; those under a condition are drawn from its columns onwards.

        Raises
        ------
        ParameterError
            No row learnt from meets the condition on one of its columns.
        """
        parts = [
            self._draw(count, rng, condition) for condition, count in self._dealt(n, rng, where)
        ]
        made = parts[0] if len(parts) == 1 else np.concatenate(parts)[rng.permutation(n)]
        if self._pin_range and where is None:
            self._pin(made)
        return self._chain.table.decode(made)

    def complete(
        self, rows: Dataset, rng: np.random.Generator, *, likeliest: bool = False
    ) -> Dataset:
        """Return the rows with every missing value filled, given all that is known of its row.

        Values that are there stay as they are; a label that was not learnt stays too, and tells
        nothing about the other columns. A column without any value among the rows learnt from stays
        as it is.

        Parameters
        ----------
        rows : Dataset
            Rows of the same columns, any of them missing anywhere.
        rng : numpy.random.Generator
            The only source of randomness.
        likeliest : bool
            Fill in the mean and the likeliest level rather than one draw: nearer to
            the truth on average, and less varied than it.

        Raises
        ------
        SchemaError
            A column is lacking or of another kind.
        """
        asked = rows.with_schema(self.schema)
        given = _without_strangers(asked, self._chain.table)
        missing = {name: given.is_null(name) for name in self.schema.names}
        gaps = [name for name, mask in missing.items() if mask.any()]
        with self._lock:
            key = tuple(gaps)
            if key not in self._completions:
                self._completions[key] = Completion.of(self._chain, gaps)
            completion = _latest(self._completions, key)
        table = self._chain.table
        matrix = table.encode(_without_gaps(given, self._rows, gaps))
        matrix = completion.fill(matrix, missing, rng, likeliest)
        return with_filled(asked, table.decode(matrix), list(completion.links))

    def to_arrays(self) -> tuple[Arrays, dict[str, Any]]:
        """Return the fitted chain as plain arrays and JSON values.

        The arrays hold the rows learnt from; of a private chain, rows that it drew itself. Hashes of
        the rows that one individual has are among them, unless copies are not guarded against.
        """
        arrays, meta = chain_to_arrays(self._chain)
        meta["refinement"] = refinement_to_arrays(self._refinement, arrays)
        if self._guard is not None:
            arrays["guard/single"] = self._guard.single
            meta["guard"] = {"kept_fraction": self._guard.kept_fraction}
        meta |= {
            "component": "tabular.trees",
            "format": _FORMAT,
            "shares": {name: dict(shares) for name, shares in self._shares.items()},
            "pin_range": self._pin_range,
            "private": self._private,
        }
        return arrays, meta

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, npt.NDArray[Any]], meta: Mapping[str, Any]
    ) -> FittedTrees:
        """Return the fitted chain that `to_arrays` took apart.

        Raises
        ------
        DataError
            The arrays are of another component or format.
        """
        if meta.get("component") != "tabular.trees" or meta.get("format") != _FORMAT:
            raise DataError(
                "this is no checkpoint of tabular.trees that this version can read",
                got=f"{meta.get('component')}, format {meta.get('format')}",
                todo="fit it again",
            )
        guard = None
        if "guard" in meta:
            guard = CopyGuard(arrays["guard/single"], meta["guard"]["kept_fraction"])
        chain = chain_from_arrays(arrays, meta)
        refinement = refinement_from_arrays(arrays, meta["refinement"])
        return cls(chain, refinement, guard, meta["shares"], meta["pin_range"], meta["private"])

    def _draw(self, n: int, rng: np.random.Generator, where: Where | None) -> Matrix:
        chain, conditions = self._chain, None
        if where is not None and where.conditions:
            masks = column_masks(self._rows, where)
            chain = self._chain_from(list(masks))
            conditions = Conditions.of(where, chain, masks)

        def draw(count: int) -> Matrix:
            if conditions is None:
                return self._refinement.draw(chain, count, rng)
            return chain.draw(count, rng, conditions)

        made = draw(n)
        return made if self._guard is None else self._guard.redraw(made, draw, rng)

    def _chain_from(self, columns: Sequence[str]) -> Chain:
        """Return the chain that draws `columns` first, and knows of each donor's row."""
        ready = not self._private and self._chain.draws_first(columns)
        if ready and not self._chain.leans(columns):
            return self._chain
        key = tuple(sorted(columns))
        with self._lock:
            if key not in self._orders:
                base = replace(self._chain, links=()) if self._private else self._chain
                rest = [name for name in self._chain.first if name not in key]
                self._orders[key] = base.reordered([*key, *rest])
            return _latest(self._orders, key)

    def _dealt(
        self, n: int, rng: np.random.Generator, where: Where | None
    ) -> Iterator[tuple[Where | None, int]]:
        """Yield conditions and counts, n in all: one for each combination of rebalanced levels."""
        asked: dict[str, Condition] = dict(where.conditions) if where is not None else {}
        open_shares = {name: s for name, s in self._shares.items() if name not in asked}
        if not open_shares or n == 0:
            yield where, n
            return
        drawn = []
        for shares in open_shares.values():
            share = np.array(list(shares.values()), dtype=float)
            drawn.append(rng.choice(len(share), n, p=share / share.sum()))
        for combination, count in sorted(Counter(zip(*drawn, strict=True)).items()):
            levels = {
                name: list(shares)[int(at)]
                for (name, shares), at in zip(open_shares.items(), combination, strict=True)
            }
            yield Where({**asked, **levels}), count

    def _pin(self, made: Matrix) -> None:
        """Give the rows nearest to it the least and the greatest value of each number."""
        if not len(made):
            return
        for link in self._chain.links:
            if link.grain is not None and len(link.grain.values) > 1:
                column = made[:, link.position]
                indicator = self._chain.table.variables[link.position].indicator
                there = np.flatnonzero(made[:, indicator] == 0) if indicator is not None else None
                rows = np.arange(len(made)) if there is None else there
                if len(rows) > 1:
                    ordered = rows[np.argsort(column[rows], kind="stable")]
                    column[ordered[0]] = link.grain.values[0]
                    column[ordered[-1]] = link.grain.values[-1]


def _latest(kept: OrderedDict[tuple[str, ...], Kept], key: tuple[str, ...]) -> Kept:
    """Return `kept[key]` and let go of all but the 16 that were wanted last."""
    kept.move_to_end(key)
    while len(kept) > _MOST_KEPT:
        kept.popitem(last=False)
    return kept[key]


def check_shares(shares: Shares, rows: Dataset) -> None:
    """Raise ParameterError when `shares` name a column or a level that cannot be drawn."""
    for name, wanted in shares.items():
        if not rows.schema[name].has_levels:
            raise ParameterError(
                f"'shares' names the column '{name}', which has no levels",
                got=rows.schema[name].kind,
                allowed="a category or boolean",
            )
        total = sum(wanted.values())
        if not wanted or min(wanted.values()) < 0 or not abs(total - 1) < 1e-6:
            raise ParameterError(
                f"the shares of '{name}' are no shares", got=f"a sum of {total:g}",
                allowed="numbers of 0 or more with the sum 1",
            )  # fmt: skip
        levels = rows.codes(name)[1]
        for level in wanted:
            if level not in levels:
                raise unmet(Where({name: level}), rows)


def _without_gaps(given: Dataset, known: Dataset, gaps: Sequence[str]) -> Dataset:
    """Return `given` with each gap closed by the commonest value learnt, so that it can be encoded."""
    table = given.records
    for name in gaps:
        column = table.column(name)
        counts = pc.value_counts(known.records.column(name).drop_null().cast("string"))
        if not len(counts):
            continue
        common = counts.field("values")[
            pc.index(counts.field("counts"), pc.max(counts.field("counts")))
        ]
        if _is_level(given, name):
            filled = pc.fill_null(column.cast("string"), common).cast(column.type)
        else:
            filled = pc.fill_null(column, common.cast(column.type))
        table = table.set_column(table.column_names.index(name), name, filled)
    return Dataset(table, given.schema, given.card)


def _without_strangers(given: Dataset, table: ChainTable) -> Dataset:
    """Return `given` with labels that were not learnt left out."""
    records = given.records
    for column in table.encoding.columns:
        if column.field.kind == "category":
            name = column.field.name
            labels = records.column(name).cast("string")
            known = pc.is_in(labels, value_set=pa.array(column.levels, pa.string()))
            if not pc.all(pc.or_(known, pc.is_null(labels)), min_count=0).as_py():
                kept = pc.if_else(known, labels, pa.scalar(None, pa.string()))
                kept = kept.cast(records.column(name).type)
                records = records.set_column(records.column_names.index(name), name, kept)
    return Dataset(records, given.schema, given.card)


def _is_level(dataset: Dataset, name: str) -> bool:
    return dataset.schema[name].kind == "category"
