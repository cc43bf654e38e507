"""Trials of robustness: hostile inputs, and paths on which a real person's value may leak."""
