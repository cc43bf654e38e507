"""Benchmarks of robustness: what deliveries disclose of single persons."""
