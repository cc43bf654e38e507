"""Proof that the metrics can be trusted: planted faults, null comparisons, memorisers, cost."""
