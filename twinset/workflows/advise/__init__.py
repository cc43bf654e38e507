"""Should the rare class be balanced? A nested choice with "none" in it, and what it is worth."""

from twinset.workflows.advise.advise import advise

__all__ = ["advise"]
