"""Benchmarks of texts: speed, memory and exactness."""
