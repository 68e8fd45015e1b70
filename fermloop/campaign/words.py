"""The page's texts: one catalogue a language, both in one page, of which it shows one."""

import json
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Final

LANGUAGES: Final = ("en", "zh")


@lru_cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the texts of a language by key."""
    path = files("fermloop.campaign") / "locale" / f"{language}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def both(key: str, **values: object) -> str:
    """Return a text in both languages as HTML; ``values`` fill its places, escaped."""
    safe = {name: escape(str(value)) for name, value in values.items()}
    return "".join(
        f'<span class="{language}" lang="{language}">'
        f"{escape(catalogue(language)[key]).format(**safe)}</span>"
        for language in LANGUAGES
    )


def named(group: str, name: str) -> str:
    """Return the word for a name in both languages, or the name where it has none."""
    key = f"{group}.{name}"
    return both(key) if key in catalogue(LANGUAGES[0]) else escape(name)
