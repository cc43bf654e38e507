"""Other wordings of templates from a language model: templates are sent, no row and no value is.

This is no generator, so that no recipe ever calls a server: the answers become a file, which a person
reads, and from which the same seed draws the same rows for ever. `twinset paraphrase` loads it.
"""
