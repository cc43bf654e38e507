"""Pixels, headers, instance maps, outlines and effects."""
