"""Generators of rare-class rows."""
