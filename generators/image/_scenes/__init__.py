"""Engine of `image.scenes`."""
