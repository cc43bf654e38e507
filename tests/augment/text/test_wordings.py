"""Every phrase that noise knows can be found in a text, and is always written another way."""

from __future__ import annotations

import numpy as np
import pytest

from twinset.augment.text._annotated import AnnotatedTexts
from twinset.augment.text._ground import Ground
from twinset.augment.text._phrases import PhraseLexicon, rewrite
from twinset.augment.text._wordings import LANGUAGES, wordings


def test_every_phrase_is_found_and_changes() -> None:
    for kind in ["contractions", "abbreviations", "homophones"]:
        for language in LANGUAGES:
            lexicon: PhraseLexicon = getattr(wordings(language), kind)
            phrases = list(lexicon.entries)
            texts = AnnotatedTexts.from_texts([f"12 {phrase}, 12" for phrase in phrases])
            ground = Ground(texts, np.arange(len(phrases), dtype=np.uint64), "none")
            made = texts.edited(rewrite(ground, 1.0, 0, lexicon)).texts()
            unfound = [phrase for phrase, text in zip(phrases, made) if text == f"12 {phrase}, 12"]
            assert not unfound
            expected = [{f"12 {way}, 12" for way in lexicon.entries[phrase]} for phrase in phrases]
            assert all(text in ways for text, ways in zip(made, expected))


@pytest.mark.parametrize("language", LANGUAGES)
def test_fillers_are_words_and_lists_are_of_some_length(language: str) -> None:
    known = wordings(language)
    assert len(known.fillers) >= 7
    assert all(filler.strip() == filler != "" for filler in known.fillers)
    assert min(len(known.abbreviations.entries), len(known.homophones.entries)) > 20
