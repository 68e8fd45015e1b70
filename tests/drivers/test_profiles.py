"""The profiles of real devices against what their manuals print, through the real driver."""

import math
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from controller.devices.devices import build, wire
from controller.plant_file.config import validate
from controller.plant_file.device_settings import DeviceSettings
from controller.profiles.profiles import expand, load_profile
from drivers.clock import SystemClock
from drivers.driver import DeviceError, Driver
from drivers.point import Quality, Sample
from tests.drivers.paper_device import PaperDevice, float_words, frame

Driven = Callable[..., Driver]


@pytest.fixture
async def driven() -> AsyncIterator[Driven]:
    """Return a function that makes a plant file's driver of a profile, speaking to a device."""
    async with AsyncExitStack() as stack:

        def made(profile: str, device: PaperDevice, *tags: dict[str, Any], **keys: Any) -> Driver:
            plain = {
                "driver": "modbus_tcp" if device.tcp else "modbus_rtu_over_tcp",
                "address": f"127.0.0.1:{device.port}",
                "timeout_s": 10,  # a busy machine is no failure
                "profile": profile,
                "tags": [{"name": f"R1.{t['signal']}", **t} for t in tags],
                **keys,
            }
            table = expand({"device": {"X": plain}}, Path("plant.toml"))["device"]["X"]
            settings = validate(DeviceSettings, table, "plant.toml")
            driver = build("X", settings, wire(settings), SystemClock())
            stack.push_async_callback(driver.close)
            return driver

        yield made


def value(samples: dict[str, Sample], signal: str) -> float:
    sample = samples[f"R1.{signal}"]
    assert sample.quality == Quality.GOOD
    return sample.value


async def test_vaisala_reads_co2_as_the_manual_prints_it(driven: Driven) -> None:
    """GMP252 User Guide M211897EN-D, page 118: 465.65997 ppm."""
    ask = frame("F0 03 00 00 00 02 D1 2A")
    script = {ask: frame("F0 03 04 D4 7A 43 E8 33 AB")}
    async with PaperDevice(0xF0, script=script) as device:
        device.put(2049, 0)  # CO2 status: ok
        probe = driven("vaisala_gmp25x", device, {"signal": "co2", "low": 0, "high": 20})
        assert value(await probe.read(), "co2") == pytest.approx(0.046565997, rel=1e-7)
        assert ask in device.heard


async def test_vaisala_takes_a_pressure_as_the_manual_prints_it(driven: Driven) -> None:
    """GMP252 User Guide M211897EN-D, page 119: 1013.25 hPa."""
    ask = frame("F0 10 02 08 00 02 04 50 00 44 7D 0E B7")
    script = {ask: frame("F0 10 02 08 00 02 D4 93")}
    async with PaperDevice(0xF0, script=script) as device:
        device.put(0x0208, 0x5000, 0x447D)
        probe = driven("vaisala_gmp25x", device, {"signal": "pressure", "safe": 1.013})
        held = await probe.write({"R1.pressure": 1.01325})
        assert value(held, "pressure") == pytest.approx(1.01325, rel=1e-7)
        assert device.heard[0] == ask


@pytest.mark.parametrize(
    ("ask", "reply", "moved"),
    [
        (
            "01 10 01 0A 00 04 08 00 00 03 E8 FF FF FC 18 8D E9",
            "01 10 01 0A 00 04 E0 34",
            None,
        ),
        (
            "01 10 21 05 00 02 04 03 E8 FC 18 66 BB",
            "01 10 21 05 00 02 5B F5",
            (0x2105, 0x2106),
        ),
    ],
)
async def test_omron_takes_two_alarm_values_as_the_manual_prints_them(
    driven: Driven, ask: str, reply: str, moved: tuple[int, int] | None
) -> None:
    """E5_C Communications Manual H175, page 4-12: 1000 and -1000, in both modes."""
    async with PaperDevice(1, script={frame(ask): frame(reply)}) as device:
        device.put(0x010A, 0x0000, 0x03E8, 0xFFFF, 0xFC18)
        device.put(0x2105, 0x03E8, 0xFC18)
        whole = {"low": -1999, "high": 9999, "scale": 1, "safe": 0}
        tags: list[dict[str, Any]] = [
            {"signal": "alarm_1_upper", **whole},
            {"signal": "alarm_1_lower", **whole},
        ]
        for t, holding in zip(tags, moved or (), strict=False):  # in two-byte mode
            t.update(holding=holding, type="int16")
        controller = driven("omron_e5_c", device, *tags)
        values = {"R1.alarm_1_upper": 1000.0, "R1.alarm_1_lower": -1000.0}
        held = await controller.write(values)
        assert {name: s.value for name, s in held.items()} == values
        assert device.heard[0] == frame(ask)


