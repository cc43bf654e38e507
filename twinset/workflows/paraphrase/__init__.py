"""Other wordings of templates, asked of a language model: templates go out, no row and no value does.

This is no generator, so that no recipe ever calls out: what a model said becomes a file, which a person
reads, and from which the same seed makes the same rows for ever.
"""

from twinset.workflows.paraphrase.asking import (
    ParaphraseResult,
    RequestPlan,
    paraphrase,
    plan_requests,
)
from twinset.workflows.paraphrase.endpoint import Endpoint
from twinset.workflows.paraphrase.sheet import Sheet, read_sheet

__all__ = [
    "ParaphraseResult",
    "Endpoint",
    "RequestPlan",
    "Sheet",
    "paraphrase",
    "plan_requests",
    "read_sheet",
]
