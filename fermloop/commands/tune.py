"""``fermloop tune``: an experiment on a loop, what follows from it, and applying that."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from controller.acting.tuner import Wish
from controller.controller import Controller
from controller.devices.third_party import require_virtual
from controller.loops.loops import Mode
from controller.plant import Plant, load_plant
from controller.recipes.recipe import Recipe
from controller.tuning.proposal import RuleName
from drivers.clock import sleep
from drivers.point import RangeError
from fermloop.commands.check import recipe_for
from fermloop.commands.closed_loop import EPOCH, connect, virtual_devices
from fermloop.commands.remote import ask, find, name
from fermloop.commands.simulated import vessels
from fermloop.commands.tune_picture import svg, terminal
from fermloop.commands.tune_study import Study, lines, plant_lines, study
from fermloop.failure import USAGE, FailureError
from fermloop.identity import acting
from historian.store import NullHistorian
from sim.clock import SimClock, run_virtual

LOOK_S = 60.0  # plant s between two lines of progress in virtual time
LIVE_LOOK_S = 1.0  # wall s between two looks at a running controller
UNDER_WAY = ("baseline", "running")


class Shown(NamedTuple):
    """How the result is made and shown.

    Attributes:
        rule: simc or tl.
        tau_c_s: of simc, s; ``None``: the fastest that is robust.
        picture: where the picture goes; ``None``: LOOP-tuning.svg in this folder.
        as_json: print JSON.
    """

    rule: RuleName
    tau_c_s: float | None
    picture: Path | None
    as_json: bool


def simulate(
    plant_file: Path,
    loop: str,
    wish: Wish,
    shown: Shown,
    recipe_file: Path | None,
    after_h: float,
    seed: int,
) -> None:
    """Do the experiment on a simulated plant in virtual time, and show what follows from it.

    Raises:
        FailureError: it was refused or aborted, or its data do not tell.
    """
    plant = load_plant(plant_file)
    recipe = None if recipe_file is None else recipe_for(plant, recipe_file)
    report = virtual_experiment(plant, recipe, loop, wish, after_h, seed, _progress(shown))
    s = show(report, shown)
    if not shown.as_json:
        print("\nfor the plant file:", *plant_lines(s), sep="\n")


def live(
    plant_file: Path | None,
    loop: str,
    wish: Wish,
    shown: Shown,
    reason: str,
    as_name: str,
    *,
    yes: bool,
) -> None:
    """Do the experiment on the running controller, show what follows, and apply it if wanted.

    Raises:
        FailureError: it was refused or aborted, or its data do not tell.
    """
    socket, path = find(plant_file), f"/loop/{name(loop)}"
    by = acting(socket.parent, as_name)
    asked = asdict(wish)
    print(ask(socket, f"{path}/tune", {**asked, "reason": reason, **by})["text"], file=sys.stderr)
    progress = _progress(shown)
    try:
        while (report := ask(socket, f"/tuning/{name(loop)}"))["state"] in UNDER_WAY:
            progress(report)
            sleep(LIVE_LOOK_S)
    except KeyboardInterrupt:
        ask(socket, f"{path}/end-tuning", {"reason": "Ctrl-C", **by})
        raise FailureError(f"{loop}: ended; the loop is as it was") from None
    s = show(report, shown)
    if not shown.as_json:
        print(
            "\nfor the plant file, where a new start of the plant looks:", *plant_lines(s), sep="\n"
        )
    if not (yes or _confirmed(loop)):
        print(f"{loop}: nothing was changed", file=sys.stderr)
        return
    t = s.tuning
    body = {"kp": t.kp, "ti_s": t.ti_s, "td_s": t.td_s}
    why = reason or f"{report['method']} experiment, {s.advice.proposed.rule}"
    answer = ask(socket, f"{path}/retune", {**body, "reason": why, **by})
    print(answer["text"], file=sys.stderr if shown.as_json else sys.stdout)


def _confirmed(loop: str) -> bool:
    """Whether a person types the loop's name; nobody there is no."""
    if not sys.stdin.isatty():
        return False
    print(
        f"type {loop} to apply it, anything else to leave the loop as it is: ", end="", flush=True
    )
    return sys.stdin.readline().strip() == loop


