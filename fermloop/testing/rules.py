"""What every driver keeps, each rule as a check of its own."""

import asyncio
import math
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, cast

from drivers.clock import monotonic
from drivers.driver import DeviceError, Identity
from drivers.point import Quality, RangeError, Sample
from drivers.third_party import faults, words
from fermloop.testing.trial import (
    BrokenRuleError,
    Rule,
    Trial,
    held_by,
    is_near,
    notices,
    open_sockets,
    safe_values,
)

_VIRTUAL = 1_767_225_600.0  # when virtual time begins


async def _made(trial: Trial) -> None:
    switches = trial.switches
    if switches is not None:
        await switches[0]()
    try:
        driver = trial.bench.make(trial.clock)
    except Exception as error:
        raise trial.broken(f"it could not be made: {words(error)}") from error
    for fault in faults(type(driver)):
        raise trial.broken(fault)
    for name in ("name", "address", "tags"):
        trial.require(hasattr(driver, name), f"it has no {name}")
    await trial.ends("close before the first use", driver.close())
    if switches is not None:
        await trial.fails("the first read", driver.read())
        await switches[1]()
    await trial.read_again(driver, "the device came up")
    await trial.ends("close", driver.close())


async def _tags(trial: Trial) -> None:
    async with trial.driver() as driver:
        for _ in range(3):
            trial.agrees(await trial.read(driver), "a read")


async def _time(trial: Trial) -> None:
    last: dict[str, float] = {}

    def judge(found: Mapping[str, Sample], began: float, what: str) -> None:
        now = trial.clock.now()
        for name, s in found.items():
            late, early = s.time - now, began - s.time
            trial.require(late <= 0, f"{name} is stamped {late:.3g} s after {what} ended")
            allowed = early <= trial.bench.age_s
            trial.require(allowed, f"{name} is stamped {early:.3g} s before {what} began")
            trial.require(s.time >= last.get(name, s.time), f"{name} is stamped before its last")
            last[name] = s.time

    async with trial.driver() as driver:
        for _ in range(5):
            began = trial.clock.now()
            judge(await trial.read(driver), began, "a read")
            await asyncio.sleep(0.01)
        for values in (trial.moved(driver), safe_values(driver)):
            began = trial.clock.now()
            if values:
                judge(await trial.ends("write", driver.write(values)), began, "a write")


async def _quality(trial: Trial) -> None:
    async with trial.driver() as driver:
        found = await trial.read(driver)
        spoilt = "" if trial.bench.spoil is None else await trial.bench.spoil()
        for s in (*found.values(), *(await trial.read(driver)).values()):
            name, bad = s.tag.name, s.quality is Quality.BAD
            trial.require(not bad or math.isnan(s.value), f"{name} is BAD and carries {s.value}")
            trial.require(
                bad or s.value in s.tag,
                f"{name} is {s.quality.name} with {s.value}, outside {s.tag.low:g} to "
                f"{s.tag.high:g} {s.tag.unit}",
            )
        if spoilt:
            s = (await trial.read(driver))[spoilt]
            said = f"{spoilt} is {s.quality.name} with {s.value:g} though its sensor is broken"
            trial.require(s.quality is Quality.BAD, said)


async def _range(trial: Trial) -> None:
    async with trial.driver() as driver:
        before = await held_by(trial, driver)
        good = trial.moved(driver)
        wrong: list[dict[str, float]] = [{"nobody.knows": 1.0}]
        wrong += [{t.name: (t.low + t.high) / 2} for t in driver.tags if t.safe is None]
        for tag in (t for t in driver.tags if t.safe is not None):
            beyond = (tag.high - tag.low) / 10
            for value in (tag.high + beyond, tag.low - beyond, math.nan, math.inf, -math.inf):
                wrong.append({tag.name: value})
                wrong.append({n: v for n, v in good.items() if n != tag.name} | {tag.name: value})
        wrong += [good | {"nobody.knows": 1.0}]
        for values in wrong:
            await trial.refused(driver, values)
            after = await held_by(trial, driver)
            for name, value in before.items():
                moved = f"{name} went from {value:g} to {after[name]:g} by a write of {values}"
                trial.require(is_near(driver, name, value, after[name]), moved)
        if trial.switches is not None:  # and it is the caller's fault, not the world's
            await trial.switches[0]()
            await trial.refused(driver, wrong[-1])
            await trial.switches[1]()


