"""Proofs that the metrics react when they should, and stay quiet when they should."""
