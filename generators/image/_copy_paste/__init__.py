"""Engine of `image.copy_paste`."""
