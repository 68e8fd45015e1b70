"""``fermloop interlock list``, ``bypass``, ``end`` and ``reset``: their arguments."""

from typing import Annotated

import typer

from fermloop.options import As, Json, Reason, Which, duration

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "See, bypass and reset the interlocks of the running controller.\n\n"
        "An interlock forces or limits actuators while a measurement is outside its window. "
        "A bypass lets it demand nothing for a while; it goes on watching, stays on screen and "
        "ends by itself."
    ),
)
Name = Annotated[str, typer.Argument(metavar="INTERLOCK", help="Reactor and name: R1.low_do")]


@app.command("list", short_help="Every interlock: tripped, latched, bypassed, what it does.")
def show(plant: Which = None, as_json: Json = False) -> None:
    """Show every interlock and how it stands."""
    from fermloop.commands import interlock

    interlock.show(plant, as_json)


@app.command("bypass", short_help="Let an interlock demand nothing for a while.")
def bypass(
    name: Name,
    time: Annotated[
        float,
        typer.Option("--for", parser=duration, metavar="TIME", help="How long: 90s, 30min, 2h."),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept in the audit trail.")],
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Let an interlock demand nothing for a while, as long as the plant file allows.

    It ends by itself, survives a restart with the same end, and cannot be extended: end it and
    begin another. Beginning and end are audited.

    Example: fermloop interlock bypass R1.low_do --for 30min --reason "probe is calibrated"
    """
    from fermloop.commands import interlock

    interlock.bypass(plant, as_json, name, time, reason, as_name)


@app.command("end", short_help="End a bypass before its time.")
def end(
    name: Name, reason: Reason = "", as_name: As = "", plant: Which = None, as_json: Json = False
) -> None:
    """End a bypass before its time; what is tripped acts again at once.

    Example: fermloop interlock end R1.low_do
    """
    from fermloop.commands import interlock

    interlock.tell(plant, as_json, name, "end", reason, as_name)


@app.command("reset", short_help="Clear a latched interlock whose reason is gone.")
def reset(
    name: Name, reason: Reason = "", as_name: As = "", plant: Which = None, as_json: Json = False
) -> None:
    """Clear a latched interlock. It is refused while its reason lasts.

    Example: fermloop interlock reset R1.stirrer_stopped --reason "drive checked"
    """
    from fermloop.commands import interlock

    interlock.tell(plant, as_json, name, "reset", reason, as_name)
