"""Ways to vary real rows; one augmenter is one file and its path is its name."""
