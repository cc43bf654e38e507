"""Check, learn, repair and discover the rules of a table."""