async def _write(trial: Trial) -> None:
    async with trial.driver() as driver:
        for values in filter(None, (trial.moved(driver), safe_values(driver), trial.moved(driver))):
            try:
                held = await trial.ends("write", driver.write(dict(values)))
            except RangeError as error:
                raise trial.broken(f"a write of {values} was refused: {error}") from error
            trial.require(
                held.keys() == values.keys(), f"a write of {list(values)} gave {list(held)}"
            )
            truth = await held_by(trial, driver)
            for name, value in values.items():
                s = held[name]
                trial.sample(next(t for t in driver.tags if t.name == name), s)
                near = is_near(driver, name, s.value, value)
                trial.require(near, f"{name} gives {s.value:g} after {value:g} was written")
                real = f"the device holds {truth[name]:g} after {value:g} was written"
                trial.require(is_near(driver, name, truth[name], value), f"{name}: {real}")
        if safe_values(driver):
            await trial.ends("write", driver.write(safe_values(driver)))


async def _reconnect(trial: Trial) -> None:
    if trial.switches is None:
        return
    cut, mend = trial.switches
    async with trial.driver() as driver:
        await trial.read(driver)
        for _ in range(3):
            await cut()
            await notices(trial, driver)
            for _ in range(3):
                await trial.fails("read", driver.read())
            if safe_values(driver):
                await trial.fails("write", driver.write(safe_values(driver)))
            await mend()
            trial.agrees(await trial.read_again(driver, "the device came back"), "its return")


async def _silence(trial: Trial) -> None:
    freeze, mend = trial.bench.freeze, trial.bench.mend
    if freeze is None or mend is None:
        return
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    async with trial.driver() as driver:
        await trial.read(driver)
        await freeze()
        began, ticking = monotonic(), asyncio.create_task(tick())
        await notices(trial, driver)
        took = monotonic() - began
        ticking.cancel()
        stood = f"nothing else ran for the {took:.2f} s that it waited: it blocks the event loop"
        trial.require(took < 0.1 or ticks > 2, stood)
        if safe_values(driver):
            await trial.fails("write", driver.write(safe_values(driver)))
        await mend()
        trial.agrees(await trial.read_again(driver, "the device spoke again"), "its silence")


async def _cancellation(trial: Trial) -> None:
    async with trial.driver() as driver:
        await trial.read(driver)
        for turns, wait in ((0, 0.0), (1, 0.0), (2, 0.0), (4, 0.0), (0, 0.001), (0, 0.005)):
            task = asyncio.create_task(driver.read())
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.sleep(wait)
            task.cancel()
            await asyncio.wait({task}, timeout=trial.limit_s)
            trial.require(task.done(), "a read that was cancelled did not end")
            if not task.cancelled():
                error = task.exception()
                if error is not None and not isinstance(error, DeviceError):
                    raise trial.broken(f"a read that was cancelled raised {words(error)}")
                if error is None:  # it may have been through already
                    trial.whole(driver, task.result())
            found = await trial.read_again(driver, "a cancelled read")
            trial.agrees(found, "a cancelled read")


async def _concurrency(trial: Trial) -> None:
    async with trial.driver() as driver:
        values = trial.moved(driver)
        for _ in range(3):
            work: list[Coroutine[Any, Any, object]] = [trial.read(driver) for _ in range(4)]
            if values:
                work.insert(2, trial.ends("write", driver.write(values)))
            for found in await asyncio.gather(*work, return_exceptions=True):
                if isinstance(found, DeviceError):
                    raise trial.broken(f"a write beside reads raised {found}")
                if isinstance(found, BaseException):
                    raise found
            await asyncio.sleep(trial.bench.age_s)
            trial.agrees(await trial.read(driver), "several calls at once")
        if values:
            await trial.ends("write", driver.write(safe_values(driver)))


async def _close(trial: Trial) -> None:
    async with trial.driver() as driver:
        for _ in range(2):
            await trial.read(driver)
            await trial.ends("close", driver.close())
            await trial.ends("a second close", driver.close())
        reading = asyncio.create_task(driver.read())
        await asyncio.sleep(0)
        await trial.ends("close beside a read", driver.close())
        await asyncio.wait({reading}, timeout=trial.limit_s)
        trial.require(reading.done(), "a read beside a close did not end")
        error = None if reading.cancelled() else reading.exception()
        if error is not None and not isinstance(error, DeviceError):
            raise trial.broken(f"a read beside a close raised {words(error)}")
        trial.agrees(await trial.read_again(driver, "a close"), "a close")


