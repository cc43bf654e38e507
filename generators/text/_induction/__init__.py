"""Engine of `text.learned`."""
