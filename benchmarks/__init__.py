"""Benchmarks: what the README's figures come from. Nothing here is installed with the package."""
