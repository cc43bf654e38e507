"""Whether the measures can be trusted, shown on real tables."""
