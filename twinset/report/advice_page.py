"""Render advice on balancing as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from twinset.report.advice_model import Candidate, Measure, between, change, format_alerts, written
from twinset.report.answers.phrases import percent, short
from twinset.report.figures.charts import change_figure
from twinset.report.figures.line_charts import Axis, Line, chart, even_ticks
from twinset.report.page import environment

if TYPE_CHECKING:
    from twinset.report.advice_model import AdviceContent

_MARKS = {"helps": "good", "hurts": "bad", "no evidence": "unclear"}
_RATES = Axis(
    "share of rows that raise an alert",
    ((5e-4, "0.05 %"), (0.002, "0.2 %"), (0.01, "1 %"), (0.05, "5 %"), (0.2, "20 %")),
    is_log=True,
)
_PERCENT = ((0.0, "0"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %"))
_LOG_SHARE = ((1e-4, "0.01 %"), (1e-3, "0.1 %"), (0.01, "1 %"), (0.1, "10 %"), (1.0, "100 %"))


def render_advice(advice: AdviceContent) -> str:
    """Return the page: one string, the same bytes for the same advice."""
    is_pair = advice.tested != "none"
    return (
        environment()
        .get_template("advice.html")
        .render(
            advice=advice,
            is_pair=is_pair,
            facts=_facts(advice),
            measures=[_measure_line(m, is_pair) for m in advice.measures],
            charts=_charts(advice, is_pair),
            calibration=_calibration(advice),
            reliability=_reliability(advice) if advice.calibration else None,
            candidates=_candidate_lines(advice),
            untried=advice.facts.get("untried", []),
            novelty=_novelty(advice.novelty) if advice.novelty else None,
            shift=_shift(advice.curves["shift"]) if is_pair else None,
            models=advice.facts.get("models", {}),
        )
    )


def _facts(advice: AdviceContent) -> list[tuple[str, str]]:
    facts = advice.facts
    label = f"{facts['target']} = {facts['positive']}"
    lines = [
        ("rows", f"{facts['rows']:,}"),
        (
            f"with {label}",
            f"{facts['positives']:,} ({100 * facts['positives'] / facts['rows']:.3g} %)",
        ),
        ("training rows of these", f"{facts['train_positives']:,}"),
        ("test rows of these", f"{facts['test_positives']:,}"),
        ("model", advice.model),
        ("alert rate", percent(facts["alert_rate"])),
    ]
    if facts.get("alerts_a_day") is not None:
        lines.append(("alerts a day", format_alerts(facts["alerts_a_day"])))
    return [*lines, ("seed", str(facts["seed"]))]


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
            "mark": _MARKS[measure.verdict],
        }
    return line


def _charts(advice: AdviceContent, is_pair: bool) -> list[tuple[str, str, Markup]]:
    curves = advice.curves
    if not curves:
        return []
    names = ("none", "other") if is_pair else ("none",)
    found = [(name, curves[name]) for name in names]
    rates = curves["alert_rate"]
    precision = chart(
        [
            Line(n, curves["recall"], c["precision"], c["precision_low"], c["precision_high"])
            for n, c in found
        ],
        Axis("recall: share of the positive rows found", _PERCENT),
        Axis("precision", _PERCENT),
        label="Precision against recall, with 95 % bands",
    )
    at = [(advice.facts["alert_rate"], "rate")]
    recall = chart(
        [Line(n, rates, c["recall"]) for n, c in found],
        _RATES,
        Axis("recall", _PERCENT),
        label="Recall against the alert rate",
        marks=at,
    )
    top = max(max(c["cost"]) for _, c in found)
    cost = chart(
        [Line(n, rates, c["cost"]) for n, c in found],
        _RATES,
        Axis("cost of 1,000 rows", even_ticks(top, 0 if top > 8 else 2)),
        label="Expected cost against the alert rate; upright lines where the threshold stands",
        marks=[(c["best_rate"], n) for n, c in found],
    )
    peak = max(max(c["lift"]) for _, c in found)
    lift = chart(
        [Line(n, rates, c["lift"]) for n, c in found],
        _RATES,
        Axis("lift", even_ticks(peak, 0 if peak > 8 else 1)),
        label="Lift against the alert rate",
        marks=at,
    )
    return [
        ("Precision and recall", "Bands hold 95 % of redrawn test rows.", precision),
        ("Recall by alert rate", "The upright line is your alert rate.", recall),
        ("Expected cost", _cost_words(advice), cost),
        ("Lift", "How many times more positive rows than alerts at random find.", lift),
    ]


def _cost_words(advice: AdviceContent) -> str:
    facts = advice.facts
    price = f"{facts['cost']:,.12g}"
    told = f"a missed positive row costs {price}"
    if facts["by_amount"]:
        times = "" if facts["cost"] == 1 else f"{price} times "
        told = f"a missed positive row costs {times}its amount"
    assumed = " (assumed)" if facts["cost_assumed"] else ""
    return f"An alert costs 1, {told}{assumed}. Upright lines: the threshold that these prices ask for."


def _calibration(advice: AdviceContent) -> list[dict[str, str]]:
    titles = {
        "none": "nothing added",
        "before": "the second model, as it says",
        "after": "the second model, restored",
    }
    return [
        {
            "kind": name,
            "title": titles[name],
            "log_loss": short(line["log_loss"]),
            "ratio": f"{line['log_loss_ratio']:.2f}",
            "predicted": f"{line['predicted_per_actual']:.2f}",
        }
        for name, line in advice.calibration.get("lines", {}).items()
    ]


def _reliability(advice: AdviceContent) -> Markup:
    lines = [
        Line(
            kind,
            [b["predicted"] for b in found["reliability"]],
            [b["observed"] for b in found["reliability"]],
        )
        for kind, found in advice.calibration["lines"].items()
    ]
    dots = [Line(line.kind, line.x, line.y, dots=True) for line in lines]
    axes = (Axis("what the model says", _LOG_SHARE, True), Axis("what is true", _LOG_SHARE, True))
    label = "Reliability: predicted and true shares of positive rows, before and after restoring"
    return chart([*lines, *dots], *axes, label=label, diagonal=True)


def _candidate_lines(advice: AdviceContent) -> list[dict[str, Any]]:
    """Return those of the last round, then the others by kind: the best kind first, ratios rising."""
    best: dict[str, float] = {}
    for one in advice.candidates:
        best[one.kind] = max(best.get(one.kind, -9.0), one.difference)
    ordered = sorted(
        advice.candidates, key=lambda c: (not c.in_last_round, -best[c.kind], c.kind, c.ratio)
    )
    ends = [abs(c.difference) + c.error for c in ordered if c.error < 1]
    reach = min(max(ends, default=0.1), 4 * sorted(ends)[len(ends) // 2] if ends else 0.1)
    return [_candidate_line(one, advice, reach) for one in ordered if one.name != "none"]


def _candidate_line(one: Candidate, advice: AdviceContent, reach: float) -> dict[str, Any]:
    low, high = (max(-reach, min(reach, one.difference + s * one.error)) for s in (-1, 1))
    middle = max(-reach, min(reach, one.difference))
    return {
        "title": one.title,
        "name": one.name,
        "difference": change(round(one.difference, 4), "share"),
        "error": short(one.error),
        "figure": change_figure(middle, (low, high), reach),
        "in_last_round": one.in_last_round,
        "is_chosen": one.name == advice.chosen,
        "is_tested": one.name == advice.tested,
    }


def _novelty(novelty: Mapping[str, Any]) -> dict[str, Any]:
    edges = novelty["distances"]["edges"]
    tops = [*novelty["distances"]["synthetic"], *novelty["distances"]["real"]]
    figure = chart(
        [
            Line("none", *_steps(edges, novelty["distances"]["real"])),
            Line("other", *_steps(edges, novelty["distances"]["synthetic"])),
        ],
        Axis("distance to the nearest real rare row", even_ticks(edges[-1], 1)),
        Axis("share of rows", even_ticks(max(tops), 0 if max(tops) > 2 else 2)),
        label="Distances of synthetic rows to real rare rows, and of real rare rows to each other",
    )
    return {**novelty, "figure": figure}


def _steps(edges: Sequence[float], shares: Sequence[float]) -> tuple[list[float], list[float]]:
    xs, ys = [edges[0]], [0.0]
    for i, share in enumerate(shares):
        xs += [edges[i], edges[i + 1]]
        ys += [share, share]
    return [*xs, edges[-1]], [*ys, 0.0]


def _shift(points: Sequence[Sequence[float]]) -> Markup:
    return chart(
        [Line("other", [p[0] for p in points], [p[1] for p in points], dots=True)],
        Axis("share of rows ranked above, nothing added", _LOG_SHARE, True),
        Axis("the same, second model", _LOG_SHARE, True),
        label="Ranks of positive test rows without and with balancing",
        diagonal=True,
    )
