"""``--seeds``: which simulated plants a campaign runs on."""

from typing import Final

HIGHEST: Final = 2**31 - 1
MOST: Final = 1_000_000
FORM: Final = "A:B (from A up to but not B) and single numbers, with commas: 0:300 or 1,5,10:20"


def parse(text: str) -> tuple[int, ...]:
    """Return the seeds of ``0:300``, ``1,5,7`` or a mixture, in the order given.

    A range is half-open: ``0:300`` is 300 seeds, the last one 299.

    Raises:
        ValueError: with what is wrong and what is allowed.
    """
    found: dict[int, None] = {}
    for part in text.split(","):
        first, colon, last = part.strip().partition(":")
        low = _number(first, part, text)
        high = _number(last, part, text) if colon else low + 1
        if high <= low:
            raise ValueError(f"{part.strip()} has no seed in it; {FORM}")
        if len(found) + high - low > MOST:
            raise ValueError(f"{text} is more than {MOST} seeds")
        for seed in range(low, high):
            if seed in found:
                raise ValueError(f"{text} names seed {seed} twice")
            found[seed] = None
    return tuple(found)


def _number(digits: str, part: str, text: str) -> int:
    if not (digits.isascii() and digits.isdigit()):
        what = part.strip() or text or "nothing"
        raise ValueError(f"{what} is not allowed; {FORM}")
    number = int(digits)
    if number > HIGHEST + 1:
        raise ValueError(f"{digits} is not allowed; seeds are 0 to {HIGHEST}")
    return number
