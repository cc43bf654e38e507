"""Ways to make rows; one generator is one file and its path is its name."""
