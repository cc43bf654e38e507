"""`twinset sets`."""
def command(*, json: bool = False) -> int:
    """Text of sets.

    Parameters
    ----------
    json : bool
        Print JSON.
    """
    return 0
