"""Texts in two languages: a catalogue each, both in one page, which shows what is asked."""

import json
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

LANGUAGES: Final = ("en", "zh")


@cache
def _catalogue(package: str, language: str) -> Mapping[str, str]:
    path = files(package) / "locale" / f"{language}.json"
    return json.loads(path.read_text(encoding="utf-8"))


class Words:
    """The catalogues of a package, in its folder ``locale``."""

    def __init__(self, package: str) -> None:
        self._package = package

    def catalogue(self, language: str) -> Mapping[str, str]:
        """Return the texts of a language by key."""
        return _catalogue(self._package, language)

    def both(self, key: str, **values: object) -> str:
        """Return a text in both languages as HTML; ``values`` fill its places, escaped."""
        safe = {name: escape(str(value)) for name, value in values.items()}
        texts = {x: escape(self.catalogue(x)[key]).format(**safe) for x in LANGUAGES}
        if texts["en"] == texts["zh"]:
            return texts["en"]
        return "".join(f'<span class="{x}" lang="{x}">{text}</span>' for x, text in texts.items())

    def named(self, group: str, name: str) -> str:
        """Return the word for a name in both languages, or the name where it has none."""
        key = f"{group}.{name}"
        return self.both(key) if key in self.catalogue(LANGUAGES[0]) else escape(name)
