"""Tabular generators on the field's standard sets, by the published protocol and a stricter one."""
