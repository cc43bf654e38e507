"""Generators of labelled text."""
