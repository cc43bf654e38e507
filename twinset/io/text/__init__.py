"""Labelled texts: CoNLL, CoNLL-U, tokens of Hugging Face, DocBin, Rasa and Label Studio."""