def show(report: Mapping[str, Any], shown: Shown) -> Study:
    """Print what an experiment says, write its picture and return the study."""
    s = study(report, shown.rule, shown.tau_c_s)
    picture = shown.picture or Path(f"{report['loop']}-tuning.svg")
    try:
        picture.write_text(svg(s), encoding="utf-8")
    except OSError as error:
        raise FailureError(f"{picture}: cannot be written: {error.strerror}") from None
    if shown.as_json:
        print(json.dumps(as_json(s, picture), ensure_ascii=False))
        return s
    print("\n".join([*lines(s), "", *terminal(s), "", f"picture    {picture}"]))
    return s


def as_json(s: Study, picture: Path) -> dict[str, Any]:
    """Return everything as JSON; what is infinite or does not apply is null."""
    process = s.fit.process
    candidates = {
        "now": s.advice.now,
        "proposed": s.advice.proposed,
        **{c.rule: c for c in s.advice.others},
    }
    found: dict[str, Any] = {
        "loop": s.report["loop"],
        "method": s.report["method"],
        "unit": s.report["unit"],
        "rule": s.advice.proposed.rule,
        "process": {**asdict(process), "gain": process.gain, "lag_s": process.lag_s},
        "fit": {
            "explained_share": s.fit.explained,
            "residual": s.fit.residual,
            "slope_sd_share": s.fit.slope_sd,
            "dead_sd_s": s.fit.dead_sd,
        },
        "ultimate": None if s.point is None else asdict(s.point),
        "gain_schedule": s.report["gain"],
        "tunings": {
            name: {**c.tuning.as_json(), **asdict(c.margins)} for name, c in candidates.items()
        },
        "apply": {"kp": s.tuning.kp, "ti_s": s.tuning.ti_s, "td_s": s.tuning.td_s},
        "notes": [*s.fit.notes, *s.advice.notes],
        "picture": str(picture),
    }
    return json.loads(json.dumps(found), parse_constant=lambda _: None)


def virtual_experiment(
    plant: Plant,
    recipe: Recipe | None,
    loop: str,
    wish: Wish,
    after_h: float,
    seed: int,
    progress: Callable[[Mapping[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Return the report of an experiment on a simulated plant in virtual time.

    Args:
        plant: the checked plant file.
        recipe: what it runs meanwhile; ``None``: every loop at the plant file's setpoints.
        loop: ``R1.do``.
        wish: what to do.
        after_h: when it begins, plant h.
        seed: draws the simulated plant.
        progress: called with the report, every plant minute.

    Raises:
        FailureError: it was refused.
        ConfigError: something cannot be simulated.
    """
    require_virtual(plant)
    plants = vessels(plant, seed, EPOCH)

    async def experiment() -> dict[str, Any]:
        clock = SimClock(EPOCH)
        devices = virtual_devices(plant, plants, clock, seed)
        controller = Controller(plant, devices, clock, NullHistorian(), None, lock_step=True)
        await connect(controller)
        if recipe is not None:
            controller.begin(recipe, recipe.name, "off", loop.partition(".")[0])
        else:
            _hold(controller)
        await controller.run(EPOCH + after_h * 3600.0)
        try:
            w = wish
            controller.tune(loop, w.method, w.size, w.deviation, w.longest_s, "", "local")
        except LookupError as error:
            raise FailureError(str(error.args[0]), USAGE) from None
        except (ValueError, RangeError) as error:
            raise FailureError(str(error)) from None
        at = clock.now()
        while (report := controller.tuning(loop))["state"] in UNDER_WAY:
            at += LOOK_S
            await controller.run(at)
            progress(report)
        await controller.shut(safe=False)
        return dict(report)

    return run_virtual(experiment())


def _hold(controller: Controller) -> None:
    """Put every loop to work at the plant file's setpoints, without a recipe."""
    for reactor in controller.reactors.values():
        led = {slave for pid in reactor.pids for _, slave in pid.slaves}
        for loop in reactor.loops.values():
            loop.set_mode(Mode.CASCADE if loop in led else Mode.AUTO)


def _progress(shown: Shown) -> Callable[[Mapping[str, Any]], None]:
    """Return what shows each new word of an experiment on stderr."""
    last = [""]

    def told(report: Mapping[str, Any]) -> None:
        text = f"{report['elapsed_s'] / 60:5.1f} min  {report['state']}: {report['text']}"
        if report["text"] != last[0] and not shown.as_json:
            last[0] = report["text"]
            print(text, file=sys.stderr, flush=True)

    return told
