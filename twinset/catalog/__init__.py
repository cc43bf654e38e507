"""Data sets as immutable, content-addressed versions with cards and lineage."""
