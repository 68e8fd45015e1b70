"""The command line, in a process engineer's words; each command is imported when it is used."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from fermloop import campaigns, certificates, simulators
from fermloop.failure import explained
from fermloop.options import (
    MODES,
    Action,
    ApplicationUri,
    Certificate,
    Every,
    Hours,
    Json,
    Key,
    Loop,
    Optimiser,
    OptimiserMode,
    PasswordEnv,
    PasswordFile,
    PlantFile,
    Policy,
    Reactor,
    Reason,
    Recipe,
    Report,
    Seed,
    Speed,
    Trusted,
    User,
    UserCertificate,
    UserKey,
    Which,
    duration,
    finite,
    loop_mode,
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
WATCH, DO, ASK = "Run a plant", "Without a plant", "Speak to the running controller"
WIRE = "Look at devices"


app.add_typer(
    certificates.app,
    name="cert",
    short_help="Make, show and trust OPC UA certificates.",
    rich_help_panel=DO,
)
app.add_typer(
    simulators.app,
    name="sim",
    short_help="Pause, step, speed up or look into a running simulator.",
    rich_help_panel=DO,
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
    short_help="A simulated E. coli fed-batch, controlled and watched.", rich_help_panel=WATCH
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


@app.command(short_help="Control the plant of a plant file.", rich_help_panel=WATCH)
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


@app.command(short_help="Serve a simulated plant on its real addresses.", rich_help_panel=DO)
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
) -> None:
    """Serve the plant of a plant file on its own Modbus TCP and OPC UA addresses, simulated.

    Any client may use it. Only addresses of this machine are served. Pause it, step it and change
    its speed with fermloop sim. Ends on Ctrl-C.

    Example: fermloop simulate sim/plants/ecoli_5l.toml --speed 60
    """
    from fermloop.commands import simulate as command

    command.run(plant, speed, seed, report, ready, hours, samples)


@app.command(short_help="Make something fail in a running simulator.", rich_help_panel=DO)
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


@app.command(short_help="One batch on virtual time, with a report.", rich_help_panel=DO)
def batch(
    plant: PlantFile,
    recipe: Annotated[Path, typer.Option("--recipe", metavar="RECIPE.toml", help="The recipe.")],
    hours: Hours = 24.0,
    seed: Seed = 1,
    optimiser: OptimiserMode = Optimiser.OFF,
    report: Report = None,
    as_json: Json = False,
) -> None:
    """Run one batch against the simulated plant on virtual time: a day takes about a minute.

    The same controller and drivers as on a real plant, in one process, without sockets. The same
    seed gives the same result.

    Example: fermloop batch plant.toml --recipe recipe.toml --seed 1 --report r.json
    """
    from fermloop.commands import batch as command

    command.run(plant, recipe, hours, seed, optimiser, report, as_json)


app.command(short_help="Many batches on many simulated plants.", rich_help_panel=DO)(
    campaigns.campaign
)


@app.command(short_help="Check a plant file and a recipe; touches nothing.", rich_help_panel=DO)
def check(
    plant: PlantFile,
    recipe: Annotated[
        Path | None, typer.Argument(metavar="RECIPE.toml", help="A recipe for this plant.")
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what each device is asked in a scan instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a plant file, and a recipe against it, without touching a device.

    Each mistake is one line: file, key, value and what is allowed; the exit code is then 2.
    --plan shows the read plan of every device: each request with function code, first address
    (from 0 and from 1), count, unused registers and tags.
    """
    from fermloop.commands import check as command
    from fermloop.commands.simulated import require_simulation

    command.run(plant, recipe, as_json, plan, (require_simulation,))


