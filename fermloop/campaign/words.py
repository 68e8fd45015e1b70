"""The page's texts."""

from typing import Final

from fermloop.words import LANGUAGES, Words

__all__ = ["LANGUAGES", "both", "catalogue", "named"]

_WORDS: Final = Words("fermloop.campaign")
both, catalogue, named = _WORDS.both, _WORDS.catalogue, _WORDS.named
