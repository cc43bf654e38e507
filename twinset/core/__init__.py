"""The nouns: pure, opening no file and printing nothing."""
