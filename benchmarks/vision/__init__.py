"""Benchmarks of images: exact labels, speed, scenes, and usefulness to small nets."""
