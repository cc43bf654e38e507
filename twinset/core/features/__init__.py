"""Numeric features of rows, images and texts, and what models learn from them."""
