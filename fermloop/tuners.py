"""``fermloop loops`` and ``tune``: the arguments."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import ASK, WITHOUT, As, Json, Loop, Reason, Seed, Which, duration

app = typer.Typer()
HOUR_S = 3600.0


class Method(StrEnum):
    """The experiment."""

    RELAY = "relay"
    STEP = "step"


class Rule(StrEnum):
    """The tuning rule."""

    SIMC = "simc"
    TL = "tl"


@app.command(
    "loops", short_help="How healthy each loop is, from stored data.", rich_help_panel=WITHOUT
)
def loops(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PLANT.toml|STORE", help="The plant file, or a store (a file or its folder)."
        ),
    ],
    loop: Annotated[
        list[str] | None, typer.Option("--loop", metavar="LOOP", help="Only this one: R1.do.")
    ] = None,
    hours: Annotated[
        float, typer.Option(min=0.1, max=10_000, help="The newest so many hours of data.")
    ] = 24.0,
    plant: Annotated[
        Path | None,
        typer.Option("--plant", metavar="PLANT.toml", help="With a store: its bands and probes."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Report for each PID loop what the stored data say of it, and what to do.

    Share of the time in automatic, in band and at a limit; IAE; travel of the output;
    oscillation index (0 to 1, from 0.5 on too much) with period and height; stiction index (above
    0.6 a sticking valve is suspected); bad data. Reads only; may be used while the plant runs.

    Example: fermloop loops plant.toml --hours 8
    """
    from fermloop.commands import loops as command

    command.run(source, loop or [], hours, plant, as_json)


@app.command(short_help="Find a loop's tuning by an experiment.", rich_help_panel=ASK)
def tune(
    loop: Loop,
    plant: Which = None,
    method: Annotated[
        Method,
        typer.Option(
            help="relay: small jumps both ways until it oscillates; step: there and back."
        ),
    ] = Method.RELAY,
    size: Annotated[
        float | None,
        typer.Option(
            help="How far the output moves, % of the loop's output; 5. A step may be < 0."
        ),
    ] = None,
    deviation: Annotated[
        float | None,
        typer.Option(
            min=1e-9, help="How far the measurement may go before it is aborted; three bands."
        ),
    ] = None,
    longest: Annotated[
        float | None,
        typer.Option("--longest", parser=duration, metavar="TIME", help="Then it is given up; 1h."),
    ] = None,
    rule: Annotated[
        Rule, typer.Option(help="simc: fast or as --tau-c says; tl: Tyreus-Luyben, calm.")
    ] = Rule.SIMC,
    tau_c: Annotated[
        float | None,
        typer.Option(
            min=0.001, help="SIMC: time constant of the closed loop, s; the fastest with Ms <= 1.7."
        ),
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulate", help="On the simulated plant, in virtual time.")
    ] = False,
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", metavar="RECIPE.toml", help="With --simulate: run it before."),
    ] = None,
    after: Annotated[
        float | None,
        typer.Option(
            "--after", parser=duration, metavar="TIME", help="With --simulate: begin then; 1h."
        ),
    ] = None,
    seed: Seed = 1,
    yes: Annotated[
        bool, typer.Option("--yes", help="Apply what is proposed without asking.")
    ] = False,
    reason: Reason = "",
    as_name: As = "",
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE.svg", help="Else LOOP-tuning.svg in this folder."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Do an experiment on a loop and propose a tuning, with margins and predicted responses.

    The loop must be in AUTO or MANUAL and the plant steady. The experiment stays within --size and
    --deviation and ends, with the output where it began, at any alarm, interlock, BAD measurement,
    change by a person or step of the recipe. Nothing is applied unless you say so.

    Example: fermloop tune R1.temperature --plant plant.toml --simulate --size 10
    """
    from controller.acting.tuner import Wish
    from fermloop.commands import tune as command
    from fermloop.failure import USAGE, FailureError

    wish = Wish(method.value, size, deviation, longest or HOUR_S)
    shown = command.Shown(rule.value, tau_c, picture, as_json)
    if not simulated:
        if recipe is not None or after is not None:
            raise FailureError("--recipe and --after go with --simulate only", USAGE)
        command.live(plant, loop, wish, shown, reason, as_name, yes=yes)
        return
    if plant is None:
        raise FailureError("--plant: is required with --simulate", USAGE)
    command.simulate(plant, loop, wish, shown, recipe, (after or HOUR_S) / HOUR_S, seed)
