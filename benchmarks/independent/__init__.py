"""Faults, copies and leaks that were designed without reading the metrics that are to find them."""
