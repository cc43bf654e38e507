"""Should the rare class be balanced? A nested choice with "none" in it, and what it is worth."""

from twinset.advising.face import advise

__all__ = ["advise"]
