"""What is shown of a device: raw words, values, quality, latency; nothing is asked for it."""

import math
from collections.abc import Mapping, Sequence

import pytest

from controller.acting.look import look
from controller.devices.devices import Device
from controller.plant_file.device_settings import DeviceSettings
from drivers.driver import DeviceError, Driver, Identity
from drivers.point import Quality, Sample, Tag

SETTINGS = DeviceSettings.model_validate(
    {
        "driver": "modbus_tcp",
        "address": "10.0.0.3:502",
        "tags": [
            {"name": "R1.ph", "unit": "[pH]", "low": 0, "high": 14, "holding": 0, "type": "int16"},
            {
                "name": "R1.pump", "unit": "1", "low": 0, "high": 2, "holding": 1, "type": "int16",
                "safe": 0, "states": {0: "stopped", 1: "runs"},
            },
        ],
    }
)  # fmt: skip
PH, PUMP = (t.tag() for t in SETTINGS.tags)


class Transmitter(Driver):
    """Answers with what it is told to; counts how often it is asked."""

    def __init__(self) -> None:
        self.name, self.address = "R1-io", "10.0.0.3:502"
        self.tags: Sequence[Tag] = (PH, PUMP)
        self.said: Sequence[str] = ()
        self.silent = False
        self.asked = 0

    async def identify(self) -> Identity:
        return Identity("Hamilton Arc", info={"serial number": "4711"})

    async def read(self) -> dict[str, Sample]:
        self.asked += 1
        if self.silent:
            raise DeviceError("R1-io at 10.0.0.3:502: no reply")
        return {
            PH.name: Sample(PH, 99.0, math.nan, Quality.BAD),
            PUMP.name: Sample(PUMP, 99.0, 1.0, Quality.GOOD),
        }

    async def write(self, values: dict[str, float]) -> dict[str, Sample]:
        raise AssertionError("nobody may write here")

    async def heartbeat(self, count: int) -> bool:
        raise AssertionError("nobody may feed the watchdog here")

    async def close(self) -> None: ...

    def raw(self) -> Mapping[str, str]:
        return {PH.name: "FFFF", PUMP.name: "0001"} if self.asked else {}

    def warnings(self) -> Sequence[str]:
        return self.said


@pytest.fixture
def far() -> Transmitter:
    return Transmitter()


@pytest.fixture
def device(far: Transmitter) -> Device:
    return Device("R1-io", SETTINGS, far, 1.0)


def test_before_it_answers_every_tag_is_bad_and_has_no_value(device: Device) -> None:
    seen = look(device, 100.0)
    assert (seen["answering"], seen["reads"]) == (False, 0)
    assert seen["latency_ms"] == {"last": None, "p50": None, "p99": None}
    assert seen["tags"]["R1.ph"] == {
        "raw": None, "value": None, "unit": "[pH]", "state": None, "quality": "BAD",
        "age_s": None, "low": 0, "high": 14, "actuator": False,
    }  # fmt: skip


async def test_each_tag_has_its_words_its_value_and_its_state(
    device: Device, far: Transmitter
) -> None:
    far.said = ("certificate ends in 12 days",)
    await device.connect()
    await device.read(100.0, None)
    seen = look(device, 100.0)
    assert (seen["identity"], seen["answering"], seen["reads"]) == ("Hamilton Arc", True, 2)
    assert seen["info"] == {"serial number": "4711"}
    assert seen["warnings"] == ["certificate ends in 12 days"]
    pump, ph = seen["tags"]["R1.pump"], seen["tags"]["R1.ph"]
    assert (pump["raw"], pump["value"], pump["state"]) == ("0001", 1.0, "runs")
    assert (pump["quality"], pump["age_s"], pump["actuator"]) == ("GOOD", 1.0, True)
    assert (ph["raw"], ph["value"], ph["quality"]) == ("FFFF", None, "BAD")
    assert 0 <= seen["latency_ms"]["p50"] <= seen["latency_ms"]["p99"]


async def test_a_failed_read_is_counted_and_has_no_latency(
    device: Device, far: Transmitter
) -> None:
    await device.read(100.0, None)
    far.silent = True
    await device.read(101.0, None)
    seen = look(device, 104.5)
    assert (seen["answering"], seen["error"]) == (False, "R1-io at 10.0.0.3:502: no reply")
    assert (seen["reads"], seen["failures"], len(device.latencies)) == (2, 1, 1)
    assert seen["tags"]["R1.pump"]["quality"] == "UNCERTAIN"  # 4.5 s old
    assert far.asked == 2


def test_the_99th_percentile_is_the_slowest_but_one_of_two_hundred(device: Device) -> None:
    device.latencies.extend(ms / 1e3 for ms in range(200, 0, -1))
    assert look(device, 0.0)["latency_ms"] == {"last": 1.0, "p50": 100.0, "p99": 198.0}
