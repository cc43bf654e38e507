"""One round of `twinset gaps` on Adult: is a starved slice named, filled, and is nothing else harmed?

    python -m benchmarks.evaluation.closed_loop                 # writes closed_loop.md and .json beside it
    python -m benchmarks.evaluation.closed_loop --rows 6000 --seeds 0

Nine tenths of one slice (women who work 50 hours a week or more) are taken away, in one of two places:

real         from the real train part: the twin never saw them, and the true share of the slice in the
             whole train part is declared by `--want`.
synthetic    from the twin alone: `gaps` is told nothing and has to find the slice itself.

The recipe is run as it is written and its rows are added to the twin. Everything is then measured on
Adult's test part, which nothing has seen: shares, all default metrics of the families gap and coverage,
the shares of all levels outside the slice, and the recall of a boosted model on real rows of the slice.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from sklearn.ensemble import HistGradientBoostingClassifier

import twinset
from benchmarks.tabular.sets import Roles, code, load
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.features.discretize import infer_factors
from twinset.core.stats.hypothesis_tests import two_sample
from twinset.measurement.harness import measure
from twinset.registry import default_metrics

SLICE = "sex = Female and hours-per-week >= 50"
KEPT = 0.1
PLACES = ("real", "synthetic")
_DRAWS = 500


def one_round(place: str, seed: int, rows: int | None, folder: Path) -> dict[str, Any]:
    """Return what one round of the loop did, as plain JSON values."""
    train, holdout, roles = _adult(rows)
    rng = np.random.default_rng(seed)
    starved = _starve(train, rng) if place == "real" else train
    _write(starved, folder / "real.parquet")
    twinset.twin(folder / "real.parquet", folder / "twin.parquet", target=roles.target, seed=seed)
    before = _read(folder / "twin.parquet")
    if place == "synthetic":
        before = _starve(before, rng)
        _write(before, folder / "twin.parquet")
    true = float(_mask(train).mean())
    found = twinset.gaps(
        folder / "real.parquet",
        folder / "twin.parquet",
        want={SLICE: true} if place == "real" else None,
        folder=folder,
    )
    (folder / "recipe.yaml").write_text(found.recipe)
    done = twinset.run(
        folder / "recipe.yaml",
        root=folder / "catalogue",
        overrides=[f"deliver.to={folder / 'out'}"],
    )
    made = _read(done.delivered / "synthetic.parquet")[list(before.columns)]
    after = pd.concat([before, made], ignore_index=True)
    return {
        "place": place,
        "seed": seed,
        "rows": {"real": len(starved), "twin": len(before), "added": len(made)},
        "named": [gap.sentence for gap in found.missing],
        **_shares(before, after, holdout, true),
        "metrics": _metrics(starved, before, after, holdout, roles, seed),
        "elsewhere": _elsewhere(before, after, holdout),
        "recall": _recalls(
            {
                "twin": before,
                "twin + rows": after,
                "real": starved,
                "real + rows": pd.concat([starved, made], ignore_index=True),
                "real, nothing taken away": train,
            },
            holdout,
            roles,
            seed,
        ),
    }


def _adult(rows: int | None) -> tuple[pd.DataFrame, pd.DataFrame, Roles]:
    """Return train and test part; the blanks before the texts go, so that conditions read well."""
    adult = load("adult")
    parts = []
    for frame in (adult.train, adult.holdout):
        frame = frame.apply(lambda c: c.str.strip() if not pd.api.types.is_numeric_dtype(c) else c)
        cut = frame if rows is None else frame.sample(min(rows, len(frame)), random_state=0)
        parts.append(cut.reset_index(drop=True))
    roles = adult.roles
    return parts[0], parts[1], Roles(roles.columns, roles.categories, roles.target, ">50K")


def _starve(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    keep = ~_mask(frame) | (rng.random(len(frame)) < KEPT)
    return frame[keep].reset_index(drop=True)


def _mask(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return _dataset(frame[["sex", "hours-per-week"]]).mask(Where.parse(SLICE))


def _dataset(frame: pd.DataFrame) -> Dataset:
    return Dataset.from_arrow(pa.Table.from_pandas(frame, preserve_index=False))


def _write(frame: pd.DataFrame, path: Path) -> None:
    pyarrow.parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def _read(path: Path) -> pd.DataFrame:
    return pyarrow.parquet.read_table(path).to_pandas()


def _shares(
    before: pd.DataFrame, after: pd.DataFrame, holdout: pd.DataFrame, true: float
) -> dict[str, Any]:
    """Return the share of the slice and its gap to the true share, before and after."""
    found = {"before": float(_mask(before).mean()), "after": float(_mask(after).mean())}
    gap = {when: abs(share - true) for when, share in found.items()}
    return {
        "share": {"true": true, "holdout": float(_mask(holdout).mean()), **found},
        "coverage": {when: min(1.0, share / true) for when, share in found.items()},
        "gap": {**gap, "closed": 1 - gap["after"] / gap["before"]},
    }


def _metrics(
    real: pd.DataFrame,
    before: pd.DataFrame,
    after: pd.DataFrame,
    holdout: pd.DataFrame,
    roles: Roles,
    seed: int,
) -> dict[str, dict[str, Any]]:
    """Return every metric of gap and coverage before and after, and its harm in margins."""
    train, test = _dataset(real), _dataset(holdout)
    chosen = [
        (name, metric)
        for name, metric in default_metrics(train.schema.kinds)
        if metric.family in ("gap", "coverage") and metric.needs_real
    ]
    scores = [
        measure(
            train=train,
            synthetic=Dataset.from_arrow(pa.Table.from_pandas(frame), train.schema),
            holdout=test,
            metrics=chosen,
            target=roles.target,
            seed=seed,
        )
        for frame in (before, after)
    ]
    found = {}
    for old, new in zip(*scores):
        if old.value is None or new.value is None:
            continue
        harm = (old.value - new.value) * (1 if old.higher_is_better else -1)
        found[old.metric] = {
            "before": old.value,
            "after": new.value,
            "baseline": new.baseline,
            "margin": old.margin,
            "harm": harm,
            "verdicts": [old.verdict, new.verdict],
        }
        if old.metric == "coverage.slices":
            said = [[s["sentence"] for s in x.details["under_covered"]] for x in (old, new)]
            found[old.metric]["under_covered"] = said
    return found


def _elsewhere(before: pd.DataFrame, after: pd.DataFrame, holdout: pd.DataFrame) -> dict[str, Any]:
    """Return the level, of any column, whose share among all rows moved away from the real one most."""
    reference = _dataset(holdout)
    worst: tuple[float, str] = (-1.0, "")
    sets = [Dataset.from_arrow(pa.Table.from_pandas(f), reference.schema) for f in (before, after)]
    n_worse = n_levels = 0
    for factor in infer_factors(reference):
        real, old, new = (
            np.bincount(factor.codes(part), minlength=factor.size + 1)
            for part in (reference, *sets)
        )
        for i, level in enumerate(factor.levels):
            gaps = [abs(c[i] / c.sum() - real[i] / real.sum()) for c in (old, new)]
            _, p = two_sample(
                np.array([float(new[i])]), int(new.sum()), np.array([float(old[i])]), int(old.sum())
            )
            n_levels += 1
            n_worse += int(gaps[1] > gaps[0] and p[0] < 0.05)
            worst = max(worst, (float(gaps[1] - gaps[0]), level.words))
    return {"level": worst[1], "moved_away": worst[0], "levels": n_levels, "surely_worse": n_worse}


def _recalls(
    sets: Mapping[str, pd.DataFrame], holdout: pd.DataFrame, roles: Roles, seed: int
) -> dict[str, Any]:
    """Return the recall of >50K on real rows of the slice, by what the model was trained on."""
    inside = holdout[_mask(holdout)]
    names = list(sets)
    coded = code(roles, *[sets[name] for name in names], inside)
    target = roles.categories.index(roles.target)
    y = (inside[roles.target] == roles.positive).to_numpy()
    hits = {}
    for name, table in zip(names, coded):
        positive = table.levels[target].index(roles.positive)
        x, labels = _matrix(table, target), table.codes[:, target] == positive
        is_label = np.arange(x.shape[1]) >= table.numbers.shape[1]
        model = HistGradientBoostingClassifier(categorical_features=is_label, random_state=seed)
        hits[name] = model.fit(x, labels).predict(_matrix(coded[-1], target))[y]
    rng = np.random.default_rng(seed)
    draws = rng.integers(0, int(y.sum()), (_DRAWS, int(y.sum())))
    found: dict[str, Any] = {"positive_rows": int(y.sum())}
    found["recall"] = {name: float(hit.mean()) for name, hit in hits.items()}
    found["change"] = {}
    for name in ("twin", "real"):
        change = hits[f"{name} + rows"].astype(float) - hits[name]
        spread = change[draws].mean(axis=1)
        found["change"][name] = [
            float(change.mean()),
            *np.quantile(spread, (0.025, 0.975)).tolist(),
        ]
    return found


def _matrix(table: Any, target: int) -> npt.NDArray[np.float64]:
    return np.hstack([table.numbers, np.delete(table.codes, target, axis=1)])


def _page(rounds: Sequence[Mapping[str, Any]]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# The closed loop on Adult",
        "",
        f"Starved: {SLICE}, {1 - KEPT:.0%} of its rows. One round of `twinset gaps` with `tabular.trees`;",
        "everything is measured on Adult's test part. Made by `benchmarks/evaluation/closed_loop.py`.",
        "",
        "| starved in | seed | rows added | share before | after | true | gap closed | "
        "worst metric (harm / margin) | worst level elsewhere |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for one in rounds:
        share, where = one["share"], one["elsewhere"]
        name, worst = _worst(one["metrics"])
        lines.append(
            f"| {one['place']} | {one['seed']} | {one['rows']['added']:,} | {share['before']:.2%} | "
            f"{share['after']:.2%} | {share['true']:.2%} | {one['gap']['closed']:.0%} | "
            f"{name} ({worst['harm']:+.4f} / {worst['margin']:g}) | "
            f"{where['level']} ({where['moved_away']:+.2%}) |"
        )
    lines += [
        "",
        "`coverage.slices`, and recall of the label >50K on real rows of the slice (95 % interval of the",
        "paired change):",
        "",
        "| starved in | seed | coverage.slices before | after | real rows | recall: twin | + rows | "
        "change | starved real | + rows | change | nothing taken away |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in rounds:
        slices, recall = one["metrics"]["coverage.slices"], one["recall"]["recall"]
        change = {
            k: "{:+.3f} ({:+.3f} to {:+.3f})".format(*v) for k, v in one["recall"]["change"].items()
        }
        lines.append(
            f"| {one['place']} | {one['seed']} | {slices['before']:.4f} | {slices['after']:.4f} | "
            f"{slices['baseline']:.4f} | {recall['twin']:.3f} | {recall['twin + rows']:.3f} | "
            f"{change['twin']} | {recall['real']:.3f} | {recall['real + rows']:.3f} | "
            f"{change['real']} | {recall['real, nothing taken away']:.3f} |"
        )
    lines += ["", *_said(rounds), "", "What `gaps` named:", ""]
    for one in rounds:
        lines += [f"- {one['place']}, seed {one['seed']}: {'; '.join(one['named'])}"]
    return "\n".join(lines) + "\n"


def _said(rounds: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return plain sentences: what was closed, what was harmed, and whether recall rose."""
    n = len(rounds)
    least = min(one["gap"]["closed"] for one in rounds)
    beyond = sum(m["harm"] > m["margin"] for one in rounds for m in one["metrics"].values())
    lines = [
        f"- The gap in the slice was closed by {least:.0%} or more in each of {n} rounds.",
        f"- Metrics that became worse by more than their margin: {beyond}.",
    ]
    for name, called in (("twin", "the twin"), ("real", "the real rows of the recipe")):
        changes = [one["recall"]["change"][name] for one in rounds]
        rose, fell = sum(c[1] > 0 for c in changes), sum(c[2] < 0 for c in changes)
        lines.append(
            f"- Recall in the slice of a model trained on {called} and the new rows: surely higher in "
            f"{rose} of {n} rounds, surely lower in {fell}, mean change "
            f"{np.mean([c[0] for c in changes]):+.3f}."
        )
    lost = [
        one["recall"]["recall"]["real, nothing taken away"] - one["recall"]["recall"]["real"]
        for one in rounds
        if one["place"] == "real"
    ]
    if lost:
        lines.append(
            f"- What a model could gain at most: with all real rows of the slice its recall is "
            f"{np.mean(lost):+.3f} from that without them."
        )
    return lines


def _worst(metrics: Mapping[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    return max(metrics.items(), key=lambda item: item[1]["harm"] / item[1]["margin"])


def main() -> None:
    """Run the rounds that the command line asks for, and write both files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, help="rows of each part; by default all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--places", nargs="+", default=list(PLACES), choices=PLACES)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "closed_loop.md")
    args = parser.parse_args()
    rounds = []
    for place in args.places:
        for seed in args.seeds:
            with tempfile.TemporaryDirectory() as folder:
                rounds.append(one_round(place, seed, args.rows, Path(folder)))
            args.out.write_text(_page(rounds))
            args.out.with_suffix(".json").write_text(json.dumps(rounds, indent=2) + "\n")


if __name__ == "__main__":
    main()
