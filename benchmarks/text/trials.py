"""The trials: each returns plain values for the page, all seeds tested on the same real rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .arms import BANKING, Arm, copies, learned, snips_words, templates
from .entities import Bench, of_f1, recommended
from .intervals import of_hits
from .learners import hits, recommended_intents, strength_for, two_sample_area
from .sets import Row, banking, snips, some_of_each

SEEDS = range(5)
_MADE = 1_400
_TAGGED = 700
_COMPARED = 600


def intents(
    train: Sequence[Row], test: Sequence[Row], k: int, arms: Sequence[Arm], seeds: Sequence[int]
) -> dict[str, Any]:
    """Return the accuracy of `k` real rows per intent alone and with the rows of each arm."""
    told: dict[str, list[Any]] = {name: [] for name in ("real", *(arm.name for arm in arms))}
    for seed in seeds:
        real = some_of_each(train, k, np.random.default_rng(seed))
        strength = strength_for(real, None, 1.0, seed)
        told["real"].append(hits(real, (), 1.0, strength, test))
        for arm in arms:
            strength = strength_for(real, arm.make, arm.weight, seed)
            told[arm.name].append(hits(real, arm.make(real, seed), arm.weight, strength, test))
    alone = np.array(told.pop("real"))
    return {
        "k": k,
        "test rows": len(test),
        "real": alone.mean(axis=1).tolist(),
        "arms": {
            name: {
                "accuracy": np.array(found).mean(axis=1).tolist(),
                "gain": vars(of_hits(np.array(found), alone)),
            }
            for name, found in told.items()
        },
    }


def snips_intents(seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Return the trials with 5 and 100 real rows per intent of SNIPS."""
    train, test = snips("train"), snips("validation")
    own = learned(4, None, "learned")
    control = copies(4)
    return [intents(train, test, k, (templates(_MADE), own, control), seeds) for k in (5, 100)]


def banking_intents(seeds: Sequence[int]) -> dict[str, Any]:
    """Return the trial with 5 real rows per intent of banking and credit cards."""
    with_words = learned(10, BANKING, "learned, with lists of phrases")
    arms = (with_words, learned(10, None, "learned"), copies(10))
    return intents(banking("train"), banking("validation"), 5, arms, seeds)


def synthetic_alone(seeds: Sequence[int]) -> list[float]:
    """Return the accuracy of models of the hand-written templates alone on real rows of SNIPS."""
    test = snips("validation")
    found = []
    for seed in seeds:
        made = templates(_MADE).make((), seed)
        strength = strength_for(made, None, 1.0, seed)
        found.append(float(hits(made, (), 1.0, strength, test).mean()))
    return found


def intent_sweep(seeds: Sequence[int]) -> dict[str, Any]:
    """Return what the sweep of `utility.exchange_rate` recommends beside 20 real rows per intent of SNIPS.

    Two kinds of made rows: the hand-written templates, and the same with their intents dealt anew, which
    cannot help. The sweep judges by 20 further real rows per intent; the test is the validation part.
    """
    train, test = snips("train"), snips("validation")
    out: dict[str, Any] = {"real": [], "arms": {}}
    for seed in seeds:
        both = some_of_each(train, 40, np.random.default_rng(seed))
        real, held = both[::2], both[1::2]
        strength = strength_for(real, None, 1.0, seed)
        alone = hits(real, (), 1.0, strength, test)
        out["real"].append(float(alone.mean()))
        good = templates(len(real)).make((), seed)
        for name, made in (("templates by hand", good), ("wrong labels", _misplaced(good, seed))):
            rows, worth = recommended_intents(real, made, held, seed)
            chosen = hits(real, made[:rows], 1.0, strength, test) if rows else alone
            own = out["arms"].setdefault(name, {"recommended": [], "worth": [], "accuracy": []})
            own["recommended"].append(rows)
            own["worth"].append(worth)
            own["accuracy"].append(float(chosen.mean()))
    return out


