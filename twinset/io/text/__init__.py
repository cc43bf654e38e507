"""Labelled texts: CoNLL, CoNLL-U, tokens of Hugging Face, DocBin, Rasa and Label Studio."""

from twinset.io.text.formats import find_text, read_text_set
from twinset.io.text.writing import open_text

__all__ = ["find_text", "open_text", "read_text_set"]
