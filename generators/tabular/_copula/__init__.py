"""Engine of `tabular.copula`."""
