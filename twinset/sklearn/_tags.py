"""What scikit-learn's and imbalanced-learn's checks ask an estimator about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class SamplerTags:
    """Whether the sampler tells the positions of the rows it chose, as `sample_indices_`."""

    sample_indices: bool = False


def sampler_tags(*, sample_indices: bool) -> Any:
    """Return the tags of a sampler; they hold the fields of both libraries.

    imbalanced-learn extends scikit-learn's tags by `sampler_tags` and `input_tags.dataframe`. It
    need not be installed, so its fields are added here.
    """
    from sklearn.utils import InputTags, Tags, TargetTags

    @dataclass(slots=True)
    class FrameTags(InputTags):  # type: ignore[misc]  # sklearn ships no types
        dataframe: bool = True

    @dataclass(slots=True)
    class AllTags(Tags):  # type: ignore[misc]
        sampler_tags: SamplerTags | None = field(default=None)

    return AllTags(
        estimator_type="sampler",
        target_tags=TargetTags(required=True),
        input_tags=FrameTags(allow_nan=True, string=True, categorical=True),
        sampler_tags=SamplerTags(sample_indices),
    )
