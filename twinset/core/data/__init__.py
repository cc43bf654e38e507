"""Data sets, schemas, conditions, splits and encodings."""
