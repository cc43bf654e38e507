"""Augmenters of texts: labels stay right, spans move along."""
