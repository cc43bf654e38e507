"""Engine of `image.shapes`."""