@pytest.mark.parametrize("status", [2, 256])
async def test_vaisala_tells_a_bad_measurement(driven: Driven, status: int) -> None:
    """GMP252 User Guide M211897EN-D: only a CO2 status of 0 is ok."""
    async with PaperDevice(0xF0) as device:
        device.put(0, *float_words(465.66, low_first=True))
        device.put(2049, status)
        probe = driven("vaisala_gmp25x", device, {"signal": "co2", "low": 0, "high": 20})
        assert (await probe.read())["R1.co2"].quality == Quality.BAD


async def test_omron_sends_values_without_their_decimal_point(driven: Driven) -> None:
    """E5_C Communications Manual H175, page 2-4: 105.0 is 41A hex; 5-2: -5.0 is FFFFFFCE."""
    async with PaperDevice(1) as device:
        device.put(0, 0x0000, 0x041A, 0, 0, 0x0000, 0x041A, 0, 0, 0xFFFF, 0xFFCE, 0, 0)
        tag = {"low": 0, "high": 150, "scale": 0.1}
        controller = driven(
            "omron_e5_c", device, {"signal": "temperature", **tag}, {"signal": "heating"}
        )
        samples = await controller.read()
        assert value(samples, "temperature") == 105.0
        assert value(samples, "heating") == -5.0


@pytest.mark.parametrize(
    ("bit", "quality"), [(2, Quality.BAD), (6, Quality.BAD), (12, Quality.GOOD)]
)
async def test_omron_tells_a_broken_sensor(driven: Driven, bit: int, quality: Quality) -> None:
    """E5_C Communications Manual H175, page 3-25: A/D error, input error, alarm 1."""
    async with PaperDevice(1) as device:
        device.put(0, 0, 1050, (1 << bit) >> 16, (1 << bit) & 0xFFFF)
        tag = {"signal": "temperature", "low": 0, "high": 150, "scale": 0.1}
        samples = await driven("omron_e5_c", device, tag).read()
        assert samples["R1.temperature"].quality == quality


async def test_bronkhorst_counts_are_the_manuals_percent(driven: Driven) -> None:
    """EL-FLOW Prestige 9.17.084N, page 33: 32000 is 100 %, 41942 is 131.07 %."""
    async with PaperDevice(1) as device:
        device.put(0x20, 41942, 32000)
        tags = ({"signal": "measure"}, {"signal": "setpoint", "safe": 0})
        flow = driven("bronkhorst_el_flow", device, *tags)
        samples = await flow.read()
        assert value(samples, "measure") == pytest.approx(131.07, abs=0.005)
        assert value(samples, "setpoint") == 100
        await flow.write({"R1.setpoint": 50.0})
        assert device.words[0x21] == 16000


async def test_bronkhorst_is_never_asked_for_registers_between(driven: Driven) -> None:
    """EL-FLOW Base 9.17.061, page 23: unknown registers are refused with exception 2."""
    async with PaperDevice(1) as device:
        device.put(0x20, 16000)
        device.put(0xA100, *float_words(2.5, low_first=False))
        device.put(0xA118, *float_words(3.5, low_first=False))
        tag = {"unit": "L/min", "low": 0, "high": 5}
        flow = driven(
            "bronkhorst_el_flow",
            device,
            {"signal": "measure"},
            {"signal": "flow", **tag},
            {"signal": "flow_setpoint", "safe": 0, **tag},
        )
        await flow.read()
        samples = await flow.read()
        assert (value(samples, "flow"), value(samples, "flow_setpoint")) == (2.5, 3.5)


