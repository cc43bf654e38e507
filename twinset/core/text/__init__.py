"""Texts with labelled spans, edits and graphemes."""
