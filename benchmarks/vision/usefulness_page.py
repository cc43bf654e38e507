"""The page that says what the trials of usefulness found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

Round = Mapping[str, Any]

_F1 = "F1 at IoU 0.5"
_AP = "average precision of {}"
WORDS: Mapping[str, str] = {
    "all": """\
Each round draws its own real training pictures from an open part of the set, makes synthetic ones
of them alone, and trains the small nets of `utility.image_segmentation` or
`utility.image_detection` on the real ones and on both: same first weights, same steps, half of each
batch synthetic. Both get standard augmentation (mirrors, turns, scale, light). Tests are on a
locked part that no design was chosen by. The interval of a mean (95 %) is Student's over rounds.
Made by `benchmarks/vision/usefulness.py`; CPU alone.""",
    "nuclei": """\
Goal: + 10 % of F1, interval above 0. **Not reached.** Beside four real pictures stand 120 with 10 to
40 pasted nuclei, a fifth of them turned light for dark; 22 locked ones. An earlier design, whose nets
normed a batch of all stains together, had hurt in the one round that was run of it (.660 to .591).

What was tried on the open part with those nets, one each, F1 on its other pictures:

| | real ones, augmentation | draws | mean |
|---|---|---|---|
| real alone | 4, moderate | .523 .435 .520 | .493 |
| 4 to 12 pastes | 4, moderate | .474 .402 .480 | .452 |
| 10 to 40 pastes | 4, moderate | .632 .353 .504 | .496 |
| the same, 3/4 of each batch | 4, moderate | .563 .363 .470 | .465 |
| the same and scenes in the colours of stains | 4, moderate | .516 .532 .628 | .559 |
| the same and scenes of blobs of any colour | 4, moderate | .571 .537 .637 | .582 |
| pastes and blobs, 3/4 of each batch | 4, moderate | .599 .596 .579 | .591 |
| pastes and blobs, the last quarter of the steps real alone | 4, moderate | .570 .437 .546 | .518 |
| blobs alone | 4, moderate | .449 .509 .691 | .550 |
| real alone | 4 dark and 2 light, strong | .377 .595 .665 | .546 |
| 10 to 40 pastes | 4 dark and 2 light, strong | .333 .675 .618 | .542 |
| pastes and blobs | 4 dark and 2 light, strong | .515 .447 .668 | .543 |

The same with nets that norm each picture by itself, as they are now, strong augmentation, four other
draws of four pictures:

| | draws | mean |
|---|---|---|
| real alone | .702 .654 .235 .425 | .504 |
| 10 to 40 pastes | .736 .736 .585 .461 | .630 |
| a third of them turned light for dark | .725 .674 .552 .526 | .619 |
| pastes and blobs of any colour | .619 .619 .306 .596 | .535 |
| twelve real pictures instead of four, on eight others | .739 .740 .655 | |

Three times as many steps did not help (.684 instead of .702). Picture by picture, dark ones are found
with F1 near .9 from four pictures already; all that is lost lies in tissue under light, .3 to .6 where a
light picture is among the four and 0 where none is. Pasted nuclei do not bring the tissue between
nuclei. What could: textures of stroma to paste on, or pictures of tissue without labels. Two nets of
one kind differ by .05, the change from draw to draw by .06, so that five rounds cannot show + 10 %.""",
    "cells": """\
Goal: platelets and white cells + 3 points or more, red cells no worse than - 0.5. The real ones are
19 pictures, 10 % of what a recipe with a holdout of 30 % learns from; 100 made ones hold pasted
platelets and white cells as in `configs/cells_rare.yaml`; 100 locked pictures. The augmentation is
tuned in each round.

Tried in vain: `masks_from_boxes: grabcut`. What is pasted then has boxes tighter than the
annotators', and the precision of platelets fell on the open part from .67 to .48 (with `ellipse`,
on the same draw, .81).""",
    "slice": """\
Goal: recall on real pictures of the slice up, interval above 0. The slice is pictures with
platelets, 55 % of the set; five of them and 25 without are the real training part. A plan
(`plan_scenes`, at least 80 pictures a level) says how many are missing, and `image.copy_paste`
makes them where the column says platelets, out of these 30 pictures. One net of each kind a round,
200 steps, moderate augmentation for both; 60 locked pictures of the slice. Recall is that of boxes
surer than 0.3; average precision beside it shows that it is not bought with false alarms.

A real net of so few pictures and steps hardly learns platelets at all, so the size of the change says more
of the starving than of the filling; the control below stands beside it.""",
    "copies": """\
