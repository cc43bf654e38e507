"""Are synthetic texts good for anything? Models trained with them, tested on real texts.

    python -m benchmarks.text.usefulness                   # all trials, about three minutes
    python -m benchmarks.text.usefulness --page            # the page alone, from usefulness.json
    python -m benchmarks.text.usefulness --only banking    # one trial again, the others as they are
    python -m benchmarks.text.usefulness --seeds 2         # a look: printed, nothing is written

Real data: SNIPS (train set to draw from, validation set to test on) and the banking and credit card
intents of CLINC150 (the same). Five draws of real train rows. No choice was synthetic on a test row.
Results: USEFULNESS.md and usefulness.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.datasets import TextRow, banking, snips
from benchmarks.intervals import Difference, hit_difference
from benchmarks.markdown import spread, table, write_page
from benchmarks.results import write_json
from benchmarks.text.arms import BANKING, Arm, copies, learned, snips_words, templates
from benchmarks.text.learners import (
    TaggerBench,
    f1_difference,
    hits,
    recommended_rows,
    strength_for,
    two_sample_area,
)

HERE = Path(__file__).parent
Seeds = Sequence[int]
Rows = Sequence[TextRow]
SEEDS = range(5)
N_SYNTHETIC = 1_400  # rows by hand for intents, 200 an intent
TAGGED = 700  # synthetic rows for entities
COMPARED = 600  # rows a side of the comparison by words
MEASURES = {"accuracy": "accuracy", "f1": "F1"}


def some_of_each(rows: Rows, k: int, rng: np.random.Generator) -> list[TextRow]:
    """Return `k` random rows of each intent, intents in the order of their names."""
    chosen: dict[str, list[TextRow]] = {i: [] for i in sorted({r["about"] for r in rows})}
    for i in rng.permutation(len(rows)):
        if len(chosen[rows[i]["about"]]) < k:
            chosen[rows[i]["about"]].append(rows[i])
    return [row for own in chosen.values() for row in own]


def snips_labels() -> list[str]:
    """Return the labels of spans in SNIPS."""
    return sorted({mark["label"] for row in snips("train") for mark in row["marks"]})


def intents(train: Rows, test: Rows, k: int, arms: Sequence[Arm], seeds: Seeds) -> dict[str, Any]:
    """Return the accuracy of `k` real rows per intent alone and with the rows of each arm."""
    found: dict[str, list[Any]] = {name: [] for name in ("real", *(arm.name for arm in arms))}
    for seed in seeds:
        real = some_of_each(train, k, np.random.default_rng(seed))
        found["real"].append(hits(real, (), 1.0, strength_for(real, None, 1.0, seed), test))
        for arm in arms:
            strength = strength_for(real, arm.make, arm.weight, seed)
            synthetic = arm.make(real, seed)
            found[arm.name].append(hits(real, synthetic, arm.weight, strength, test))
    alone = np.array(found.pop("real"))
    return {
        "k": k,
        "test rows": len(test),
        "real": alone.mean(axis=1).tolist(),
        "arms": {
            name: {
                "accuracy": np.array(own).mean(axis=1).tolist(),
                "gain": hit_difference(np.array(own), alone)._asdict(),
            }
            for name, own in found.items()
        },
    }


def snips_intents(seeds: Seeds) -> list[dict[str, Any]]:
    """Return the trials with 5 and 100 real rows per intent of SNIPS."""
    arms = (templates(N_SYNTHETIC), learned(4, None, "learned"), copies(4))
    return [intents(snips("train"), snips("validation"), k, arms, seeds) for k in (5, 100)]


def banking_intents(seeds: Seeds) -> dict[str, Any]:
    """Return the trial with 5 real rows per intent of banking and credit cards."""
    with_words = learned(10, BANKING, "learned, with lists of phrases")
    arms = (with_words, learned(10, None, "learned"), copies(10))
    return intents(banking("train"), banking("validation"), 5, arms, seeds)


def synthetic_alone(seeds: Seeds) -> list[float]:
    """Return the accuracy of models of the hand-written templates alone on real rows of SNIPS."""
    found = []
    for seed in seeds:
        synthetic = templates(N_SYNTHETIC).make((), seed)
        strength = strength_for(synthetic, None, 1.0, seed)
        found.append(float(hits(synthetic, (), 1.0, strength, snips("validation")).mean()))
    return found


def intent_sweep(seeds: Seeds) -> dict[str, Any]:
    """Return what `utility.exchange_rate` recommends beside 20 real rows per intent of SNIPS.

    Two kinds of synthetic rows: the hand-written templates, and the same with their intents permuted,
    which cannot help. The sweep tests on 20 further real rows per intent.
    """
    test = snips("validation")
    out: dict[str, Any] = {"real": [], "arms": {}}
    for seed in seeds:
        both = some_of_each(snips("train"), 40, np.random.default_rng(seed))
        real, held_out = both[::2], both[1::2]
        strength = strength_for(real, None, 1.0, seed)
        alone = hits(real, (), 1.0, strength, test)
        out["real"].append(float(alone.mean()))
        good = templates(len(real)).make((), seed)
        for name, synthetic in (
            ("templates by hand", good),
            ("wrong labels", _misplaced(good, seed)),
        ):
            rows, worth = recommended_rows("utility.exchange_rate", real, synthetic, held_out, seed)
            chosen = hits(real, synthetic[:rows], 1.0, strength, test) if rows else alone
            own = out["arms"].setdefault(name, {"recommended": [], "worth": [], "accuracy": []})
            for key, value in zip(own, (rows, worth, float(chosen.mean()))):
                own[key].append(value)
    return out


def entities(k: int, seeds: Seeds) -> dict[str, Any]:
    """Return the F1 of entities of `k` real rows per intent of SNIPS alone and with 700 others."""
    train, test = snips("train"), snips("validation")
    bench, per_row = TaggerBench.from_rows(test, snips_labels()), TAGGED // (7 * k)
    arms = (
        templates(TAGGED),
        learned(per_row, None, "learned"),
        learned(per_row, snips_words(), "learned, with word lists"),
        copies(per_row),
    )
    found: dict[str, list[Any]] = {name: [] for name in ("real", *(arm.name for arm in arms))}
    for seed in seeds:
        real = some_of_each(train, k, np.random.default_rng(seed))
        found["real"].append(bench.found([real], seed))
        for arm in arms:
            found[arm.name].append(bench.found([real, arm.make(real, seed)], seed))
    alone = found.pop("real")
    return {
        "k": k,
        "test rows": len(test),
        "real": [bench.f1(one) for one in alone],
        "arms": {
            name: {
                "f1": [bench.f1(one) for one in own],
                "gain": f1_difference(own, alone, len(test))._asdict(),
            }
            for name, own in found.items()
        },
    }


def entity_sweep(seeds: Seeds) -> dict[str, Any]:
    """Return what `utility.entity_exchange_rate` recommends beside 350 real rows of SNIPS.

    Two kinds of synthetic rows: the hand-written templates, and the same with the labels of their
    spans permuted, which cannot help. The sweep tests on 350 further real rows.
    """
    train, test = snips("train"), snips("validation")
    bench = TaggerBench.from_rows(test, snips_labels())
    out: dict[str, Any] = {"real": [], "arms": {}}
    alone: list[Any] = []
    found: dict[str, list[Any]] = {}
    for seed in seeds:
        both = some_of_each(train, 100, np.random.default_rng(seed))
        real, held_out = both[::2], both[1::2]
        alone.append(bench.found([real], seed))
        good = templates(len(real)).make((), seed)
        for name, synthetic in (
            ("templates by hand", good),
            ("wrong labels", _mislabelled(good, seed)),
        ):
            rows, _ = recommended_rows(
                "utility.entity_exchange_rate", real, synthetic, held_out, seed
            )
            own = out["arms"].setdefault(name, {"recommended": [], "all": []})
            own["recommended"].append(rows)
            own["all"].append(bench.f1(bench.found([real, synthetic], seed)))
            chosen = alone[-1] if not rows else bench.found([real, synthetic[:rows]], seed)
            found.setdefault(name, []).append(chosen)
    out["real"] = [bench.f1(one) for one in alone]
    for name, own in out["arms"].items():
        own["f1"] = [bench.f1(one) for one in found[name]]
        own["gain"] = f1_difference(found[name], alone, len(test))._asdict()
    return out


def controls(seeds: Seeds) -> dict[str, list[float]]:
    """Return how well words separate 600 rows of SNIPS from 600 others: real, by hand, learned."""
    train = snips("train")
    out: dict[str, list[float]] = {"real": [], "templates by hand": [], "learned": []}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(train))[: 2 * COMPARED]
        one, other = ([train[i] for i in part] for part in np.split(order, 2))
        synthetic = learned(1, None, "learned").make(other, seed)
        for name, rows in zip(out, (other, templates(COMPARED).make((), seed), synthetic)):
            out[name].append(two_sample_area(one, rows, seed))
    return out


def _misplaced(rows: Rows, seed: int) -> list[TextRow]:
    """Return rows with intents of other rows."""
    labels = np.random.default_rng(seed).permutation([row["about"] for row in rows]).tolist()
    return [{**row, "about": intent} for row, intent in zip(rows, labels)]


def _mislabelled(rows: Rows, seed: int) -> list[TextRow]:
    """Return rows whose spans carry labels of other spans."""
    labels = np.array([mark["label"] for row in rows for mark in row["marks"]])
    drawn = iter(np.random.default_rng(seed).permutation(labels).tolist())
    return [{**r, "marks": [{**m, "label": next(drawn)} for m in r["marks"]]} for r in rows]


TRIALS: dict[str, Callable[[Seeds], Any]] = {
    "controls": controls,
    "alone": synthetic_alone,
    "intents": snips_intents,
    "intent sweep": intent_sweep,
    "banking": banking_intents,
    "entities 10": lambda seeds: entities(10, seeds),
    "entities 50": lambda seeds: entities(50, seeds),
    "sweep": entity_sweep,
}


def blocks(found: Mapping[str, Any], reference: Mapping[str, Any]) -> dict[str, str]:
    """Return the blocks of USEFULNESS.md."""
    few, many = found["intents"]
    return {
        "goals": goals(found),
        "intents 5": _trial(few, "accuracy"),
        "intents 100": _trial(many, "accuracy"),
        "banking": _trial(found["banking"], "accuracy"),
        "intent sweep": _intent_sweep(found["intent sweep"]),
        "alone": f"Templates by hand alone, no real row: accuracy {spread(found['alone'])} on SNIPS.",
        "entities 10": _trial(found["entities 10"], "f1"),
        "entities 50": _trial(found["entities 50"], "f1"),
        "entity sweep": _entity_sweep(found["sweep"]),
        "reference": _reference(reference),
        "controls": table(
            ["other rows", "area: mean (least to most)"],
            [[name, spread(areas)] for name, areas in found["controls"].items()],
        ),
    }


def goals(found: Mapping[str, Any]) -> str:
    """Return the table of goals, what was measured and whether it is met."""
    few, many = (_gain(trial["arms"]["templates by hand"]) for trial in found["intents"])
    hundred = found["intents"][1]
    per_draw = np.array(hundred["arms"]["templates by hand"]["accuracy"])
    worst = float((per_draw - np.array(hundred["real"])).min())
    bank = _gain(found["banking"]["arms"]["learned, with lists of phrases"])
    tagged = _gain(found["entities 10"]["arms"]["templates by hand"])
    swept = found["sweep"]["arms"]["templates by hand"]
    least = min(f1 - real for f1, real in zip(swept["f1"], found["sweep"]["real"]))
    alone, real = float(np.mean(found["alone"])), found["controls"]["real"]
    rows = [
        ("SNIPS, no real row: accuracy of templates by hand at least 0.94", f"{alone:.3f}", alone >= 0.94),
        ("SNIPS, 5 real rows per intent: synthetic rows bring 3 points or more, interval above 0",
         few.points, few.mean >= 0.03 and few.low > 0),
        ("SNIPS, 100 per intent: never worse by more than 0.5 points",
         f"{many.points}; worst draw {100 * worst:+.1f}", worst >= -0.005 and many.low >= -0.005),
        ("CLINC150 banking, learned from 5 per intent: interval above 0", bank.points, bank.low > 0),
        ("Entities, 70 real rows: F1 gains 5 points or more", tagged.points,
         tagged.mean >= 0.05 and tagged.low > 0),
        ("Entities, 350 real rows: what the sweep recommends does not lose, mean of the draws",
         _gain(swept).points, _gain(swept).mean >= 0),
        ("the same: costs more than 0.5 points in no draw",
         f"recommends {_join(swept['recommended'])}; worst draw {100 * least:+.1f}", least >= -0.005),
        ("the same: costs nothing at all in any draw", f"worst draw {100 * least:+.1f}", least >= 0),
        ("Real against real rows: area 0.45 to 0.55", f"{min(real):.3f} to {max(real):.3f}",
         min(real) >= 0.45 and max(real) <= 0.55),
    ]  # fmt: skip
    lines = [[goal, seen, "yes" if met else "**no**"] for goal, seen, met in rows]
    return table(["goal", "found", "met"], lines)


def _gain(arm: Mapping[str, Any]) -> Difference:
    return Difference(**arm["gain"])


def _join(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def _trial(trial: Mapping[str, Any], measure: str) -> str:
    rows = [["real rows alone", spread(trial["real"]), ""]]
    rows += [
        [f"real rows + {name}", spread(arm[measure]), _gain(arm).points]
        for name, arm in trial["arms"].items()
    ]
    name = MEASURES[measure]
    return table(["trained on", f"{name}: mean (least to most)", "gain in points [95 %]"], rows)


def _intent_sweep(sweep: Mapping[str, Any]) -> str:
    rows = [["none", "", "", spread(sweep["real"])]]
    rows += [
        [name, _join(a["recommended"]), _thousands(a["worth"]), spread(a["accuracy"])]
        for name, a in sweep["arms"].items()
    ]
    head = ["synthetic rows", "recommended, by draw", "1,000 are worth, in real rows",
            "accuracy with those"]  # fmt: skip
    return table(head, rows)


def _thousands(values: Sequence[float]) -> str:
    return f"{np.mean(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def _entity_sweep(sweep: Mapping[str, Any]) -> str:
    rows = [["none", "", spread(sweep["real"]), "", ""]]
    rows += [
        [name, _join(a["recommended"]), spread(a["f1"]), spread(a["all"]), _gain(a).points]
        for name, a in sweep["arms"].items()
    ]
    head = ["synthetic rows", "recommended, by draw", "F1 with those", "F1 with all 350",
            "gain in points [95 %]"]  # fmt: skip
    return table(head, rows)


def _reference(reference: Mapping[str, Any]) -> str:
    apart = max(abs(one["own"] - one["seqeval"]) for one in reference["scorers"])
    rows = []
    for trial in reference["trials"]:
        rows.append([7 * trial["k"], "none", spread(trial["real"]), ""])
        for name, arm in trial["arms"].items():
            rows.append([7 * trial["k"], name, spread(arm["f1"]), _gain(arm).points])
    head = ["real rows", "synthetic rows", "F1: mean (least to most)", "gain in points [95 %]"]
    return (
        f"The project's own scorer differs from seqeval by {apart:.4f} at most, for entities that end "
        f"inside a token.\n\n{table(head, rows)}"
    )


def main() -> None:
    """Run the trials of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=sorted(TRIALS))
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    options = parser.parse_args()
    names = [] if options.page else [options.only] if options.only else list(TRIALS)
    with threadpool_limits(1):
        found = {name: TRIALS[name](range(options.seeds)) for name in names}
    if options.seeds != len(SEEDS):
        print(json.dumps(found, indent=1))
        return
    if options.page or options.only:
        found = json.loads((HERE / "usefulness.json").read_text("utf-8")) | found
    reference = json.loads((HERE / "reference_tagger.json").read_text("utf-8"))
    write_json(options.out / "usefulness.json", found)
    write_page(options.out / "USEFULNESS.md", blocks(found, reference), HERE / "USEFULNESS.md")


if __name__ == "__main__":
    main()
