"""Other wordings of templates from a language model: templates are sent, no row and no value is.

This is no generator, so that no recipe ever calls a server: the answers become a file, which a person
reads, and from which the same seed draws the same rows for ever. `twinset paraphrase` loads it.
"""

from twinset.workflows.paraphrase.endpoint import Endpoint
from twinset.workflows.paraphrase.requests import (
    ParaphraseResult,
    RequestPlan,
    paraphrase,
    plan_requests,
)
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
