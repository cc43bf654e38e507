"""Metrics of coverage: real regions, groups and shares that synthetic rows lack."""
