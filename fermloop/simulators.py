"""``fermloop simulate``, ``fault`` and ``sim``, which speaks to a running one: their arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import (
    WITHOUT,
    Json,
    PlantFile,
    Report,
    Seed,
    Speed,
    Which,
    duration,
    finite,
    pace,
)

app = typer.Typer()
sim = typer.Typer(
    no_args_is_help=True,
    help=(
        "Speak to a running simulator: fermloop simulate, or that of fermloop demo.\n\n"
        "A paused plant stands: its devices answer with what they showed last, and a controller "
        "that runs it waits."
    ),
)
app.add_typer(
    sim,
    name="sim",
    short_help="Pause, step, speed up or look into a running simulator.",
    rich_help_panel=WITHOUT,
)


@app.command(short_help="Serve a simulated plant on its real addresses.", rich_help_panel=WITHOUT)
def simulate(
    plant: PlantFile,
    speed: Speed = 1.0,
    seed: Seed = 1,
    report: Report = None,
    ready: Annotated[Path | None, typer.Option("--ready", hidden=True)] = None,
    hours: Annotated[
        float | None,
        typer.Option(
            min=0.001,
            max=10000,
            help="How long it may run faster than real time, plant h: its clock starts that far "
            "in the past, so that no time stamp lies in the future. 240 with --speed, else 0.",
        ),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples",
            metavar="FOLDER",
            help="Take laboratory samples; each result is a CSV file here when it is entered.",
        ),
    ] = None,
    clean: Annotated[
        bool,
        typer.Option(
            "--clean",
            help="Begin with clean vessels, for a recipe that inoculates: [simulation.R1.clean].",
        ),
    ] = False,
) -> None:
    """Serve the plant of a plant file on its own Modbus TCP and OPC UA addresses, simulated.

    Any client may use it. Only addresses of this machine are served. Pause it, step it and change
    its speed with fermloop sim. Ends on Ctrl-C.

    Example: fermloop simulate sim/plants/ecoli_5l.toml --speed 60
    """
    from fermloop.commands import simulate as command

    command.run(plant, speed, seed, report, ready, hours, samples, clean=clean)


@app.command(short_help="Make something fail in a running simulator.", rich_help_panel=WITHOUT)
def fault(
    reactor: Annotated[str | None, typer.Argument(metavar="REACTOR", help="Reactor: R1")] = None,
    fault: Annotated[
        str | None, typer.Argument(metavar="FAULT", help="What and how: do.stuck, feed.empty, ...")
    ] = None,
    for_s: Annotated[
        float | None,
        typer.Option(
            "--for", parser=duration, metavar="TIME", help="How long, plant time: 90s, 10min, 2h."
        ),
    ] = None,
    size: Annotated[
        float | None,
        typer.Option(parser=finite, metavar="X", help="How much; see --list for its meaning."),
    ] = None,
    clear: Annotated[
        bool, typer.Option("--clear", help="End it instead; without a fault, end all.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Every kind of fault there is.")] = False,
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Make something fail in a running fermloop simulate or demo, or show what is wrong there.

    A fault acts on the simulated device, so that its controller sees it as it would see a real
    one. Without a fault, what is wrong now. Targets are the tags of the reactor without its name,
    offgas, vessel, and its devices.

    Example: fermloop fault R1 do.stuck --for 10min
    """
    from fermloop.commands import fault as command

    if listed:
        command.known(as_json)
    else:
        command.run(plant, as_json, reactor, fault, for_s, size, clear)


@sim.command("status", short_help="Plant time, its pace and what the vessels really hold.")
def status(plant: Which = None, as_json: Json = False) -> None:
    """Show plant time, its pace and every vessel as it really is, which no controller may see."""
    from fermloop.commands import sim as command

    command.status(plant, as_json)


@sim.command("pause", short_help="Stop plant time.")
def pause(plant: Which = None, as_json: Json = False) -> None:
    """Let plant time stand. Devices go on to answer; their watchdogs stand too."""
    from fermloop.commands import sim as command

    command.tell(plant, as_json, "pause")


@sim.command("resume", short_help="Let plant time go on.")
def resume(plant: Which = None, as_json: Json = False) -> None:
    """Let plant time go on from where it stands."""
    from fermloop.commands import sim as command

    command.tell(plant, as_json, "resume")


@sim.command("step", short_help="Let some plant time pass, and stop again.")
def step(
    time: Annotated[
        float,
        typer.Argument(parser=duration, metavar="TIME", help="Plant time: 90s, 10min, 2h."),
    ],
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Let some plant time pass at the plant's speed, so that a controller can follow, and stop.

    Returns when it has passed. With --speed max it passes as fast as can be computed.

    Example: fermloop sim step 10min
    """
    from fermloop.commands import sim as command

    command.step(plant, as_json, time)


@sim.command("speed", short_help="Let plant time pass faster or slower.")
def speed(
    speed: Annotated[
        float, typer.Argument(parser=pace, metavar="N", help="Plant seconds per second.")
    ],
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Let plant time pass faster or slower; a running controller follows.

    Example: fermloop sim speed 60
    """
    from fermloop.commands import sim as command

    command.tell(plant, as_json, "speed", {"speed": speed})


@sim.command("inoculate", short_help="Pour the seed in by hand.")
def inoculate(
    reactor: Annotated[str, typer.Argument(metavar="REACTOR", help="Reactor: R1")],
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Pour the seed that stands beside a clean vessel in by hand, before you confirm that it is.

    Example: fermloop sim inoculate R1
    """
    from fermloop.commands import sim as command

    command.tell(plant, as_json, "inoculate", {"reactor": reactor})
