"""Errors and warnings of the samplers: twinset's own, which scikit-learn knows as ValueError."""

from __future__ import annotations

from twinset.core.errors import TwinsetError


class SamplerInputError(TwinsetError, ValueError):
    """The data or a setting cannot be used by a sampler.

    Examples
    --------
    >>> isinstance(SamplerInputError("no rows"), ValueError)
    True
    """

    @classmethod
    def of(cls, error: TwinsetError) -> SamplerInputError:
        """Return the error of a component as one that scikit-learn's tools understand."""
        return cls(error.what, got=error.got, allowed=error.allowed, todo=error.todo)


class NothingToAdd(UserWarning):
    """No class is short of rows: the real rows came back as they are."""


class RulesExcludedWarning(UserWarning):
    """Rules that all real rows keep, found by looking, could not be held in new rows."""
