"""Samplers of rare classes against imbalanced-learn: speed, memory, quality and defects."""
