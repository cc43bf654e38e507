"""Engine of `tabular.network`."""
