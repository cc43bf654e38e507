"""The only openers of data files."""
