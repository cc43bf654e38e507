"""A metric describes itself: its title, interpretation and roles reach the page from its class."""

from __future__ import annotations

import importlib.metadata
import re
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from twinset import registry
from twinset.core.contracts import Comparison, Measurement, Metric, MetricFamily, Role
from twinset.core.findings import DifferingComponents, Finding
from twinset.measurement.harness import measure
from twinset.registry import build, component_class, list_components
from twinset.report import build_report
from twinset.report.answers import phrases as described
from twinset.report.answers.phrases import has_role, interpret_metric, metric_title

NAMES = [info.name for info in list_components("metric")]


def test_every_metric_has_a_title_of_its_own() -> None:
    titles = [metric_title(name) for name in NAMES]
    assert len(set(titles)) == len(titles)
    assert all(component_class("metric", name).title for name in NAMES)


def test_an_interpretation_is_one_to_three_whole_sentences() -> None:
    for name in NAMES:
        text = interpret_metric(name)
        assert 1 <= len(re.findall(r"[^.!?]+(?:\d\.\d[^.!?]*)*[.](?=\s|$)", text)) <= 3
        assert 60 < len(text) < 280


def test_every_role_of_the_report_is_taken() -> None:
    taken = {role for name in NAMES for role in component_class("metric", name).roles}
    assert taken | {Role.APPEARANCE} == set(Role)


@dataclass(frozen=True)
class TailRatio(Finding):
    """Finding of the toy metric, which the report does not know."""

    heaviest: str
    ratio: float


@dataclass(frozen=True, kw_only=True)
class TailWeight(Metric):
    """Compares the weight of tails."""

    family: ClassVar[MetricFamily] = "gap"
    title: ClassVar[str] = "weight of the tails"
    interpretation: ClassVar[str] = "How far tails are from real: 0 is the same weight."
    roles: ClassVar[frozenset[Role]] = frozenset({Role.APPEARANCE})
    higher_is_better: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    kinds: ClassVar[frozenset[str]] = frozenset({"number"})
    margin: float = 0.1

    def compute(self, comparison: Comparison, rng: np.random.Generator) -> Measurement:
        """Return a constant."""
        found = DifferingComponents("tail", ("height above",), 2), TailRatio("height", 2.5)
        return Measurement(0.4 if comparison.value_only else 0.3, np.full(9, 0.3), found)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch):
    """Install the toy metric by an entry point."""
    entry = importlib.metadata.EntryPoint(
        "gap.tail_weight", f"{__name__}:TailWeight", "twinset.metrics"
    )
    real = importlib.metadata.entry_points()
    selected = {
        group: importlib.metadata.EntryPoints(
            [*real.select(group=group), *([entry] if group == "twinset.metrics" else [])]
        )
        for group in ("twinset.generators", "twinset.augmenters", "twinset.metrics")
    }

    class Plugged:
        def select(self, group: str):
            return selected[group]

    monkeypatch.setattr("twinset.registry.importlib.metadata.entry_points", Plugged)
    for cached in (described._metric_class, registry._search):
        cached.cache_clear()
    yield "gap.tail_weight"
    for cached in (described._metric_class, registry._search):
        cached.cache_clear()


def test_a_new_metric_is_one_class_and_reaches_the_page_with_its_findings(toy, people) -> None:
    metric = build("metric", toy, {})
    scores = measure(
        train=people, synthetic=people.take(np.arange(30)), holdout=people, metrics=[(toy, metric)]
    )
    page = build_report(
        title="x", train=people, synthetic=people, holdout=people, scores=scores, gates=[]
    ).to_html()
    assert "weight of the tails<code>gap.tail_weight</code>" in page
    assert "How far tails are from real: 0 is the same weight." in page
    assert "1 of 2 tails differs beyond chance: height above" in page
    assert "Heaviest: height; ratio: 2.500" in page
    assert has_role(scores[0], Role.APPEARANCE)


def test_a_metric_that_is_not_installed_is_named_by_its_path(people, score) -> None:
    assert metric_title("gap.nobody_knows") == "nobody knows"
    scores = [score("gap.marginals"), score("gap.nobody_knows")]
    page = build_report(
        title="x", train=people, synthetic=people, holdout=None, scores=scores, gates=[]
    ).to_html()
    assert page.count('class="reading"') == 1
