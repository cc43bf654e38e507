"""Render advice on balancing as one HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinset.report.page import environment

if TYPE_CHECKING:
    from twinset.report.advice import Advice


def render_advice(advice: Advice) -> str:
    """Return the page: one string, the same bytes for the same advice."""
    return environment().get_template("advice.html").render(advice=advice)
