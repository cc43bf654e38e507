"""Benchmarks of images: labels, speed and plans."""
