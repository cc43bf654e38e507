"""Engine of `tabular.gan`."""
