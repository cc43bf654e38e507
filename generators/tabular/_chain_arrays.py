"""A chain as plain arrays and JSON values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from twinset.core.encoding import EncodedColumn, TableEncoding
from twinset.core.schema import Schema

from ._boosting import SymmetricTrees
from ._chain import Chain
from ._chain_expectation import Expectation
from ._chain_grain import Grain
from ._chain_growth import LinkSettings
from ._chain_link import Link
from ._chain_overlay import Overlay
from ._chain_parents import Features, ParentView
from ._chain_residuals import Residuals
from ._chain_slopes import LeafSlopes
from ._chain_table import ChainTable, Variable
from ._chain_ties import Tie
from ._chain_tree import DonorTree
from ._refinement import Refinement
from ._rejection import Rejection
from ._target_correction import TargetCorrection

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
        grain=None if value["grain"] is None else Grain(**held(Grain, "grain"), **value["grain"]),
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
