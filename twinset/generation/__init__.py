"""Run the generate and augment steps of a recipe."""
