"""`CandidateReport`: several synthetic sets measured against the same real one, side by side."""

from __future__ import annotations

from dataclasses import dataclass

from twinset.report.model import CandidateContent

_MARKS = {"good": "+", "bad": "!", "unclear": "?", "unmeasured": "-", "mixed": "~"}


@dataclass(frozen=True, kw_only=True)
class CandidateReport(CandidateContent):
    """A comparison that renders itself: as page, Markdown, JUnit and terminal lines."""

    def to_html(self) -> str:
        """Return the comparison as one self-contained page that asks nothing of the network."""
        from twinset.report.candidates_page import render_candidates

        return render_candidates(self)

    def to_markdown(self) -> str:
        """Return the comparison as Markdown, for a pull request."""
        from twinset.report.markdown import candidates_markdown

        return candidates_markdown(self)

    def to_junit(self) -> str:
        """Return the verdicts as JUnit XML, one suite a candidate."""
        from twinset.report.junit import junit_xml

        return junit_xml({n: (own, self.gates.get(n, ())) for n, own in self.scores.items()})

    def summary(self) -> str:
        """Return the recommendation and one sentence a question as plain lines for a terminal."""
        head = "Which one?"
        width = max(len(head), *(len(found.question) for found in self.answers))
        lines = [(_MARKS[self.recommendation.mark], head, self.recommendation.text)]
        lines += [(_MARKS[found.mark], found.question, found.text) for found in self.answers]
        return "\n".join(f"{mark} {name:<{width}}  {text}" for mark, name, text in lines)
