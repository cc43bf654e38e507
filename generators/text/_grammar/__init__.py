"""Engine of `text.templates`."""