async def _leaks(trial: Trial) -> None:
    switches = trial.switches
    tasks, sockets = asyncio.all_tasks(), open_sockets()
    for _ in range(5):
        async with trial.driver() as driver:
            await trial.read(driver)
            if switches is not None:
                await switches[0]()
                await notices(trial, driver)
                await switches[1]()
                await trial.read_again(driver, "the device came back")
    until = monotonic() + trial.bench.back_s
    while (left := asyncio.all_tasks() - tasks) or open_sockets() > sockets:
        if monotonic() > until:
            names = ", ".join(sorted(_of_task(t) for t in left)) or "no task"
            open_ = open_sockets() - sockets
            raise trial.broken(f"after close there are left: {names}; {open_} sockets")
        await asyncio.sleep(0.02)


def _of_task(task: asyncio.Task[Any]) -> str:
    """Return a task's name and what it does."""
    return f"{task.get_name()} ({getattr(task.get_coro(), '__qualname__', '?')})"


async def _words(trial: Trial) -> None:
    async with trial.driver() as driver:
        who = await trial.ends("identify", driver.identify())
        trial.require(isinstance(who, Identity), f"identify gave {who!r}, not an Identity")
        beat = await trial.ends("heartbeat", driver.heartbeat(1))
        trial.require(isinstance(beat, bool), f"heartbeat gave {beat!r}, not True or False")
        await trial.read(driver)
        raw = cast("Any", driver.raw())
        trial.require(isinstance(raw, Mapping), f"raw gave {raw!r}, no text by tag name")
        names = {t.name for t in driver.tags}
        for name, text in cast("Mapping[object, object]", raw).items():
            trial.require(name in names, f"raw has {name!r}, which is no tag of it")
            trial.require(isinstance(text, str), f"raw has {text!r} for {name}, no text")
        said = cast("Any", driver.warnings())
        many = isinstance(said, Sequence) and not isinstance(said, str)
        trial.require(many, f"warnings gave {said!r}, no sequence of texts")
        for line in cast("Sequence[object]", said):
            trial.require(isinstance(line, str), f"warnings has {line!r}, no text")


async def _virtual(trial: Trial) -> None:
    if not type(trial.bench.make(trial.clock)).virtual_time:
        return
    from sim.clock import SimClock, run_virtual

    async def hour() -> None:
        trial.clock = SimClock(_VIRTUAL)
        async with trial.driver() as driver:
            for _ in range(6):
                began = trial.clock.now()
                for name, s in (await trial.read(driver)).items():
                    late = f"{name} is stamped {s.time - began:.3g} s off virtual time"
                    trial.require(began <= s.time <= trial.clock.now(), late)
                await asyncio.sleep(600)

    try:
        await asyncio.to_thread(lambda: run_virtual(hour()))
    except BrokenRuleError:
        raise
    except Exception as error:
        raise trial.broken(f"in virtual time it raised {words(error)}") from error


RULES: Sequence[Rule] = (
    Rule("made", "making it touches nothing, and it connects when the device is there", _made),
    Rule("tags", "every read gives every tag, once, as the plant file has it", _tags),
    Rule("time", "a sample is stamped by the given clock, within the call or age_s before", _time),
    Rule("quality", "what is not BAD is a number in range, and BAD is NaN", _quality),
    Rule("range", "what must not be written is a RangeError, and nothing is written", _range),
    Rule("write", "a write gives what the device then holds", _write),
    Rule("reconnect", "without its device it raises DeviceError in time, then returns", _reconnect),
    Rule("silence", "a silent device costs one timeout and holds nobody else up", _silence),
    Rule("cancellation", "a cancelled read ends at once and leaves it usable", _cancellation),
    Rule("concurrency", "reads and a write at the same time do not mix", _concurrency),
    Rule("close", "it may be closed at any time, twice, and used again", _close),
    Rule("leaks", "closed, it leaves no task and no socket behind", _leaks),
    Rule("words", "identify, heartbeat, raw and warnings give what they promise", _words),
    Rule("virtual", "with virtual_time it knows no time but the clock's and no wire", _virtual),
)
