"""`twinset fetch`: a named public data set into the user's cache."""

from __future__ import annotations

from twinset.cli.progress import progress_bar


def command(name: str, /) -> None:
    """Download a named public data set into your cache.

    Its SHA-256 is checked, and the place where it lies is printed.

    Parameters
    ----------
    name : str
        Name of the data set, e.g. ulb-creditcard.
    """
    from twinset.io.fetch import fetch

    with progress_bar() as progress:
        path = fetch(name, progress)
    print(path)
