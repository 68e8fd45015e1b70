"""What an operator asks of the running controller, from ``status`` to ``stop``: its arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import (
    ASK,
    MODES,
    Action,
    As,
    Json,
    Loop,
    Reactor,
    Reason,
    Which,
    finite,
    loop_mode,
    named,
)

app = typer.Typer()


@app.command(short_help="Devices, loops, batch, estimates and alarms now.", rich_help_panel=ASK)
def status(plant: Which = None, as_json: Json = False) -> None:
    """Show devices, loops, batch, estimates, optimiser and alarms as they are now."""
    from fermloop.commands import remote

    remote.status(plant, as_json)


@app.command(short_help="Alarms now, unacknowledged first.", rich_help_panel=ASK)
def alarms(plant: Which = None, as_json: Json = False) -> None:
    """Show the alarms: what is to be acknowledged first, then by priority.

    FIRST OUT is the one with which a burst of alarms of a reactor began.
    """
    from fermloop.commands import alarms as command

    command.run(plant, as_json)


@app.command(short_help="Acknowledge an alarm, or all of a reactor.", rich_help_panel=ASK)
def acknowledge(
    alarm: Annotated[
        str, typer.Argument(metavar="ALARM|REACTOR", help="Its id in fermloop alarms, or R1.")
    ],
    comment: Annotated[
        str, typer.Option("--comment", help="What you found or did; kept with the alarm.")
    ] = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Say that you have seen an alarm. It leaves the list when it is over too.

    Example: fermloop acknowledge R1.temperature.high --comment "cooling valve opened by hand"
    """
    from fermloop.commands import remote

    remote.acknowledge(plant, as_json, alarm, comment, as_name)


