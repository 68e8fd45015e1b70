"""The command line, in a process engineer's words; each command is imported when it is used."""

import sys
from typing import Annotated

import typer

from fermloop import (
    advisers,
    audits,
    batches,
    boards,
    certificates,
    devices,
    exchange,
    files,
    fitters,
    forwarding,
    interlocks,
    keeping,
    operators,
    people,
    simulators,
    tuners,
)
from fermloop.failure import explained
from fermloop.options import (
    ASK,
    RUN,
    WITHOUT,
    Hours,
    Optimiser,
    OptimiserMode,
    PlantFile,
    Recipe,
    Report,
    Seed,
    Speed,
)

app = typer.Typer(
    name="fermloop",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # boxes and colours for people; where piped, plain text and an error is one line
    rich_markup_mode="rich" if sys.stdout.isatty() and sys.stderr.isatty() else None,
    help=(
        "Measures, controls, optimises and records fermentations in stirred vessels.\n\n"
        "Start with fermloop demo: a simulated 5 L E. coli fed-batch on real "
        "Modbus TCP and OPC UA sockets. Exit codes: 0 done, 1 the plant or the controller did "
        "not do as asked, 2 wrong command line, plant file or recipe."
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
)


def version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from importlib.metadata import version as installed

        typer.echo(f"fermloop {installed('fermloop')}")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


@app.command(
    short_help="A simulated E. coli fed-batch, controlled and watched.", rich_help_panel=RUN
)
def demo(
    speed: Speed = 60.0,
    hours: Hours = 24.0,
    seed: Seed = 1,
    optimiser: OptimiserMode = Optimiser.ON,
    headless: Annotated[bool, typer.Option("--headless", help="Without the web console.")] = False,
    report: Report = None,
) -> None:
    """Run a simulated 5 L E. coli fed-batch, controlled and watched as a real one would be.

    Starts the simulated plant on real sockets, the controller, the store and the web console,
    prints the console's address and a status line; ends after --hours of batch time or on Ctrl-C.

    Example: fermloop demo --speed 60 --hours 24 --report demo.json
    """
    from fermloop.commands import demo as command

    command.run(speed, hours, seed, optimiser, headless, report)


@app.command(short_help="Control the plant of a plant file.", rich_help_panel=RUN)
def run(
    plant: PlantFile,
    recipe: Recipe = None,
    optimiser: OptimiserMode = Optimiser.OFF,
) -> None:
    """Control the plant at the plant file's addresses until Ctrl-C or fermloop stop.

    The plant file and the recipe are checked whole before any device is touched. A device that
    does not answer is named and asked again for ever; nothing is written before all have answered.

    Example: fermloop run plant.toml --recipe recipe.toml --optimiser shadow
    """
    from fermloop.commands import run as command

    command.run(plant, recipe, optimiser)


for part in (simulators, batches, exchange, files, devices, operators, tuners, fitters, keeping):
    app.add_typer(part.app)
app.add_typer(
    advisers.app,
    name="optimiser",
    short_help="See, promote and decide on what the optimiser suggests.",
    rich_help_panel=ASK,
)
app.command(
    "whatif", short_help="Run a vessel ahead under a change nobody has made.", rich_help_panel=ASK
)(advisers.whatif)
app.add_typer(
    interlocks.app,
    name="interlock",
    short_help="See, bypass and reset interlocks.",
    rich_help_panel=ASK,
)
app.add_typer(
    certificates.app,
    name="cert",
    short_help="Make, show and trust OPC UA certificates.",
    rich_help_panel=WITHOUT,
)
app.add_typer(
    boards.app,
    name="grafana",
    short_help="Boards and alert rules for Grafana.",
    rich_help_panel=WITHOUT,
)
app.add_typer(
    people.app,
    name="user",
    short_help="Who may log in and act.",
    rich_help_panel=WITHOUT,
)
app.add_typer(
    audits.app,
    name="audit",
    short_help="Who changed what, when and why; and whether that is untouched.",
    rich_help_panel=WITHOUT,
)
app.add_typer(
    forwarding.app,
    name="influx",
    short_help="Make, check and fill InfluxDB.",
    rich_help_panel=WITHOUT,
)


def main() -> None:
    """Run the command line; expected errors are lines on stderr, never a traceback."""
    try:
        app()
    except Exception as error:
        failure = explained(error)
        if failure is None:
            raise
        for line in failure.lines:
            print(line, file=sys.stderr)
        sys.exit(failure.code)


if __name__ == "__main__":
    main()
