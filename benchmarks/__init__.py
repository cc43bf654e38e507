"""Benchmarks behind the figures of the README; nothing here is installed with the package."""
