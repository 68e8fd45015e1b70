"""Results of the simulated laboratory, through its folder, into the record of a running batch."""

from collections.abc import Callable

import pytest

from controller.loops.loops import RefusedError
from controller.sensing.laboratory import Entry
from drivers.point import RangeError
from historian.events import Kind
from sim.laboratory import Laboratory, LaboratorySettings, files
from tests.loop.rig import GROWN, Rig

Make = Callable[..., Rig]


def test_what_the_simulated_laboratory_writes_is_in_the_record(make: Make) -> None:
    plant = make(GROWN).begin()
    (folder,) = plant.controller.laboratory_folders()
    folder.folder.mkdir(parents=True)
    settings = LaboratorySettings(
        every_h=0.1, first_h=0.02, volume_ml=None, assays=None, mistakes=0.0
    )
    sampled = Laboratory(plant.vessel, settings, files(folder.folder))
    plant.hours(0.8)
    for _ in range(2):
        for path, rows, why in folder.look():
            assert folder.take(path, rows, why) == []
            folder.put_away(path, [])
    known = [r for r in sampled.records if r["t_entered"] <= plant.clock.now()]
    assert known
    found = plant.state()["reactors"]["R1"]["laboratory"]["results"]
    assert {(r["analyte"], r["value"]) for r in found} == {
        (r["analyte"], r["value"]) for r in known
    }
    assert all(r["batch"] for r in found)
    assert all(r["t_sampled"] <= r["t_available"] <= r["t_entered"] for r in found)
    audited = [e for e in plant.journal.events if e.kind is Kind.AUDIT and "result" in e.data]
    assert len(audited) == len(known)
    assert audited[0].source.startswith("file:R1-00")


def test_a_person_enters_is_refused_and_corrects_with_a_reason(make: Make) -> None:
    plant = make(GROWN).begin()
    plant.run(60)
    now = plant.clock.now()
    entry = Entry("acetate", 1.2, "g/L", now - 30.0)
    act = plant.controller.sample
    assert act("R1", entry, "", "ana") == "R1.acetate: 1.2 g/L entered, result 1"
    with pytest.raises(RangeError, match="120 g/L is outside 0 to 30"):
        act("R1", Entry("acetate", 120.0, "g/L", now - 10.0), "", "ana")
    right = Entry("acetate", 0.12, "g/L", now - 30.0, corrects=1)
    with pytest.raises(RefusedError, match="a correction needs a reason"):
        act("R1", right, "", "ana")
    assert act("R1", right, "typed x10", "ana") == "R1.acetate: result 1 corrected, 1.2 → 0.12 g/L"
    last = plant.journal.events[-1]
    assert (last.source, last.data["old"], last.data["why"]) == ("operator:ana", 1.2, "typed x10")
    state = plant.controller.reactors["R1"].as_state(now)
    again = make(GROWN).connect()
    again.controller.reactors["R1"].restore(state, now)
    kept = again.controller.reactors["R1"].sensing.laboratory
    assert [r.value for r in kept.valid()] == [0.12]
    assert kept[1].corrected_by == 2


def test_a_result_moves_the_soft_sensor_and_a_tenfold_one_does_not(make: Make) -> None:
    plant = make(GROWN).begin()
    plant.hours(0.2)
    now = plant.clock.now()
    biomass = plant.controller.reactors["R1"].sensing.intervals["biomass_g_per_l"][0]
    right = Entry("dry_weight", 1.05 * biomass, "g/L", now - 300.0)
    wrong = Entry("dry_weight", 10.0 * biomass, "g/L", now - 200.0)
    for entry in (right, wrong):
        plant.controller.sample("R1", entry, "", "ana")
    plant.run(15)
    told = plant.told(Kind.NOTE, "dry_weight")
    assert "is taken in: " in told[0]
    assert "is not believed: " in told[1]
    assert plant.controller.reactors["R1"].sensing.intervals["biomass_g_per_l"][0] > 1.005 * biomass
