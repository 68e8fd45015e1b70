"""``fermloop audit verify`` and ``show``: their arguments."""

from typing import Annotated

import typer

from fermloop.options import Json, PlantFile, duration

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Who changed what, when and why: the audit trail of a plant.\n\n"
        "Every change by a person, a recipe or the optimiser, and every refused attempt of a "
        "person, is a link of a hash chain."
    ),
)


def since(text: str) -> float:
    """Return ``8h`` as so many s ago (negative), a date or date and time as s since 1970 UTC."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        return -duration(text)
    except typer.BadParameter:
        raise typer.BadParameter(
            f"{text} is not allowed; a date (2026-11-22, 2026-11-22T14:00), or how long ago (8h), "
            "is required"
        ) from None


@app.command("verify", short_help="Check that nothing was changed, removed or inserted.")
def verify(
    plant: PlantFile,
    head: Annotated[
        str,
        typer.Option(
            "--head",
            metavar="HASH",
            help="A head that was noted before, or its first digits (8 at least); it must be in "
            "the chain.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """Check the hash chain of the audit trail, and every head exported beside the store.

    Says OK with the number of links and the head, or names the first row that was changed,
    removed, inserted or reordered; the exit code is then 1. May be used while the plant runs.
    Note the head where nobody who can reach this machine can change it, and ask for it next time.

    Example: fermloop audit verify plant.toml --head 3f9a0c5512d4
    """
    from fermloop.commands import audit as command

    command.verify(plant, head, as_json)


@app.command("show", short_help="Who changed what, when and why.")
def show(
    plant: PlantFile,
    who: Annotated[str, typer.Option("--who", metavar="NAME", help="Only what NAME did.")] = "",
    source: Annotated[
        str,
        typer.Option("--source", metavar="SOURCE", help="operator, recipe, optimiser or system."),
    ] = "",
    subject: Annotated[
        str, typer.Option("--subject", metavar="NAME", help="Reactor or loop: R1, R1.do.")
    ] = "",
    what: Annotated[
        str, typer.Option("--what", metavar="WHAT", help="setpoint, mode, output, recipe, ...")
    ] = "",
    why: Annotated[
        str, typer.Option("--why", metavar="TEXT", help="Only where the reason has TEXT in it.")
    ] = "",
    after: Annotated[
        float | None,
        typer.Option("--since", parser=since, metavar="TIME", help="From then on; 8h: ago."),
    ] = None,
    before: Annotated[
        float | None, typer.Option("--until", parser=since, metavar="TIME", help="Up to then.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="The newest so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the audit trail, oldest first: time, who or what, subject, old and new value, reason.

    Times are those of the plant, in this machine's zone; --json gives an object a line.

    Example: fermloop audit show plant.toml --who ana --since 8h
    """
    from fermloop.commands import audit as command

    command.show(
        plant,
        command.Wanted(who, source, subject, what, why, after, before),
        limit,
        as_json,
    )
