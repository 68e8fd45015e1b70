"""What an operator asks of the optimiser: its mode, its promotion, its advice, and what-if."""

from typing import Annotated

import typer

from fermloop.options import As, Json, Optimiser, Reactor, Reason, Which, finite

app = typer.Typer(
    no_args_is_help=True,
    help="The optimiser of a reactor: off, shadow, advisory, on; its evidence and its advice.",
)

Number = Annotated[
    int, typer.Argument(metavar="[NUMBER]", min=0, help="Of the suggestion; the one that waits.")
]
Mode = Annotated[
    Optimiser,
    typer.Argument(
        case_sensitive=False,
        help="off; shadow: plans and records; advisory: suggests; on: moves setpoints.",
    ),
]


@app.command(short_help="Mode, evidence, what it suggests and what was decided.")
def show(reactor: Reactor, plant: Which = None, as_json: Json = False) -> None:
    """Show mode, evidence and advice of the optimiser of a reactor."""
    from fermloop.commands import advice

    advice.show(plant, as_json, reactor)


@app.command(short_help="Switch it off, to shadow, advisory or on.")
def mode(
    reactor: Reactor,
    mode: Mode,
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Switch the optimiser of a reactor, up to what it was promoted to.

    Example: fermloop optimiser mode R1 shadow
    """
    from fermloop.commands import remote

    remote.optimiser(plant, as_json, reactor, mode, reason, as_name)


@app.command(short_help="Let it go up to a mode, on its evidence (engineers).")
def promote(
    reactor: Reactor,
    mode: Mode,
    override: Annotated[
        bool, typer.Option("--override", help="Although evidence is lacking; with a reason.")
    ] = False,
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Let operators switch the optimiser up to a mode; a lower one withdraws what was granted.

    Refused where the evidence is less than [reactor.R1.optimiser.promotion] of the plant file
    asks for, unless it is overridden with a reason. Evidence and reason stay in the audit trail.

    Example: fermloop optimiser promote R1 advisory --reason "three batches in shadow"
    """
    from fermloop.commands import advice

    advice.promote(plant, as_json, reactor, mode, override, reason, as_name)


@app.command(short_help="Follow what it suggests.")
def accept(
    reactor: Reactor,
    number: Number = 0,
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Follow the suggestion that waits, for the time that the plant file says.

    Example: fermloop optimiser accept R1 7
    """
    from fermloop.commands import advice

    body = {"action": "accept", "number": number, "reason": reason}
    advice.decide(plant, as_json, reactor, body, as_name)


@app.command(short_help="Follow it with another feed or DO.")
def edit(
    reactor: Reactor,
    number: Number = 0,
    feed: Annotated[
        float | None,
        typer.Option(parser=finite, help="Feed now, in the loop's unit; the rest is scaled to it."),
    ] = None,
    do: Annotated[float | None, typer.Option(parser=finite, help="DO setpoint, %.")] = None,
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Follow the suggestion that waits with another feed or DO; a reason is required.

    Example: fermloop optimiser edit R1 --feed 22 --reason "foam"
    """
    from fermloop.commands import advice

    body: dict[str, object] = {"action": "edit", "number": number, "reason": reason}
    body |= {k: v for k, v in (("feed", feed), ("do", do)) if v is not None}
    advice.decide(plant, as_json, reactor, body, as_name)


@app.command(short_help="Drop what it suggests, with a reason.")
def reject(
    reactor: Reactor,
    number: Number = 0,
    reason: Reason = "",
    as_name: As = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Drop the suggestion that waits; a reason is required.

    Example: fermloop optimiser reject R1 --reason "sampling in ten minutes"
    """
    from fermloop.commands import advice

    body = {"action": "reject", "number": number, "reason": reason}
    advice.decide(plant, as_json, reactor, body, as_name)


def whatif(
    reactor: Reactor,
    feed: Annotated[
        str, typer.Option(metavar="VALUE|PERCENT%", help="Held from now: 25; or all along: 120%.")
    ] = "",
    do: Annotated[float | None, typer.Option(parser=finite, help="DO setpoint, %.")] = None,
    temperature: Annotated[
        float | None, typer.Option(parser=finite, help="Temperature setpoint, °C.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(parser=finite, help="How far; to the batch's planned end.")
    ] = None,
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Run the vessel ahead, as it is now, under a change that nobody has made yet.

    Shows what comes of it beside the present course: trajectories with their 90 % interval,
    limits that are or may be crossed and when, and the product at the end. Changes nothing.

    Example: fermloop whatif R1 --feed 25 --do 35
    """
    from fermloop.commands import advice

    wish: dict[str, object] = {"do": do, "temperature": temperature, "hours": hours}
    if feed.endswith("%"):
        wish["feed_percent"] = finite(feed.removesuffix("%"))
    elif feed:
        wish["feed"] = finite(feed)
    advice.what_if(plant, as_json, reactor, {k: v for k, v in wish.items() if v is not None})
