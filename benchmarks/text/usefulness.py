"""Are synthetic texts good for anything? Models trained with them, tested on real texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.datasets import TextRow, banking, snips
from benchmarks.intervals import Difference
from benchmarks.markdown import spread, table
from benchmarks.runner import JOBS, Row
from benchmarks.text.arms import BANKING, Arm, copies, learned, snips_words, templates
from benchmarks.text.learners import IntentBench, TaggerBench, recommended_rows, two_sample_area

Seeds = Sequence[int]
Rows = Sequence[TextRow]
IntentsOrEntities = IntentBench | TaggerBench
Source = Callable[[str], Rows]  # name of a part, "train" or "validation" -> its rows
N_SYNTHETIC = 1_400  # rows by hand for intents, 200 an intent
TAGGED = 700  # synthetic rows for entities
COMPARED = 600  # rows a side of the comparison by words


def some_of_each(rows: Rows, k: int, rng: np.random.Generator) -> list[TextRow]:
    """Return `k` random rows of each intent, intents in the order of their names."""
    chosen: dict[str, list[TextRow]] = {i: [] for i in sorted({r["about"] for r in rows})}
    for i in rng.permutation(len(rows)):
        if len(chosen[rows[i]["about"]]) < k:
            chosen[rows[i]["about"]].append(rows[i])
    return [row for own in chosen.values() for row in own]


def snips_labels() -> list[str]:
    return sorted({mark["label"] for row in snips("train") for mark in row["marks"]})


def trial(
    bench: IntentsOrEntities, train: Rows, k: int, arms: Sequence[Arm], seeds: Seeds
) -> dict[str, Any]:
    """Return the score of `k` real rows per intent alone and with the rows of each arm."""
    alone: list[Any] = []
    found: dict[str, list[Any]] = {arm.name: [] for arm in arms}
    for seed in seeds:
        real = some_of_each(train, k, np.random.default_rng(seed))
        alone.append(bench.found(real, (), seed))
        for arm in arms:
            found[arm.name].append(bench.found(real, arm.make(real, seed), seed, arm))
    return {
        "k": k,
        "test rows": len(bench.test),
        "real": [bench.score(one) for one in alone],
        "arms": {name: _arm(bench, own, alone) for name, own in found.items()},
    }


def _arm(bench: IntentsOrEntities, own: Sequence[Any], alone: Sequence[Any]) -> dict[str, Any]:
    gain = bench.gain(own, alone)._asdict()
    return {"score": [bench.score(one) for one in own], "gain": gain}


def intents(source: Source, k: int, arms: Sequence[Arm], seeds: Seeds) -> dict[str, Any]:
    return trial(IntentBench(source("validation")), source("train"), k, arms, seeds)


def entities(k: int, seeds: Seeds) -> dict[str, Any]:
    per_row = TAGGED // (7 * k)
    with_words = learned(per_row, snips_words(), "learned, with word lists")
    arms = (templates(TAGGED), learned(per_row, None, "learned"), with_words, copies(per_row))
    return trial(TaggerBench(snips("validation"), snips_labels()), snips("train"), k, arms, seeds)


def synthetic_alone(seeds: Seeds) -> list[float]:
    """Return the accuracy of models of the hand-written templates alone on real rows of SNIPS."""
    bench = IntentBench(snips("validation"))
    made = [templates(N_SYNTHETIC).make((), seed) for seed in seeds]
    return [bench.score(bench.found(rows, (), seed)) for rows, seed in zip(made, seeds)]


def sweep(
    bench: IntentsOrEntities, metric: str, k: int, spoil: Callable[[Rows, int], Rows], seeds: Seeds
) -> dict[str, Any]:
    """Return what an exchange rate recommends beside `k` real rows per intent of SNIPS.

    Two kinds of synthetic rows: the hand-written templates, and the same with labels of others, which
    cannot help. The sweep tests on `k` further real rows per intent.
    """
    alone: list[Any] = []
    found: dict[str, list[Any]] = {"templates by hand": [], "wrong labels": []}
    arms: dict[str, dict[str, list[Any]]] = {
        name: {"recommended": [], "worth": [], "all": []} for name in found
    }
    for seed in seeds:
        both = some_of_each(snips("train"), 2 * k, np.random.default_rng(seed))
        real, held_out = both[::2], both[1::2]
        alone.append(bench.found(real, (), seed))
        good = templates(len(real)).make((), seed)
        for name, synthetic in zip(found, (good, spoil(good, seed))):
            rows, worth = recommended_rows(metric, real, synthetic, held_out, seed)
            found[name].append(bench.found(real, synthetic[:rows], seed))
            every = bench.score(bench.found(real, synthetic, seed))
            for key, value in zip(arms[name], (rows, worth, every)):
                arms[name][key].append(value)
    swept = {name: {**arms[name], **_arm(bench, own, alone)} for name, own in found.items()}
    return {"real": [bench.score(one) for one in alone], "arms": swept}


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
    labels = np.random.default_rng(seed).permutation([row["about"] for row in rows]).tolist()
    return [{**row, "about": intent} for row, intent in zip(rows, labels)]


def _mislabelled(rows: Rows, seed: int) -> list[TextRow]:
    labels = np.array([mark["label"] for row in rows for mark in row["marks"]])
    drawn = iter(np.random.default_rng(seed).permutation(labels).tolist())
    return [{**r, "marks": [{**m, "label": next(drawn)} for m in r["marks"]]} for r in rows]


SNIPS_ARMS = (templates(N_SYNTHETIC), learned(4, None, "learned"), copies(4))
BANKING_ARMS = (learned(10, BANKING, "learned, with lists of phrases"),
                learned(10, None, "learned"), copies(10))  # fmt: skip
TRIALS: dict[str, Callable[[Seeds], Any]] = {
    "controls": controls,
    "alone": synthetic_alone,
    "intents 5": lambda seeds: intents(snips, 5, SNIPS_ARMS, seeds),
    "intents 100": lambda seeds: intents(snips, 100, SNIPS_ARMS, seeds),
    "intent sweep": lambda seeds: sweep(
        IntentBench(snips("validation")), "utility.exchange_rate", 20, _misplaced, seeds
    ),
    "banking": lambda seeds: intents(banking, 5, BANKING_ARMS, seeds),
    "entities 10": lambda seeds: entities(10, seeds),
    "entities 50": lambda seeds: entities(50, seeds),
    "entity sweep": lambda seeds: sweep(
        TaggerBench(snips("validation"), snips_labels()),
        "utility.entity_exchange_rate", 50, _mislabelled, seeds,
    ),
}  # fmt: skip


def blocks(rows: Sequence[Row]) -> dict[str, str]:
    found = {row["trial"]: row["found"] for row in rows}
    controls = [[name, spread(areas)] for name, areas in found["controls"].items()]
    accuracy, f1 = ("intents 5", "intents 100", "banking"), ("entities 10", "entities 50")
    return {
        "goals": goals(found),
        **{name: trial_table(found[name], "accuracy") for name in accuracy},
        "intent sweep": sweep_table(found["intent sweep"], INTENT_SWEEP),
        "alone": f"Templates by hand alone, no real row: accuracy {spread(found['alone'])} on SNIPS.",
        **{name: trial_table(found[name], "F1") for name in f1},
        "entity sweep": sweep_table(found["entity sweep"], ENTITY_SWEEP),
        "controls": table(["other rows", "area: mean (least to most)"], controls),
    }


def goals(found: Mapping[str, Any]) -> str:
    """Return the table of goals, what was measured and whether it is met."""
    hundred = found["intents 100"]
    few, many = (gain_of(t["arms"]["templates by hand"]) for t in (found["intents 5"], hundred))
    per_draw = np.array(hundred["arms"]["templates by hand"]["score"])
    worst = float((per_draw - np.array(hundred["real"])).min())
    bank = gain_of(found["banking"]["arms"]["learned, with lists of phrases"])
    tagged = gain_of(found["entities 10"]["arms"]["templates by hand"])
    swept = found["entity sweep"]["arms"]["templates by hand"]
    least = min(f1 - real for f1, real in zip(swept["score"], found["entity sweep"]["real"]))
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
         gain_of(swept).points, gain_of(swept).mean >= 0),
        ("the same: costs more than 0.5 points in no draw",
         f"recommends {_join(swept['recommended'])}; worst draw {100 * least:+.1f}", least >= -0.005),
        ("the same: costs nothing at all in any draw", f"worst draw {100 * least:+.1f}", least >= 0),
        ("Real against real rows: area 0.45 to 0.55", f"{min(real):.3f} to {max(real):.3f}",
         min(real) >= 0.45 and max(real) <= 0.55),
    ]  # fmt: skip
    lines = [[goal, seen, "yes" if met else "**no**"] for goal, seen, met in rows]
    return table(["goal", "found", "met"], lines)


def gain_of(arm: Mapping[str, Any]) -> Difference:
    return Difference(**arm["gain"])


def _join(values: Sequence[object]) -> str:
    return ", ".join(map(str, values))


def trial_table(trial: Mapping[str, Any], measure: str) -> str:
    rows = [["real rows alone", spread(trial["real"]), ""]]
    rows += [
        [f"real rows + {name}", spread(arm["score"]), gain_of(arm).points]
        for name, arm in trial["arms"].items()
    ]
    head = ["trained on", f"{measure}: mean (least to most)", "gain in points [95 %]"]
    return table(head, rows)


ArmCell = Callable[[Mapping[str, Any]], str]
INTENT_SWEEP: dict[str, ArmCell] = {
    "recommended, by draw": lambda arm: _join(arm["recommended"]),
    "1,000 are worth, in real rows": lambda arm: spread(arm["worth"], 0, separator=","),
    "accuracy with those": lambda arm: spread(arm["score"]),
}
ENTITY_SWEEP: dict[str, ArmCell] = {
    "recommended, by draw": lambda arm: _join(arm["recommended"]),
    "F1 with those": lambda arm: spread(arm["score"]),
    "F1 with all 350": lambda arm: spread(arm["all"]),
    "gain in points [95 %]": lambda arm: gain_of(arm).points,
}


def sweep_table(sweep: Mapping[str, Any], columns: Mapping[str, ArmCell]) -> str:
    real = [spread(sweep["real"]) if name.endswith("with those") else "" for name in columns]
    arms = [[name, *(cell(a) for cell in columns.values())] for name, a in sweep["arms"].items()]
    return table(["synthetic rows", *columns], [["none", *real], *arms])


def measure(job: Row) -> Row:
    return {"trial": job["trial"], "found": TRIALS[job["trial"]](range(job["seeds"]))}


def summary(rows: Sequence[Row]) -> list[Row]:
    order = JOBS["text.usefulness"]["settings"]["trials"]
    return sorted(rows, key=lambda row: order.index(row["trial"]))
