"""Scores and gates become a verdict, a page and JSON."""