The control: in place of the 75 made pictures, the five real ones of the slice, 15 times each, fill half
of each batch. What the made ones bring beyond that is what pasting brings.""",
}
_OF_PLATELETS: Mapping[str, Sequence[str]] = {
    "recall of platelets": ["recall of Platelets"],
    "AP of platelets": [_AP.format("Platelets")],
}
_HEAD = "| round | augmentation | real alone | with synthetic | change | the metric's own answer |"


def page(rounds: Sequence[Round], words: Mapping[str, str]) -> str:
    """Return the results as Markdown.

    Parameters
    ----------
    rounds : sequence of mapping
        What each round found, as usefulness.jsonl holds it.
    words : mapping
        Trial -> what was done, and what was tried in vain.
    """
    lines = ["# Do synthetic images help small nets?", "", words["all"]]
    for name, title, measures in (
        ("nuclei", "Nuclei, four real images", {_F1: [_F1]}),
        (
            "cells",
            "Blood cells, 10 % of the images",
            {
                "AP of platelets and white cells": [_AP.format("Platelets"), _AP.format("WBC")],
                "AP of red cells": [_AP.format("RBC")],
            },
        ),
        (
            "slice",
            "A starved slice, filled by the planner",
            _OF_PLATELETS,
        ),
        ("copies", "The same with copies of the five real pictures instead", _OF_PLATELETS),
    ):
        own = sorted((r for r in rounds if r["trial"] == name), key=lambda r: int(r["seed"]))
        if own:
            lines += ["", f"## {title}", "", words[name], *_table(own, measures)]
            if name == "copies":
                lines += ["", *_beyond_copies(rounds, measures)]
    return "\n".join(lines) + "\n"


def change(rounds: Sequence[Round], measures: Sequence[str]) -> tuple[float, float, float, float]:
    """Return the mean over rounds without and with synthetic pictures, and the ends of the change.

    The interval (95 %) is that of Student's t over the rounds, each with its own real pictures and nets.

    Examples
    --------
    >>> two = [{"measures": {"f": {"real": 0.5, "mixed": m}}} for m in (0.6, 0.8)]
    >>> [round(x, 2) for x in change(two, ["f"])]  # 0.2 +- 12.71 * 0.1
    [0.5, 0.7, -1.07, 1.47]
    """
    real, mixed = (_values(rounds, measures, kind) for kind in ("real", "mixed"))
    found = mixed - real
    error = found.std(ddof=1) / np.sqrt(len(found))
    reach = float(student.ppf(0.975, len(found) - 1)) * error
    middle = float(found.mean())
    return float(real.mean()), float(mixed.mean()), middle - reach, middle + reach


def _values(rounds: Sequence[Round], measures: Sequence[str], kind: str) -> Any:
    return np.array([np.mean([one["measures"][m][kind] for m in measures]) for one in rounds])


def _beyond_copies(rounds: Sequence[Round], named: Mapping[str, Sequence[str]]) -> list[str]:
    """Return what made pictures bring more than copies do, round by round."""
    by = {(one["trial"], one["seed"]): one for one in rounds}
    seeds = [seed for trial, seed in by if trial == "copies" and ("slice", seed) in by]
    lines = []
    for name, measures in named.items():
        both = [
            {
                "measures": {
                    m: {
                        "real": by["copies", seed]["measures"][m]["mixed"],
                        "mixed": by["slice", seed]["measures"][m]["mixed"],
                    }
                    for m in measures
                }
            }
            for seed in seeds
        ]
        if len(both) > 1:
            copies, made, low, high = change(both, measures)
            lines.append(
                f"- {name}, {len(both)} rounds: {copies:.3f} with copies, {made:.3f} with made pictures, "
                f"{made - copies:+.3f} ({low:+.3f} to {high:+.3f})"
            )
    return lines


def _relative(real: float, mixed: float) -> str:
    """Return the change as a share of what there was, where that is not next to nothing."""
    return f", {mixed / real - 1:+.1%}" if real > 0.1 else ""


def _table(rounds: Sequence[Round], named: Mapping[str, Sequence[str]]) -> list[str]:
    lines = []
    for name, measures in named.items():
        lines += ["", f"**{name}**", "", _HEAD, "|---|---|---|---|---|---|"]
        for one in rounds:
            real, mixed = (_values([one], measures, kind)[0] for kind in ("real", "mixed"))
            lines.append(
                f"| {one['seed']} | {one['augmentation']} | {real:.3f} | {mixed:.3f} | "
                f"{mixed - real:+.3f} | {one['finding']} |"
            )
        if len(rounds) > 1:
            real, mixed, low, high = change(rounds, measures)
            answer = "helps" if low > 0 else "hurts" if high < 0 else "no evidence"
            lines.append(
                f"| **mean** | | **{real:.3f}** | **{mixed:.3f}** | **{mixed - real:+.3f}** "
                f"({low:+.3f} to {high:+.3f}){_relative(real, mixed)} | **{answer}** |"
            )
    seconds = [one["cpu_seconds"] for one in rounds]
    lines += ["", f"A round took {min(seconds)} to {max(seconds)} CPU seconds on one thread."]
    return lines
