"""What a device said last, for people: identity, latency, and each tag as raw words and value."""

import math
from collections.abc import Sequence
from typing import Any

from controller.devices.devices import Device
from drivers.point import Quality, Sample, Tag


def look(device: Device, now: float) -> dict[str, Any]:
    """Return everything that is known of ``device`` without asking it; missing is ``None``."""
    samples, raw = device.samples(now), device.driver.raw()
    states = {t.name: t.states for t in device.settings.tags}
    return {
        "driver": device.settings.driver,
        "address": device.settings.address,
        "identity": device.identity.name,
        "info": dict(device.identity.info),
        "simulated": device.identity.simulated,
        "answering": device.answering,
        "error": device.error,
        "warnings": list(device.warnings),
        "latency_ms": _latency(device.latencies),
        "reads": device.reads,
        "failures": device.failures,
        "tags": {
            tag.name: _tag(tag, samples.get(tag.name), raw.get(tag.name), states.get(tag.name), now)
            for tag in device.driver.tags
        },
    }


def _latency(seconds: Sequence[float]) -> dict[str, float | None]:
    """Return the last, the median and the 99th percentile of the last good reads, ms."""
    if not seconds:
        return {"last": None, "p50": None, "p99": None}
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p99": 0.99}
    found = {name: ordered[math.ceil(part * len(ordered)) - 1] for name, part in at.items()}
    return {k: round(1e3 * v, 3) for k, v in ({"last": seconds[-1]} | found).items()}


def _tag(
    tag: Tag, sample: Sample | None, raw: str | None, states: dict[int, str] | None, now: float
) -> dict[str, Any]:
    good = sample is not None and sample.quality is not Quality.BAD
    value = sample.value if good and sample is not None else None
    state = None
    if states and value is not None and value.is_integer():
        state = states.get(int(value))
    return {
        "raw": raw,
        "value": value,
        "unit": tag.unit,
        "state": state,
        "quality": Quality.BAD.name if sample is None else sample.quality.name,
        "age_s": None if sample is None else round(max(0.0, now - sample.time), 3),
        "low": tag.low,
        "high": tag.high,
        "actuator": tag.safe is not None,
    }
