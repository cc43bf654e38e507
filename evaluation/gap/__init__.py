"""Metrics of the gap: how synthetic rows differ from real ones."""
