"""Generators of labelled images."""
