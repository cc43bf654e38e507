"""Measures of a twin; one metric is one file and its path is its name."""
