"""Generators of whole tables."""
