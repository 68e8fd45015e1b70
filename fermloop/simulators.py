"""``fermloop sim status``, ``pause``, ``resume``, ``step`` and ``speed``: their arguments."""

from typing import Annotated

import typer

from fermloop.options import Json, Which, duration, pace

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Speak to a running simulator: fermloop simulate, or that of fermloop demo.\n\n"
        "A paused plant stands: its devices answer with what they showed last, and a controller "
        "that runs it waits."
    ),
)


@app.command("status", short_help="Plant time, its pace and what the vessels really hold.")
def status(plant: Which = None, as_json: Json = False) -> None:
    """Show plant time, its pace and every vessel as it really is, which no controller may see."""
    from fermloop.commands import sim

    sim.status(plant, as_json)


@app.command("pause", short_help="Stop plant time.")
def pause(plant: Which = None, as_json: Json = False) -> None:
    """Let plant time stand. Devices go on to answer; their watchdogs stand too."""
    from fermloop.commands import sim

    sim.tell(plant, as_json, "pause")


@app.command("resume", short_help="Let plant time go on.")
def resume(plant: Which = None, as_json: Json = False) -> None:
    """Let plant time go on from where it stands."""
    from fermloop.commands import sim

    sim.tell(plant, as_json, "resume")


@app.command("step", short_help="Let some plant time pass, and stop again.")
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
    from fermloop.commands import sim

    sim.step(plant, as_json, time)


@app.command("speed", short_help="Let plant time pass faster or slower.")
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
    from fermloop.commands import sim

    sim.tell(plant, as_json, "speed", {"speed": speed})
