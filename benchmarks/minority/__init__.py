"""Rare classes: what balancing costs and gains, and what the leakage guard sees."""
