"""Render an advice: as page, JSON and terminal lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twinset.report.advice_model import AdviceContent, format_alerts, format_measure
from twinset.report.advice_page import render_advice
from twinset.report.answers.phrases import percent

_SIGNS = {"good": "+", "bad": "!", "unclear": "?", "unmeasured": "-"}


@dataclass(frozen=True, kw_only=True)
class Advice(AdviceContent):
    """Whether to balance a rare class, as page, JSON and terminal lines."""

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
        lines = [f"{_SIGNS[self.mark]} {self.sentence}"]
        lines.append(
            f"  Tested on {facts['test_rows']:,} rows with {facts['test_positives']:,} positives that "
            f"nothing was chosen by ({facts['split']}); {self.model}."
        )
        if self.measures and self.tested != "none":
            lines.append(f"  Without and with {self.tested_title}:")
        width = max((len(m.title) for m in self.measures), default=0)
        lines += [
            f"    {m.title:<{width}}  {format_measure(m, self.tested)}" for m in self.measures
        ]
        if facts.get("alerts_a_day") is not None:
            lines.append(
                f"  The alert rate of {percent(facts['alert_rate'])} is "
                f"{format_alerts(facts['alerts_a_day'])} alerts a day."
            )
        return "\n".join(lines)