def entities(k: int, seeds: Sequence[int]) -> dict[str, Any]:
    """Return the F1 of entities of `k` real rows per intent of SNIPS alone and with 700 made rows."""
    train, test = snips("train"), snips("validation")
    labels = sorted({mark["label"] for row in train for mark in row["marks"]})
    bench = Bench.of(test, labels)
    per_row = _TAGGED // (7 * k)
    arms = (
        templates(_TAGGED),
        learned(per_row, None, "learned"),
        learned(per_row, snips_words(), "learned, with word lists"),
        copies(per_row),
    )
    told: dict[str, list[Any]] = {name: [] for name in ("real", *(arm.name for arm in arms))}
    for seed in seeds:
        real = some_of_each(train, k, np.random.default_rng(seed))
        told["real"].append(bench.found([real], seed))
        for arm in arms:
            told[arm.name].append(bench.found([real, arm.make(real, seed)], seed))
    alone = told.pop("real")
    return {
        "k": k,
        "test rows": len(test),
        "real": [bench.f1(one) for one in alone],
        "arms": {
            name: {
                "f1": [bench.f1(one) for one in found],
                "gain": vars(of_f1(found, alone, len(test))),
            }
            for name, found in told.items()
        },
    }


def entity_sweep(seeds: Sequence[int]) -> dict[str, Any]:
    """Return what the sweep recommends beside 350 real rows of SNIPS, and what that brings.

    Two kinds of made rows: the hand-written templates, and the same with the labels of their spans dealt
    anew, which cannot help. The sweep judges by 350 further real rows; the test is the validation part.
    """
    train, test = snips("train"), snips("validation")
    bench = Bench.of(test, sorted({mark["label"] for row in train for mark in row["marks"]}))
    out: dict[str, Any] = {"real": [], "arms": {}}
    alone: list[Any] = []
    found: dict[str, list[Any]] = {}
    for seed in seeds:
        both = some_of_each(train, 100, np.random.default_rng(seed))
        real, held = both[::2], both[1::2]
        alone.append(bench.found([real], seed))
        good = templates(len(real)).make((), seed)
        for name, made in (("templates by hand", good), ("wrong labels", _mislabelled(good, seed))):
            rows, _ = recommended(real, made, held, seed)
            own = out["arms"].setdefault(name, {"recommended": [], "all": []})
            own["recommended"].append(rows)
            with_all = bench.found([real, made], seed)
            own["all"].append(bench.f1(with_all))
            chosen = alone[-1] if not rows else bench.found([real, made[:rows]], seed)
            found.setdefault(name, []).append(chosen)
    out["real"] = [bench.f1(one) for one in alone]
    for name, own in out["arms"].items():
        own["f1"] = [bench.f1(one) for one in found[name]]
        own["gain"] = vars(of_f1(found[name], alone, len(test)))
    return out


def controls(seeds: Sequence[int]) -> dict[str, list[float]]:
    """Return how well words tell 600 rows of SNIPS from 600 others: real, by hand, and learned."""
    train = snips("train")
    out: dict[str, list[float]] = {"real": [], "templates by hand": [], "learned": []}
    for seed in seeds:
        order = np.random.default_rng(seed).permutation(len(train))[: 2 * _COMPARED]
        one, other = ([train[i] for i in part] for part in np.split(order, 2))
        made = learned(1, None, "learned").make(other, seed)
        out["real"].append(two_sample_area(one, other, seed))
        out["templates by hand"].append(
            two_sample_area(one, templates(_COMPARED).make((), seed), seed)
        )
        out["learned"].append(two_sample_area(one, made, seed))
    return out


def _misplaced(rows: Sequence[Row], seed: int) -> list[Row]:
    """Return rows with intents of other rows."""
    dealt = np.random.default_rng(seed).permutation([row["about"] for row in rows]).tolist()
    return [{**row, "about": intent} for row, intent in zip(rows, dealt)]


def _mislabelled(rows: Sequence[Row], seed: int) -> list[Row]:
    """Return rows whose spans carry labels of other spans."""
    labels = np.array([mark["label"] for row in rows for mark in row["marks"]])
    dealt = iter(np.random.default_rng(seed).permutation(labels).tolist())
    return [
        {**row, "marks": [{**mark, "label": next(dealt)} for mark in row["marks"]]} for row in rows
    ]
