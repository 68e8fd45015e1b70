"""How far a campaign is: a bar with the time left on a terminal, plain lines where piped."""

import sys
import textwrap
from typing import Any, Final, Self

from drivers.clock import monotonic
from fermloop.campaign.results import Row

EVERY_S: Final = 10.0  # between two plain lines


class Progress:
    """Counts batches on stderr; use it with ``with``.

    Args:
        total: batches of the campaign.
        before: of them done in an earlier run.
    """

    def __init__(self, total: int, before: int) -> None:
        self._total, self._done, self._failed = total, before, 0
        self._before, self._began, self._last = before, monotonic(), -EVERY_S
        self._bar: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (BarColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.add_task(self._text(), total=self._total, completed=self._done)
            self._bar.start()
        elif self._before:
            print(f"{self._before} of {self._total} batches are there already", file=sys.stderr)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def count(self, row: Row) -> None:
        """Take note of one more batch."""
        self._done += 1
        failed = row["state"] == "failed"
        self._failed += failed
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=self._done, description=self._text())
        if failed:
            why = textwrap.shorten(row["error"], 200, placeholder=" …")
            self.say(f"{row['recipe_file']}, seed {row['seed']}: failed: {why}")
        now = monotonic()
        if self._bar is None and (now - self._last >= EVERY_S or self._done == self._total):
            self._last = now
            self.say(self._text())

    def say(self, line: str) -> None:
        """Write a line."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def _text(self) -> str:
        text = f"{self._done} of {self._total} batches"
        if self._failed:
            text += f", {self._failed} failed"
        here = self._done - self._before
        if not here or self._done == self._total:
            return text
        left = (monotonic() - self._began) / here * (self._total - self._done)
        return f"{text}, {_span(left)} left"


def _span(seconds: float) -> str:
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
