"""The part of a small controller that says yes to tuning, for tests about other things."""

from collections.abc import Mapping

from controller.acting.tuner import Method


class Untuned:
    def tune(
        self,
        loop: str,
        method: Method,
        size: float | None,
        deviation: float | None,
        longest_s: float,
        reason: str,
        who: str,
    ) -> str:
        return f"{loop}: {method}"

    def end_tuning(self, loop: str, reason: str, who: str) -> str:
        return f"{loop}: ended"

    def tuning(self, loop: str) -> Mapping[str, object]:
        raise LookupError(f"{loop}: no experiment")

    def retune(
        self,
        loop: str,
        kp: float,
        ti_s: float | None,
        td_s: float | None,
        reason: str,
        who: str,
        filter_s: float | None = None,
    ) -> str:
        return f"{loop}: kp {kp:g}"
