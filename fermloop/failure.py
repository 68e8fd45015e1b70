"""The one way a command ends badly: lines for people on stderr and an exit code."""

from collections.abc import Sequence

WORLD = 1  # a device, a process or the controller did not do as asked
USAGE = 2  # the command line, the plant file or the recipe is wrong


class FailureError(Exception):
    """Ends the command: ``lines`` go to stderr without a traceback."""

    def __init__(self, lines: Sequence[str] | str, code: int = WORLD) -> None:
        self.lines = [lines] if isinstance(lines, str) else list(lines)
        self.code = code
        super().__init__("\n".join(self.lines))


def explained(error: Exception) -> FailureError | None:
    """Return an error that was expected as a failure, or ``None``: then it is a bug.

    A ``ValueError`` with ``lines`` is a wrong plant file or recipe.
    """
    if isinstance(error, FailureError):
        return error
    lines = getattr(error, "lines", None)
    if isinstance(error, ValueError) and lines:
        return FailureError([str(line) for line in lines], USAGE)
    if isinstance(error, FloatingPointError):  # of a simulated vessel; it says when and where
        return FailureError(str(error), WORLD)
    from controller.registry import SocketError

    if isinstance(error, SocketError):
        return FailureError(str(error), USAGE)
    from drivers.driver import DeviceError

    if isinstance(error, DeviceError):
        return FailureError(str(error), WORLD)
    return None