@app.command(short_help="Enter a result of the laboratory, or see them.", rich_help_panel=ASK)
def sample(
    reactor: Reactor,
    analyte: Annotated[str, typer.Argument(help="As in the plant file: acetate.")] = "",
    value: Annotated[float | None, typer.Argument(parser=finite, help="The result.")] = None,
    unit: Annotated[str, typer.Argument(help="Its unit: g/L.")] = "",
    taken: Annotated[
        str, typer.Option("--taken", metavar="TIME", help="When the broth was taken: 02:10.")
    ] = "",
    result_at: Annotated[
        str, typer.Option("--result-at", metavar="TIME", help="When the result was there; now.")
    ] = "",
    below: Annotated[
        bool, typer.Option("--below", help="Nothing above VALUE, the limit of detection.")
    ] = False,
    corrects: Annotated[
        int, typer.Option("--corrects", min=0, help="Number of the result that it replaces.")
    ] = 0,
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Enter a result of the laboratory; without a result, show those that are there.

    TIME is 02:10 (the last time that it was 02:10) or 2026-01-31T02:10. A result is never
    overwritten: a correction replaces it, with a reason, and both stay in the record.

    Example: fermloop sample R1 acetate 1.2 g/L --taken 02:10

    Example: fermloop sample R1 acetate 0.12 g/L --taken 02:10 --corrects 7 --reason "typed x10"
    """
    from fermloop.commands import sample as command

    if not analyte:
        command.show(plant, as_json, reactor)
        return
    if value is None or not unit or not taken:
        raise typer.BadParameter("VALUE, UNIT and --taken are required with ANALYTE")
    body: dict[str, object] = {
        "analyte": analyte,
        "value": value,
        "unit": unit,
        "below_limit": below,
        "corrects": corrects,
        "reason": reason,
    }
    command.enter(plant, as_json, reactor, body, taken, result_at, as_name)


@app.command(short_help="Change a loop's mode.", rich_help_panel=ASK)
def mode(
    loop: Loop,
    mode: Annotated[
        str, typer.Argument(parser=loop_mode, metavar="|".join(MODES), help="The mode to go to.")
    ],
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Change a loop's mode, without a bump.

    OFF: output at its safe value. MANUAL: you set the output. AUTO: your setpoint. CASCADE:
    another loop sets the setpoint. OPTIMISER: the optimiser does.

    Example: fermloop mode R1.do AUTO --reason "probe recalibrated"
    """
    from fermloop.commands import remote

    remote.mode(plant, as_json, loop, mode, reason, as_name)


@app.command("set", short_help="Change a loop's setpoint.", rich_help_panel=ASK)
def set_(
    loop: Loop,
    value: Annotated[
        float,
        typer.Argument(parser=finite, metavar="VALUE", help="In the unit that the loop measures."),
    ],
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Change a loop's setpoint; prints old and new. A value outside its limits is refused.

    Example: fermloop set R1.do 35 --reason "acetate rising"
    (a negative value needs two dashes before it: fermloop set R1.cold -- -5)
    """
    from fermloop.commands import remote

    remote.setpoint(plant, as_json, loop, value, reason, as_name)


@app.command(short_help="Set the output of a loop in MANUAL.", rich_help_panel=ASK)
def output(
    loop: Loop,
    value: Annotated[
        float, typer.Argument(parser=finite, metavar="VALUE", help="In the output's own unit.")
    ],
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Set the output of a loop that is in MANUAL.

    Example: fermloop output R1.feed 12.5 --reason "pump test"
    """
    from fermloop.commands import remote

    remote.output(plant, as_json, loop, value, reason, as_name)


@app.command(short_help="Start, hold, resume, step or abort a batch.", rich_help_panel=ASK)
def recipe(
    action: Annotated[Action, typer.Argument(help="What to do with the batch.")],
    reactor: Reactor,
    recipe: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECIPE.toml",
            help="With start: another recipe than run's. With edit: the new version.",
        ),
    ] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="With start and edit: a parameter of the recipe, within its limits.",
        ),
    ] = None,
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Start, hold, resume or abort the batch of a reactor, or answer it.

    confirm: yes to what the batch asks (fermloop status shows it). step: leave this phase for the
    next, with a reason. edit: go on by another version of the recipe (engineers, with a reason);
    phases that are over stay as they were, and every change is in the audit trail.

    Example: fermloop recipe hold R1 --reason "sampling"

    Example: fermloop recipe edit R1 --set mu=0.15 --reason "acetate rising"
    """
    from fermloop.commands import remote

    given = named(values or [])
    remote.recipe(plant, as_json, action, reactor, recipe, given, reason, as_name)


@app.command(
    "safe-stop", short_help="Bring a reactor to its safe values, at once.", rich_help_panel=ASK
)
def safe_stop(
    reactor: Annotated[
        str, typer.Argument(metavar="REACTOR", help="Reactor: R1; all if none is named.")
    ] = "",
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Bring a reactor, or all of them, to the safe values of the plant file: no question is asked.

    Every loop goes OFF, the recipe is HELD and the optimiser off, until fermloop release. The
    controller goes on to measure and to watch. It is no emergency stop: that is hard-wired.

    Example: fermloop safe-stop R1
    """
    from fermloop.commands import remote

    remote.safe_stop(plant, as_json, reactor, reason, as_name)


@app.command(short_help="End the safe stop of a reactor.", rich_help_panel=ASK)
def release(
    reactor: Reactor,
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """End the safe stop of a reactor. Nothing moves by that.

    fermloop recipe resume brings the loops back to the modes they had; without a batch, or one by
    one, fermloop mode does.

    Example: fermloop release R1 --reason "air is back"
    """
    from fermloop.commands import remote

    remote.release(plant, as_json, reactor, reason, as_name)


@app.command(short_help="Stop the controller in order.", rich_help_panel=ASK)
def stop(reason: Reason = "", as_name: As = "", plant: Which = None, as_json: Json = False) -> None:
    """Stop the controller in order: actuators to their safe values, every sample committed.

    This is no emergency stop: hard-wired protection stays what protects people and vessel.
    """
    from fermloop.commands import remote

    remote.stop(plant, as_json, reason, as_name)
