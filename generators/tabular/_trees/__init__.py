"""Engine of `tabular.trees`."""
