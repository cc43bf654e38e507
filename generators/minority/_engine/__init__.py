"""Neighbours, interpolation and filters shared by the minority samplers."""
