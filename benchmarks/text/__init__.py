"""Texts: what making them costs, and what synthetic ones are good for, measured on real ones."""
