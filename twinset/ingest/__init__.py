"""Read real data and guess what its columns are."""
