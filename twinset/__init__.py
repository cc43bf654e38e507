"""Training data with a twin: make it, register it beside the real set, measure it."""
