"""Intervals, tests, covering arrays and nearest neighbours."""