@app.command(short_help="Read devices live: words, values, quality, latency.", rich_help_panel=WIRE)
def probe(
    plant: PlantFile,
    device: Annotated[
        list[str] | None,
        typer.Argument(metavar="DEVICE", help="Which of its devices; all if none is named."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Read once, print one table and end.")
    ] = False,
    every: Every = 1.0,
    as_json: Json = False,
) -> None:
    """Read the devices of a plant file live and show every tag: raw words, value, unit, quality.

    Only reads: writes nothing and feeds no watchdog. Each device is read on its own, so a
    dead one delays none. While a controller runs this plant, what it reads is shown instead.
    Ends on Ctrl-C. Exit codes with --once: 0 all was read, 1 a device failed or a tag is BAD,
    2 wrong command line or plant file. Without, --json gives an object a line.

    Example: fermloop probe plant.toml R1-io --once --json
    """
    from fermloop.commands import probe as command

    command.run(plant, device or [], once, as_json, every)


@app.command(short_help="Devices whose registers are known, and their source.", rich_help_panel=DO)
def profiles(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="One of them, or a file's path: shown as a whole."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the device profiles: register maps of real devices that a plant file can use.

    With a name, everything that one says: device, documents it was taken from, what was tested,
    signals, and lines ready to be pasted into a plant file.

    Example: fermloop profiles vaisala_gmp25x
    """
    from fermloop.commands import profiles as command

    command.run(name, as_json)


@app.command(short_help="What an OPC UA server offers, as plant-file lines.", rich_help_panel=WIRE)
def browse(
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="opc.tcp://HOST:PORT/PATH; see also --plant.")
    ],
    under: Annotated[
        str, typer.Option(metavar="NODE", help="Begin there: nsu=URI;s=NAME or ns=0;i=NUMBER.")
    ] = "",
    depth: Annotated[
        int | None, typer.Option(min=1, help="So many levels below it; all if not given.")
    ] = None,
    text: Annotated[
        str, typer.Option("--filter", metavar="TEXT", help="Only nodes with TEXT in them.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="Nodes looked at, at most.")] = 10_000,
    toml: Annotated[bool, typer.Option("--toml", help="Print lines for a plant file.")] = False,
    device: Annotated[str, typer.Option(help="With --toml: the device's name.")] = "",
    reactor: Annotated[str, typer.Option(help="With --toml: the reactor's name.")] = "R1",
    plant: Annotated[
        Path | None,
        typer.Option(
            "--plant",
            metavar="PLANT.toml",
            help="Speak to it as this plant file does; ADDRESS is a device's name or address.",
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Neither signed nor encrypted.")
    ] = False,
    policy: Policy = None,
    certificate: Certificate = None,
    key: Key = None,
    trusted: Trusted = None,
    application_uri: ApplicationUri = None,
    user: User = None,
    password_file: PasswordFile = None,
    password_env: PasswordEnv = None,
    user_certificate: UserCertificate = None,
    user_key: UserKey = None,
    as_json: Json = False,
) -> None:
    """List the variables of an OPC UA server with type, value, unit, range and access.

    Only reads. --toml prints a device with its tags as a plant file wants them; what the server
    does not say is "?" with a "# ?" beside it. The options for security and log-in are the
    plant file's keys. Exit codes: 0 done, 1 the server did not do as asked, 2 wrong command line.

    Example: fermloop browse opc.tcp://10.0.0.13:4840 --insecure --filter temp --toml
    """
    from fermloop.commands import browse as command

    options = dict(
        insecure=insecure, policy=policy, certificate=certificate, key=key, trusted=trusted,
        application_uri=application_uri, user=user, password_file=password_file,
        password_env=password_env, user_certificate=user_certificate, user_key=user_key,
    )  # fmt: skip
    name, settings = command.connection(address, plant, options)
    form = "json" if as_json else "toml" if toml else "table"
    wanted = command.Wanted(under, depth, text, limit)
    command.run(settings, wanted, form, device or name, reactor)


@app.command(short_help="Devices, loops, batch, estimates and alarms now.", rich_help_panel=ASK)
def status(plant: Which = None, as_json: Json = False) -> None:
    """Show devices, loops, batch, estimates, optimiser and alarms as they are now."""
    from fermloop.commands import remote

    remote.status(plant, as_json)


@app.command(short_help="Change a loop's mode.", rich_help_panel=ASK)
def mode(
    loop: Loop,
    mode: Annotated[
        str, typer.Argument(parser=loop_mode, metavar="|".join(MODES), help="The mode to go to.")
    ],
    reason: Reason = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Change a loop's mode, without a bump.

    OFF: output at its safe value. MANUAL: you set the output. AUTO: your setpoint. CASCADE:
    another loop sets the setpoint. OPTIMISER: the optimiser does.

    Example: fermloop mode R1.do AUTO --reason "probe recalibrated"
    """
    from fermloop.commands import remote

    remote.mode(plant, as_json, loop, mode, reason)


@app.command("set", short_help="Change a loop's setpoint.", rich_help_panel=ASK)
def set_(
    loop: Loop,
    value: Annotated[
        float,
        typer.Argument(parser=finite, metavar="VALUE", help="In the unit that the loop measures."),
    ],
    reason: Reason = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Change a loop's setpoint; prints old and new. A value outside its limits is refused.

    Example: fermloop set R1.do 35 --reason "acetate rising"
    (a negative value needs two dashes before it: fermloop set R1.cold -- -5)
    """
    from fermloop.commands import remote

    remote.setpoint(plant, as_json, loop, value, reason)


@app.command(short_help="Set the output of a loop in MANUAL.", rich_help_panel=ASK)
def output(
    loop: Loop,
    value: Annotated[
        float, typer.Argument(parser=finite, metavar="VALUE", help="In the output's own unit.")
    ],
    reason: Reason = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Set the output of a loop that is in MANUAL.

    Example: fermloop output R1.feed 12.5 --reason "pump test"
    """
    from fermloop.commands import remote

    remote.output(plant, as_json, loop, value, reason)


@app.command(short_help="Start, hold, resume or abort a batch.", rich_help_panel=ASK)
def recipe(
    action: Annotated[Action, typer.Argument(help="What to do with the batch.")],
    reactor: Reactor,
    recipe: Annotated[
        Path | None,
        typer.Argument(metavar="RECIPE.toml", help="With start: another recipe than run's."),
    ] = None,
    reason: Reason = "",
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Start, hold, resume or abort the batch of a reactor.

    Example: fermloop recipe hold R1 --reason "sampling"
    """
    from fermloop.commands import remote

    remote.recipe(plant, as_json, action, reactor, recipe, reason)


@app.command(short_help="Switch the optimiser off, to shadow or on.", rich_help_panel=ASK)
def optimiser(
    reactor: Reactor,
    mode: Annotated[
        Optimiser, typer.Argument(case_sensitive=False, help="off, shadow (plans only) or on.")
    ],
    plant: Which = None,
    as_json: Json = False,
) -> None:
    """Switch the optimiser of a reactor.

    Example: fermloop optimiser R1 shadow
    """
    from fermloop.commands import remote

    remote.optimiser(plant, as_json, reactor, mode)


@app.command(short_help="Stop the controller in order.", rich_help_panel=ASK)
def stop(plant: Which = None, as_json: Json = False) -> None:
    """Stop the controller in order: actuators to their safe values, every sample committed.

    This is no emergency stop: hard-wired protection stays what protects people and vessel.
    """
    from fermloop.commands import remote

    remote.stop(plant, as_json)


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
