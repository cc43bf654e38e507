"""Rare classes: samplers against imbalanced-learn, whether balancing helps, and what the guard sees."""
