"""``fermloop probe`` and ``browse``, which look at devices: their arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import (
    LOOK,
    ApplicationUri,
    Certificate,
    Every,
    Json,
    Key,
    PasswordEnv,
    PasswordFile,
    PlantFile,
    Policy,
    Trusted,
    User,
    UserCertificate,
    UserKey,
)

app = typer.Typer()


@app.command(short_help="Read devices live: words, values, quality, latency.", rich_help_panel=LOOK)
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


@app.command(short_help="What an OPC UA server offers, as plant-file lines.", rich_help_panel=LOOK)
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
