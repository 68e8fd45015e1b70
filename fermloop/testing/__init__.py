"""Is this driver one that a plant can trust? The rules that every driver keeps, each as a check.

For people who write drivers. Nothing here needs pytest, and any test runner can use it::

    @asynccontextmanager
    async def bench():
        async with FakeBalance() as device:
            yield Bench(lambda clock: Balance(...), device.cut, device.mend)


    @pytest.mark.parametrize("rule", RULES, ids=str)
    def test_balance(rule):
        check(rule, bench)

A device on the bench moves: the rules write every actuator, a tenth of its range from its safe
value and back.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from fermloop.testing.rules import RULES
from fermloop.testing.trial import Bench, BrokenRuleError, Rule

__all__ = ["RULES", "Bench", "BrokenRuleError", "Rule", "broken", "check"]


OpenBench = Callable[[], AbstractAsyncContextManager[Bench]]


def check(rule: Rule | str, bench: OpenBench) -> None:
    """Check one rule in an event loop of its own; return if the driver keeps it.

    Args:
        rule: one of ``RULES``, or its name.
        bench: opens a fresh bench, as an asynchronous context.

    Raises:
        BrokenRuleError: it does not.
    """
    chosen = rule if isinstance(rule, Rule) else next(r for r in RULES if r.name == rule)
    asyncio.run(_on_a_bench(chosen, bench))


def broken(bench: OpenBench) -> list[str]:
    """Check all rules and return a sentence for each that is broken."""
    found: list[str] = []
    for rule in RULES:
        try:
            check(rule, bench)
        except BrokenRuleError as error:
            found.append(str(error))
    return found


async def _on_a_bench(rule: Rule, bench: OpenBench) -> None:
    async with bench() as opened:
        await rule.holds(opened)
