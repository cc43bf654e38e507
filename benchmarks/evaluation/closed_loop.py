"""One round of `twinset gaps` on Adult: a thinned slice is named and filled, and nothing else degrades.

Nine tenths of one slice are taken away: from the real train rows, so that the twin never saw them and
its true share is declared by `want`; or from the twin alone, so that `gaps` has to find it. The recipe is
run as it is written and its rows are added to the twin. Everything is then measured on Adult's test part.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.ensemble import HistGradientBoostingClassifier

import twinset
from benchmarks.evaluation.scores import family_scores
from benchmarks.intervals import Difference, bootstrapped
from benchmarks.markdown import bullets
from benchmarks.runner import Row, tables_of
from benchmarks.tabular.sets import Roles, code, load
from twinset.core.data.dataset import Dataset
from twinset.core.data.where import Where
from twinset.core.features.discretize import infer_factors
from twinset.core.findings import RegionShares
from twinset.core.stats.hypothesis_tests import two_sample
from twinset.report.answers.sentences import region_sentence

SLICE = "sex = Female and hours-per-week >= 50"
LEFT = 0.1  # share of the slice that is left: little enough to matter, enough to learn from
# Rows of the slice that are left at least: of fewer than 11 real train rows `gaps` writes no recipe, as
# with ``--limit 6000``, where a tenth of the slice is 20 rows, less those of the holdout.
MIN_LEFT = 30


def measure(job: Row) -> Row:
    """Return one round: what was named, shares, metrics, other levels, and recall in the slice."""
    place, seed = job["place"], job["seed"]
    train, holdout, roles = _adult(job["limit"])
    rng = np.random.default_rng(seed)
    thinned = _thin(train, rng) if place == "real" else train
    true = float(_mask(train).mean())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        real, twin = folder / "real.parquet", folder / "twin.parquet"
        thinned.to_parquet(real, index=False)
        twinset.twin(real, twin, target=roles.target, seed=seed)
        before = pd.read_parquet(twin)
        if place == "synthetic":
            before = _thin(before, rng)
            before.to_parquet(twin, index=False)
        want = {SLICE: true} if place == "real" else None
        found = twinset.gaps(real, twin, want=want, folder=folder)
        recipe, to = folder / "recipe.yaml", f"deliver.to={folder / 'out'}"
        recipe.write_text(found.recipe)
        done = twinset.run(recipe, root=folder / "catalogue", overrides=[to])
        added = pd.read_parquet(done.delivered / "synthetic.parquet")[list(before.columns)]
    after, test = pd.concat([before, added], ignore_index=True), _dataset(holdout)
    sets = {
        "twin": before,
        "twin + rows": after,
        "real": thinned,
        "real + rows": pd.concat([thinned, added], ignore_index=True),
        "real, nothing taken away": train,
    }
    return {
        **job,
        "rows": {"real": len(thinned), "twin": len(before), "added": len(added)},
        "named": [gap.sentence for gap in found.missing],
        **_shares(before, after, holdout, true),
        "metrics": _metrics(_dataset(thinned), (before, after), test, roles.target, seed),
        "elsewhere": _elsewhere(before, after, test),
        "recall": _recalls(sets, holdout, roles, seed),
    }


def _adult(rows: int) -> tuple[pd.DataFrame, pd.DataFrame, Roles]:
    """Return train and test part, at most `rows` each if above 0, texts without leading blanks."""
    adult, parts = load("adult"), []
    for frame in (adult.train, adult.holdout):
        frame = frame.apply(lambda c: c.str.strip() if not pd.api.types.is_numeric_dtype(c) else c)
        cut = frame.sample(min(rows, len(frame)), random_state=0) if rows else frame
        parts.append(cut.reset_index(drop=True))
    roles = adult.roles
    return parts[0], parts[1], Roles(roles.columns, roles.categories, roles.target, ">50K")


def _thin(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Return the rows with a tenth of the slice, or 30 rows of it."""
    inside, draws = _mask(frame), rng.random(len(frame))
    bound = max(LEFT, float(np.sort(draws[inside])[MIN_LEFT]))
    return frame[~inside | (draws < bound)].reset_index(drop=True)


def _mask(frame: pd.DataFrame) -> npt.NDArray[np.bool_]:
    return _dataset(frame[["sex", "hours-per-week"]]).mask(Where.parse(SLICE))


def _dataset(frame: pd.DataFrame, like: Dataset | None = None) -> Dataset:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    return Dataset.from_arrow(table, like.schema if like else None)


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
    train: Dataset, synthetic: Sequence[pd.DataFrame], test: Dataset, target: str, seed: int
) -> dict[str, dict[str, Any]]:
    """Return every metric of gap and coverage before and after, and how much worse it became."""
    sides = [(train, _dataset(frame, train), test) for frame in synthetic]
    old, new = (
        family_scores(parts, ("gap", "coverage"), target=target, seed=seed) for parts in sides
    )
    found: dict[str, dict[str, Any]] = {}
    for was, now in zip(old, new):
        if was.value is None or now.value is None:
            continue
        row = found[was.metric] = {
            "before": was.value,
            "after": now.value,
            "baseline": now.baseline,
            "margin": was.margin,
            "degradation": (was.value - now.value) * (1 if was.higher_is_better else -1),
            "verdicts": [was.verdict, now.verdict],
        }
        if was.metric == "coverage.slices":
            few = [score.finding(RegionShares) or RegionShares() for score in (was, now)]
            row["under_covered"] = [[region_sentence(r) for r in x.underrepresented] for x in few]
    return found


