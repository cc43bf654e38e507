"""Advise whether a rare class should be balanced, and how."""
