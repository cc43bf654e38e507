"""Metrics of integrity: rows that real rows rule out, counted in every row of the candidate."""