async def test_liquiline_has_the_low_word_first(driven: Driven) -> None:
    """SD01189C/07/EN/04.17, page 16: factory order 1-0-3-2; page 4: NaN is 7FA00000."""
    async with PaperDevice(0, tcp=True) as device:
        device.put(0, *float_words(6.97, low_first=True), 0, 0)
        device.put(4, 0x0000, 0x7FA0, 0, 0)
        ph = {"signal": "ai1", "unit": "[pH]", "low": 0, "high": 14}
        do = {"signal": "ai2", "unit": "%", "low": 0, "high": 200}
        samples = await driven("endress_hauser_liquiline", device, ph, do).read()
        assert value(samples, "ai1") == pytest.approx(6.97, abs=1e-6)
        assert samples["R1.ai2"].quality == Quality.BAD
        assert math.isnan(samples["R1.ai2"].value)


async def test_liquiline_tells_how_good_a_value_is(driven: Driven) -> None:
    """Modbus Guideline V1.0, page 18: what the states 0 to 3 mean."""
    async with PaperDevice(0, tcp=True) as device:
        tags: list[dict[str, Any]] = []
        for k in range(4):
            device.put(4 * k, *float_words(6.97, low_first=True), k, 0)
            tags.append({"signal": f"ai{k + 1}", "unit": "[pH]", "low": 0, "high": 14})
        samples = await driven("endress_hauser_liquiline", device, *tags).read()
        bad = Quality.BAD
        assert [s.quality for s in samples.values()] == [Quality.GOOD, Quality.UNCERTAIN, bad, bad]


PUMP = {"unit": "L/h", "low": 0, "high": 30}


@pytest.mark.parametrize(
    ("status", "quality"),
    [(0x03, Quality.GOOD), (0x43, Quality.UNCERTAIN), (0x20, Quality.BAD), (0x60, Quality.BAD)],
)
async def test_prominent_says_how_it_fares(driven: Driven, status: int, quality: Quality) -> None:
    """Manual 1383333, page 40: bit 5 of the status is an error, bit 6 a warning."""
    async with PaperDevice(20) as device:
        device.put(63, 0xAABB, 0xCCDD)
        device.put(1, 0, 7)
        device.put(1000, 0, status)
        device.put(1018, *float_words(12.5, low_first=False))
        pump = driven("prominent_dulco_flex", device, {"signal": "rate", **PUMP})
        assert (await pump.read())["R1.rate"].quality == quality


@pytest.mark.parametrize("pattern", [(0xCCDD, 0xAABB), (0xBBAA, 0xDDCC), (0, 0xAABB)])
async def test_prominent_in_another_order_is_refused(
    driven: Driven, pattern: tuple[int, int]
) -> None:
    """Manual 1383330: the endianness pattern tells order and base."""
    async with PaperDevice(20) as device:
        device.put(63, *pattern)
        device.put(1, 0, 7)
        device.put(1000, 0, 3)
        device.put(1018, *float_words(12.5, low_first=False))
        pump = driven("prominent_dulco_flex", device, {"signal": "rate", **PUMP})
        with pytest.raises(DeviceError, match="endianness pattern"):
            await pump.read()


def arc(status: int = 0, measured: int = 0x1000, shown: float = 4.02503) -> PaperDevice:
    """Return Hamilton's probe with the values of the manual's examples, pages 21 and 23."""
    device = PaperDevice(1, whole={2089: 10, 2409: 10})

    def low_first(number: int) -> tuple[int, int]:
        return number & 0xFFFF, number >> 16

    ph = [float_words(v, low_first=True) for v in (shown, 0.0, 14.0)]
    celsius = [float_words(v, low_first=True) for v in (24.35834, -20.0, 130.0)]
    for first, unit, (number, low, high) in ((2089, measured, ph), (2409, 0x04, celsius)):
        parts = low_first(unit), number, low_first(status), low, high
        device.put(first, *(word for part in parts for word in part))
    return device


async def test_hamilton_is_read_only_as_a_whole(driven: Driven) -> None:
    """624300/01, figures 2.5.2.3.2 and 2.5.3.3.2: 4.02503 pH, 24.35834 Cel."""
    async with arc() as device:
        tags = [{"signal": s} for s in ("ph", "ph_unit", "temperature")]
        samples = await driven("hamilton_arc_ph", device, *tags).read()
        assert value(samples, "ph") == pytest.approx(4.02503, rel=1e-7)
        assert value(samples, "ph_unit") == 4096
        assert value(samples, "temperature") == pytest.approx(24.35834, rel=1e-7)
        asked = [int.from_bytes(f[2:4], "big") for f in device.heard]
        assert set(asked) == {2089, 2409}