def _elsewhere(before: pd.DataFrame, after: pd.DataFrame, reference: Dataset) -> dict[str, Any]:
    """Return the level, of any column, whose share moved away from the real one most."""
    worst: tuple[float, str] = (-1.0, "")
    sets = [reference, *(_dataset(frame, reference) for frame in (before, after))]
    n_worse = n_levels = 0
    for factor in infer_factors(reference):
        counts = [np.bincount(factor.codes(part), minlength=factor.size + 1) for part in sets]
        real, old, new = (count / count.sum() for count in counts)
        for i, level in enumerate(factor.levels):
            moved = float(abs(new[i] - real[i]) - abs(old[i] - real[i]))
            sides = [(np.array([float(c[i])]), int(c.sum())) for c in (counts[2], counts[1])]
            _, p = two_sample(*sides[0], *sides[1])
            n_levels += 1
            n_worse += int(moved > 0 and p[0] < 0.05)
            worst = max(worst, (moved, level.words))
    return {"level": worst[1], "moved_away": worst[0], "levels": n_levels, "surely_worse": n_worse}


def _recalls(
    sets: Mapping[str, pd.DataFrame], holdout: pd.DataFrame, roles: Roles, seed: int
) -> dict[str, Any]:
    """Return the recall of >50K on real rows of the slice, by the rows of training."""
    inside = holdout[_mask(holdout)]
    coded = code(roles, *sets.values(), inside)
    target = roles.categories.index(roles.target)
    y = (inside[roles.target] == roles.positive).to_numpy()
    hits = {}
    for name, data in zip(sets, coded):
        x, labels = _matrix(data, target), data.codes[:, target]
        is_label = np.arange(x.shape[1]) >= data.numbers.shape[1]
        model = HistGradientBoostingClassifier(categorical_features=is_label, random_state=seed)
        model.fit(x, labels == data.levels[target].index(roles.positive))
        hits[name] = model.predict(_matrix(coded[-1], target))[y].astype(float)
    changes = {name: hits[f"{name} + rows"] - hits[name] for name in ("twin", "real")}
    return {
        "positive_rows": int(y.sum()),
        "recall": {name: float(hit.mean()) for name, hit in hits.items()},
        "change": {k: bootstrapped(v, np.random.default_rng(seed)) for k, v in changes.items()},
    }


def _matrix(data: Any, target: int) -> npt.NDArray[np.float64]:
    return np.hstack([data.numbers, np.delete(data.codes, target, axis=1)])


def blocks(rounds: Sequence[Row]) -> dict[str, str]:
    shown = []
    for one in rounds:
        change = {k: str(Difference(*v)) for k, v in one["recall"]["change"].items()}
        shown.append({**one, "worst": _worst(one["metrics"]), "change": change})
    named = [f"{r['place']}, seed {r['seed']}: {'; '.join(r['named'])}" for r in rounds]
    found = tables_of("evaluation.closed_loop", shown)
    return found | {"summary": bullets(_sentences(rounds)), "named": bullets(named)}


def _worst(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the metric that became worst by its margin, as a cell of a table."""
    name, worst = max(metrics.items(), key=lambda item: item[1]["degradation"] / item[1]["margin"])
    return f"{name} ({worst['degradation']:+.4f} / {worst['margin']:g})"


def _sentences(rounds: Sequence[Row]) -> list[str]:
    """Return sentences: how much was closed, what degraded, and whether recall rose."""
    least = min(one["gap"]["closed"] for one in rounds)
    beyond = sum(m["degradation"] > m["margin"] for one in rounds for m in one["metrics"].values())
    lines = [
        f"The gap in the slice was closed by {least:.0%} or more in each of {len(rounds)} rounds.",
        f"Metrics that became worse by more than their margin: {beyond}.",
    ]
    for name, title in (("twin", "the twin"), ("real", "the real rows of the recipe")):
        changes = [Difference(*one["recall"]["change"][name]) for one in rounds]
        lines.append(
            f"Recall in the slice of a model trained on {title} and the new rows: surely higher in "
            f"{sum(c.low > 0 for c in changes)} of {len(rounds)} rounds, surely lower in "
            f"{sum(c.high < 0 for c in changes)}, mean change {np.mean([c.mean for c in changes]):+.3f}."
        )
    recalls = [one["recall"]["recall"] for one in rounds if one["place"] == "real"]
    if recalls:
        lost = np.mean([r["real, nothing taken away"] - r["real"] for r in recalls])
        lines.append(
            "What a model could gain at most: with all real rows of the slice its recall is "
            f"{lost:+.3f} from that without them."
        )
    return lines
