"""What a person is told of a request: one line, in English and in Chinese.

``raise RefusedError(said("output_by_hand", loop=..., mode=...))``: the line is a text like any
other, in English, that also knows its code, so that the socket, the console and the audit trail
tell it in both languages. The texts stand in ``controller.said_texts``.
"""

from collections.abc import Mapping
from typing import Literal, cast

from controller.texts.said_texts import TEXTS

Language = Literal["en", "zh"]


class Said(str):
    """A line for a person, in English, that can be told in Chinese too.

    Attributes:
        code: key of its text.
        values: what the text names.
    """

    __slots__ = ("code", "values")

    code: str
    values: Mapping[str, object]

    def told(self, language: Language) -> str:
        """Return the line in ``en`` or ``zh``."""
        return _filled(self.code, self.values, language)


def said(code: str, **values: object) -> Said:
    """Return a line by its code; ``values`` are what it names, lines among them.

    Raises:
        KeyError: there is no such text, or it names what is not given.
    """
    line = Said(_filled(code, values, "en"))
    line.code, line.values = code, values
    return line


def word(value: object) -> object:
    """Return a word of the plant, AUTO or HELD, so that it is told in both languages."""
    code = f"word.{value}"
    return said(code) if isinstance(value, str) and code in TEXTS else value


def told(error: Exception, language: Language) -> str:
    """Return what an error says, as one line; what has no text of its own is quoted in English."""
    first = error.args[0] if error.args else str(error)
    lines = getattr(error, "lines", None) or [first]
    if language == "en":
        return "; ".join(" ".join(str(line).split()) for line in lines)
    if isinstance(first, Said) and len(lines) == 1:
        return first.told(language)
    return _filled("other", {"error": told(error, "en")}, language)


def line(error: Exception) -> str:
    """Return what an error says, in English; one that can be told in Chinese stays so."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, Said) else told(error, "en")


def answer(error: Exception) -> dict[str, str]:
    """Return what a request is answered that was not obeyed."""
    return {"error": told(error, "en"), "error_zh": told(error, "zh")}


def in_chinese(line: str, key: str = "text") -> dict[str, str]:
    """Return ``text_zh`` for a line that can be told in Chinese, else nothing.

    Args:
        line: what is told.
        key: another name than ``text``.
    """
    return {f"{key}_zh": line.told("zh")} if isinstance(line, Said) else {}


def _filled(code: str, values: Mapping[str, object], language: Language) -> str:
    words = {key: shown(value, language) for key, value in values.items()}
    return TEXTS[code][0 if language == "en" else 1].format_map(words)


def shown(value: object, language: Language) -> object:
    """Return a value of a line as it is told in ``en`` or ``zh``."""
    if isinstance(value, Said):
        return value.told(language)
    if isinstance(value, list | tuple):
        several = cast("list[object]", value)
        return (", " if language == "en" else "、").join(str(shown(v, language)) for v in several)
    return f"{value:g}" if isinstance(value, float) else value