@pytest.mark.parametrize("unit", [0x200000, 0x1000 << 16])
async def test_hamilton_in_millivolts_or_another_order_is_refused(
    driven: Driven, unit: int
) -> None:
    """624300/01, figure 2.5.2.3.3: unit 0x200000; pH 7 would be near 0 mV and pass for a pH."""
    async with arc(measured=unit, shown=3.0) as device:
        with pytest.raises(DeviceError, match="unit of pH"):
            await driven("hamilton_arc_ph", device, {"signal": "ph"}).read()


async def test_hamilton_oxygen_in_another_unit_is_refused_as_its_note_says(driven: Driven) -> None:
    (note,) = [n for n in load_profile("hamilton_visiferm_do").settings.profile.notes if "[" in n]
    info = tomllib.loads(note[note.index("info = ") :].rstrip(".").replace("'", '"'))
    async with PaperDevice(1, whole={2089: 10}) as device:
        device.put(2089, 128, 0, *float_words(7.5, low_first=True), *[0] * 6)
        tag = {"signal": "do", "unit": "%", "low": 0, "high": 300}
        with pytest.raises(DeviceError, match="unit"):
            await driven("hamilton_visiferm_do", device, tag, **info).read()


@pytest.mark.parametrize(
    ("status", "quality"),
    [
        (4, "UNCERTAIN"),
        (8, "UNCERTAIN"),
        (12, "UNCERTAIN"),
        (1, "BAD"),
        (2, "BAD"),
        (16, "BAD"),
        (20, "BAD"),
    ],
)
async def test_hamilton_tells_a_warning(driven: Driven, status: int, quality: str) -> None:
    """624300/01, page 23: bits of the measurement status."""
    async with arc(status) as device:
        samples = await driven("hamilton_arc_ph", device, {"signal": "ph"}).read()
        assert samples["R1.ph"].quality.name == quality


async def test_hamilton_oxygen_is_where_the_driver_of_others_reads_it(driven: Driven) -> None:
    """github.com/asaldivar93/reactors_czlab, drivers/hamilton.py: ten words from 2089."""
    async with PaperDevice(1, whole={2089: 10}) as device:
        device.put(2089, 32, 0, *float_words(37.5, low_first=True), *[0] * 6)
        tag = {"signal": "do", "unit": "%", "low": 0, "high": 300}
        samples = await driven("hamilton_visiferm_do", device, tag, {"signal": "do_unit"}).read()
        assert (value(samples, "do"), value(samples, "do_unit")) == (37.5, 32)


@pytest.mark.parametrize(
    ("ask", "reply", "holding", "counts"),
    [
        # the manual prints 38,4A as the checksum of this reply, which is wrong
        ("01,03,00,00,00,02,C4,0B", "01,03,04,00,01,86,A0,C9,EB", 0, 100000),
        ("01,03,00,03,00,02,34,0B", "01,03,04,00,00,27,10,E0,0F", 3, 10000),
    ],
)
async def test_flintec_gives_weights_as_the_manual_prints_them(
    driven: Driven, ask: str, reply: str, holding: int, counts: int
) -> None:
    """FT-10 Technical Manual Rev. 1.0, page 52: a weight of 100000, a tare of 10000."""
    script = {frame(ask): frame(reply)}
    async with PaperDevice(1, script=script) as device:
        tag = {"unit": "kg", "low": 0, "high": 200, "scale": 0.001}
        scale = driven("flintec_ft10", device, {"signal": "tare", "holding": holding, **tag})
        assert value(await scale.read(), "tare") == counts / 1000
        assert device.heard == [frame(ask)]


@pytest.mark.parametrize(
    ("status", "quality"),
    [(0x0002, "GOOD"), (0x0006, "GOOD"), (0x0000, "BAD"), (0x2002, "BAD"), (0x8002, "BAD")],
)
async def test_flintec_says_whether_a_weight_is_one(
    driven: Driven, status: int, quality: str
) -> None:
    """FT-10 Technical Manual Rev. 1.0, page 68: bit 1 data ok, 13 to 15 error code."""
    async with PaperDevice(1) as device:
        device.put(0, 0x0001, 0x86A0, status)
        tag = {"unit": "kg", "low": 0, "high": 200, "scale": 0.001}
        scale = driven("flintec_ft10", device, {"signal": "weight", **tag})
        assert (await scale.read())["R1.weight"].quality.name == quality
