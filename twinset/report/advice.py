"""`Advice`: whether to balance a rare class, as page, JSON and terminal lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from twinset.report.answers.phrases import Mark, percent, plain, short, signed
from twinset.report.figures.columns import change_figure
from twinset.report.figures.line_charts import Axis, Line, chart, even_ticks
from twinset.report.report import SCHEMA_VERSION, render

Verdict = Literal["helps", "hurts", "no evidence", "too few to tell"]
MARKS: Mapping[Verdict, Mark] = {
    "helps": Mark.GOOD,
    "hurts": Mark.BAD,
    "no evidence": Mark.INCONCLUSIVE,
    "too few to tell": Mark.UNMEASURED,
}
_RATES = Axis(
    "share of rows that raise an alert",
    ((5e-4, "0.05 %"), (0.002, "0.2 %"), (0.01, "1 %"), (0.05, "5 %"), (0.2, "20 %")),
    is_log=True,
)
_PERCENT = ((0.0, "0"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %"))
_LOG_SHARE = ((1e-4, "0.01 %"), (1e-3, "0.1 %"), (0.01, "1 %"), (0.1, "10 %"), (1.0, "100 %"))


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One measure of the model without balancing and of the one with, on the test rows."""

    # name, title: short name, and the same in plain words
    name: str
    title: str
    # none, other: without and with balancing
    none: float
    none_interval: tuple[float, float]  # 95 % interval of the first
    other: float
    difference: float  # `other - none`
    # 95 % interval of the difference; paired, with the variance between training sets
    interval: tuple[float, float]
    higher_is_better: bool  # Direction of good
    unit: str = "share"  # How it is written

    @property
    def verdict(self) -> Verdict:
        """Whether balancing helps, by this measure alone."""
        low, high = (
            self.interval if self.higher_is_better else (-self.interval[1], -self.interval[0])
        )
        return "helps" if low > 0 else "hurts" if high < 0 else "no evidence"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One strategy on the inner folds."""

    # name, title: short name, and the same in plain words
    name: str
    title: str
    kind: str  # What strategies that differ by their ratio alone have in common
    ratio: float  # Rare rows per common row after it; 0 where it sets none
    precision: float  # Mean average precision over the inner folds
    # difference, error: difference to "none" and its standard error
    difference: float
    error: float
    is_shortlisted: bool  # Whether it took part in the last round


@dataclass(frozen=True, kw_only=True)
class Advice:
    """Whether to balance the rare class; it holds no clock, host or path, and no row.

    Parameters
    ----------
    title : str
        Heading of the page.
    verdict : {"helps", "hurts", "no evidence", "too few to tell"}
        What the untouched test rows say of the best way of balancing.
    chosen, chosen_title : str
        Strategy to take, "none" unless another one won the inner choice; and in plain words.
    tested, tested_title : str
        Strategy on the test rows: the chosen one, or the best of the others.
    is_balancing : bool
        Whether the tested strategy changes the rows or their weights, and not the model.
    model : str
        The model, in plain words.
    sentence : str
        The advice.
    measures : tuple of Measure
        On the test rows.
    candidates : tuple of Candidate
        On the inner folds.
    calibration : mapping
        Log-loss, reliability and how probabilities were restored.
    curves : mapping
        Precision, recall, cost and lift by alert rate.
    sample_diagnostics : mapping
        Novelty and intrusion of the synthetic rows; empty where there are none.
    facts : mapping
        Counts, split, prices, seed.
    notes : tuple of str
        What must be read with care.
    recipe : str
        Recipe that makes the chosen rows, as YAML text; empty where there are none.
    """

    title: str
    verdict: Verdict
    chosen: str
    chosen_title: str
    tested: str
    tested_title: str
    is_balancing: bool = True
    model: str
    sentence: str
    measures: tuple[Measure, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)
    curves: Mapping[str, Any] = field(default_factory=dict)
    sample_diagnostics: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    recipe: str = ""

    @property
    def mark(self) -> Mark:
        """The mark of the verdict on the page."""
        return MARKS[self.verdict]

    @property
    def is_pair(self) -> bool:
        """Whether another strategy than "none" was tested."""
        return self.tested != "none"

    def to_json(self) -> str:
        """Return the advice as JSON text."""
        content = {
            "schema_version": SCHEMA_VERSION,
            **asdict(self),
            "measures": [{**asdict(m), "verdict": m.verdict} for m in self.measures],
        }
        return json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """Return the advice as one self-contained page that asks nothing of the network."""
        return render_advice(self)

    def page(self, path: str | Path) -> Path:
        """Write the page to a file and return its path."""
        place = Path(path)
        place.write_text(self.to_html(), encoding="utf-8")
        return place

    def summary(self) -> str:
        """Return the advice as a few plain lines for a terminal."""
        facts = self.facts
        lines = [
            f"{self.mark.sign} {self.sentence}",
            f"  Tested on {facts['test_rows']:,} rows with {facts['test_positives']:,} positives that "
            f"nothing was chosen by ({facts['split']}); {self.model}.",
        ]
        if self.measures and self.is_pair:
            lines.append(f"  Without and with {self.tested_title}:")
        width = max((len(m.title) for m in self.measures), default=0)
        for m in self.measures:
            none, interval = written(m.none, m.unit), between(m.none_interval, m.unit)
            text = f"{none}  (95 %: {interval})"
            if self.is_pair:
                interval = between(m.interval, m.unit, changes=True)
                difference = f"{change(m.difference, m.unit)}, 95 %: {interval}"
                text = f"{none} -> {written(m.other, m.unit)}  ({difference})"
            lines.append(f"    {m.title:<{width}}  {text}")
        if facts.get("alerts_a_day") is not None:
            lines.append(
                f"  The alert rate of {percent(facts['alert_rate'])} is "
                f"{format_alerts(facts['alerts_a_day'])} alerts a day."
            )
        return "\n".join(lines)


_BY_CHANCE: Mapping[str, str] = {
    "helps": "That the test rows see something in one of the ways is no ground to take it.",
    "hurts": "Columns that tell the label are wanted first.",
    "no evidence": "Columns that tell the label are wanted first.",
}
_NOT_CHOSEN: Mapping[str, str] = {
    "helps": "The test rows see more in it than the choice did: {} helps there. One such win after the "
    "fact is no ground to change; more rare rows would tell.",
    "hurts": "The best of the rest, {}, hurts on the test rows.",
    "no evidence": "For the best of the rest, {}, the test rows give no evidence either.",
}
_CHANGE_MODEL: Mapping[str, str] = {
    "helps": "Do not balance, change the model",
    "hurts": "Do not balance",
    "no evidence": "Do not balance, but perhaps change the model",
}
_BALANCE: Mapping[str, str] = {
    "helps": "Balance",
    "hurts": "Do not balance",
    "no evidence": "Perhaps",
}
_CHOSEN: Mapping[str, str] = {
    "helps": ", and helps on the untouched test rows.",
    "hurts": ", but hurts on the untouched test rows.",
    "no evidence": ", but the untouched test rows give no evidence that it helps. Leaving everything as it "
    "is is the safe choice.",
}


def advice_sentence(
    verdict: Verdict, best: str, *, is_chance: bool, is_chosen: bool, is_balancing: bool
) -> str:
    """Return the advice in one or two sentences; `best` is the tested strategy in plain words."""
    if is_chance:
        return (
            "Do not balance: inside the training rows the model ranks the rows no better than chance, so "
            f"there is nothing to choose by. {_BY_CHANCE[verdict]}"
        )
    if not is_chosen:
        return (
            "Do not balance: in trials inside the training rows nothing surely beat leaving them as "
            f"they are. {_NOT_CHOSEN[verdict].format(best)}"
        )
    head = (_BALANCE if is_balancing else _CHANGE_MODEL)[verdict]
    return f"{head}: {best} won the trials inside the training rows{_CHOSEN[verdict]}"


def format_label_delay(gap: float, in_days: bool) -> str:
    """Return the assumed delay of labels, with its unit or how to name it."""
    unit = "days" if in_days else "units of the time"
    todo = "" if in_days else "; --time-unit says what one unit is"
    return f"labels are taken to arrive after {short(gap)} {unit}: set --delay if not{todo}"


def format_alerts(count: float) -> str:
    """Return a number of alerts, whole where it is not small.

    >>> format_alerts(1851.9), format_alerts(0.42)
    ('1,852', '0.420')
    """
    return f"{count:,.0f}" if count >= 10 else short(count)


def written(value: float, unit: str) -> str:
    """Return a measure's value in its unit.

    >>> written(0.613, "percent"), written(12.25, "times"), written(0.7, "share")
    ('61.3 %', '12.2 times', '0.700')
    """
    if unit == "percent":
        return percent(value)
    return f"{short(value)} times" if unit == "times" else short(value)


def between(ends: tuple[float, float], unit: str, *, changes: bool = False) -> str:
    """Return an interval of values, or of changes, in the unit of its measure, named once.

    >>> between((0.25, 0.5), "times"), between((-0.02, 0.1), "percent", changes=True)
    ('0.250 to 0.500 times', '−2.0 to +10.0 points')
    """
    low, high = ((change if changes else written)(end, unit) for end in ends)
    for word in (" points", " times", " %"):
        if high.endswith(word):
            low = low.removesuffix(word)
    return f"{low} to {high}"


def change(value: float, unit: str) -> str:
    """Return a difference in the unit of its measure.

    >>> change(-0.02, "percent"), change(0.1, "share")
    ('−2.0 points', '+0.100')
    """
    if unit == "percent":
        return f"{'+' if value > 0 else '−' if value < 0 else ''}{100 * abs(value):.1f} points"
    return signed(value)


def render_advice(advice: Advice) -> str:
    """Return the page."""
    diagnostics = advice.sample_diagnostics
    return render(
        "advice.html",
        report=advice,
        facts=_facts(advice),
        measures=[_measure_line(m, advice.is_pair) for m in advice.measures],
        charts=_charts(advice),
        calibration=advice.calibration.get("lines", {}),
        reliability=_reliability(advice) if advice.calibration else None,
        candidates=_candidate_lines(advice),
        untried=advice.facts.get("untried", []),
        diagnostics=diagnostics,
        distances=_distances(diagnostics["distances"]) if diagnostics else None,
        shift=_shift(advice.curves["shift"]) if advice.is_pair else None,
        models=advice.facts.get("models", {}),
    )


def _facts(advice: Advice) -> list[tuple[str, str]]:
    facts = advice.facts
    share = f"{100 * facts['positives'] / facts['rows']:.3g} %"
    lines = {
        "rows": f"{facts['rows']:,}",
        f"with {facts['target']} = {facts['positive']}": f"{facts['positives']:,} ({share})",
        "training rows of these": f"{facts['train_positives']:,}",
        "test rows of these": f"{facts['test_positives']:,}",
        "model": advice.model,
        "alert rate": percent(facts["alert_rate"]),
    }
    if facts.get("alerts_a_day") is not None:
        lines["alerts a day"] = format_alerts(facts["alerts_a_day"])
    return list((lines | {"seed": str(facts["seed"])}).items())


def _measure_line(measure: Measure, is_pair: bool) -> dict[str, Any]:
    line: dict[str, Any] = {
        "title": measure.title,
        "better": "higher" if measure.higher_is_better else "lower",
        "none": written(measure.none, measure.unit),
        "none_range": between(measure.none_interval, measure.unit),
    }
    if is_pair:
        reach = max(abs(end) for end in measure.interval)
        line |= {
            "other": written(measure.other, measure.unit),
            "difference": change(measure.difference, measure.unit),
            "range": between(measure.interval, measure.unit, changes=True),
            "figure": change_figure(measure.difference, measure.interval, reach),
            "verdict": measure.verdict,
            "mark": MARKS[measure.verdict],
        }
    return line


def _charts(advice: Advice) -> list[tuple[str, str, Markup]]:
    curves, facts = advice.curves, advice.facts
    if not curves:
        return []
    found = {name: curves[name] for name in (("none", "other") if advice.is_pair else ("none",))}

    def by_rate(key: str, title: str, digits: int, label: str, marks: Any) -> Markup:
        lines = [Line(name, curves["alert_rate"], c[key]) for name, c in found.items()]
        top = max(max(c[key]) for c in found.values())
        ticks = _PERCENT if key == "recall" else even_ticks(top, 0 if top > 8 else digits)
        return chart(lines, _RATES, Axis(title, ticks), label=label, marks=marks)

    precision = chart(
        [
            Line(n, curves["recall"], c["precision"], c["precision_low"], c["precision_high"])
            for n, c in found.items()
        ],
        Axis("recall: share of the positive rows found", _PERCENT),
        Axis("precision", _PERCENT),
        label="Precision against recall, with 95 % bands",
    )
    rate = [(facts["alert_rate"], "rate")]
    thresholds = [(c["best_rate"], name) for name, c in found.items()]
    cost_label = "Expected cost against the alert rate; upright lines where the threshold stands"
    recall = by_rate("recall", "recall", 2, "Recall against the alert rate", rate)
    cost = by_rate("cost", "cost of 1,000 rows", 2, cost_label, thresholds)
    lift = by_rate("lift", "lift", 1, "Lift against the alert rate", rate)
    return [
        ("Precision and recall", "Bands hold 95 % of redrawn test rows.", precision),
        ("Recall by alert rate", "The upright line is your alert rate.", recall),
        ("Expected cost", _cost_words(facts), cost),
        ("Lift", "How many times more positive rows than alerts at random find.", lift),
    ]


def _cost_words(facts: Mapping[str, Any]) -> str:
    price = f"{facts['cost']:,.12g}"
    missed = f"a missed positive row costs {price}"
    if facts["by_amount"]:
        times = "" if facts["cost"] == 1 else f"{price} times "
        missed = f"a missed positive row costs {times}its amount"
    assumed = " (assumed)" if facts["cost_assumed"] else ""
    return f"An alert costs 1, {missed}{assumed}. Upright lines: the threshold that these prices ask for."


def _reliability(advice: Advice) -> Markup:
    lines = [
        Line(
            kind,
            [b["predicted"] for b in found["reliability"]],
            [b["observed"] for b in found["reliability"]],
        )
        for kind, found in advice.calibration["lines"].items()
    ]
    dots = [Line(line.kind, line.x, line.y, dots=True) for line in lines]
    axes = (
        Axis("predicted probability", _LOG_SHARE, True),
        Axis("observed share of positive rows", _LOG_SHARE, True),
    )
    label = (
        "Reliability: predicted and observed shares of positive rows, before and after restoring"
    )
    return chart([*lines, *dots], *axes, label=label, diagonal=True)


def _candidate_lines(advice: Advice) -> list[dict[str, Any]]:
    """Return those of the last round, then the others by kind: the best kind first, ratios rising."""
    best: dict[str, float] = {}
    for one in advice.candidates:
        best[one.kind] = max(best.get(one.kind, -9.0), one.difference)
    ordered = sorted(
        advice.candidates, key=lambda c: (not c.is_shortlisted, -best[c.kind], c.kind, c.ratio)
    )
    ends = sorted(abs(c.difference) + c.error for c in ordered if c.error < 1)
    # One strategy that is far off would squeeze all others: the axis ends at four medians.
    reach = min(ends[-1], 4 * ends[len(ends) // 2]) if ends else 0.1
    lines = []
    for one in ordered:
        if one.name == "none":
            continue
        low, middle, high = (
            max(-reach, min(reach, one.difference + sign * one.error)) for sign in (-1, 0, 1)
        )
        lines.append(
            {
                "title": one.title,
                "name": one.name,
                "difference": change(round(one.difference, 4), "share"),
                "error": short(one.error),
                "figure": change_figure(middle, (low, high), reach),
                "is_shortlisted": one.is_shortlisted,
                "is_chosen": one.name == advice.chosen,
                "is_tested": one.name == advice.tested,
            }
        )
    return lines


def _distances(found: Mapping[str, Any]) -> Markup:
    edges, top = found["edges"], max([*found["synthetic"], *found["real"]])
    xs = [edges[0], *(edge for pair in pairwise(edges) for edge in pair), edges[-1]]
    ys = {key: [0.0, *np.repeat(found[key], 2), 0.0] for key in ("real", "synthetic")}
    return chart(
        [Line("none", xs, ys["real"]), Line("other", xs, ys["synthetic"])],
        Axis("distance to the nearest real rare row", even_ticks(edges[-1], 1)),
        Axis("share of rows", even_ticks(top, 0 if top > 2 else 2)),
        label="Distances of synthetic rows to real rare rows, and of real rare rows to each other",
    )


def _shift(points: Sequence[Sequence[float]]) -> Markup:
    return chart(
        [Line("other", [p[0] for p in points], [p[1] for p in points], dots=True)],
        Axis("share of rows ranked above, nothing added", _LOG_SHARE, True),
        Axis("the same, second model", _LOG_SHARE, True),
        label="Ranks of positive test rows without and with balancing",
        diagonal=True,
    )
