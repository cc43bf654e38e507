"""Settings given on the command line as ``key=value``."""

from __future__ import annotations

from collections.abc import Iterable

import yaml

from twinset.core.errors import RecipeError


def settings_of(pairs: Iterable[str]) -> dict[str, object]:
    """Return the settings; each value is read as YAML, as in a recipe.

    Raises
    ------
    RecipeError
        A pair has no ``=``, or its value cannot be read.

    Examples
    --------
    >>> settings_of(["k_neighbors=3", "columns=[a, b]"])
    {'k_neighbors': 3, 'columns': ['a', 'b']}
    """
    found: dict[str, object] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or not key:
            raise RecipeError(f"cannot read the setting '{pair}'", allowed="key=value")
        try:
            found[key] = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecipeError(
                f"cannot read the value of the setting '{key}'", got=f"'{text}'", allowed="YAML"
            ) from error
    return found
