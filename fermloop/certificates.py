"""``fermloop cert make``, ``show`` and ``trust``: their arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import Json

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Certificates for OPC UA: ours, and those of the servers that we trust.\n\n"
        "First fermloop cert make FOLDER; let the server trust the .der file; then "
        "fermloop cert trust opc.tcp://HOST:PORT --into FOLDER/trusted."
    ),
)


@app.command("make", short_help="Make a key and a self-signed certificate.")
def make(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write them.")],
    name: Annotated[str, typer.Option("--name", help="Of the files and the application.")] = (
        "fermloop"
    ),
    uri: Annotated[
        str | None,
        typer.Option("--uri", help="Application URI; urn:THIS-MACHINE:NAME if not given."),
    ] = None,
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="Host name or address of this machine; may be repeated."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=36500, help="How long it is valid.")] = 1825,
    as_json: Json = False,
) -> None:
    """Make a key (RSA 2048, mode 0600) and a self-signed application certificate.

    Writes FOLDER/NAME.der and FOLDER/NAME.pem (the key) and prints the lines for the plant file.
    Nothing is overwritten.

    Example: fermloop cert make /etc/fermloop/pki
    """
    from fermloop.commands import cert as command

    command.new(folder, name, uri, host or [], days, as_json)


@app.command("show", short_help="Show certificates: who, until when, thumbprints.")
def show(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE|FOLDER...", help="DER or PEM files, or folders.")
    ],
    as_json: Json = False,
) -> None:
    """Show subject, application URI, hosts, dates, days left and thumbprints.

    Example: fermloop cert show /etc/fermloop/pki /etc/fermloop/pki/trusted
    """
    from fermloop.commands import cert as command

    command.show(files, as_json)


@app.command("trust", short_help="Trust a server's certificate.")
def trust(
    source: Annotated[
        str,
        typer.Argument(metavar="opc.tcp://HOST:PORT|FILE", help="The server, or its certificate."),
    ],
    into: Annotated[
        Path, typer.Option("--into", metavar="FOLDER", help="The trusted folder of the plant file.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    thumbprint: Annotated[
        str | None,
        typer.Option("--thumbprint", metavar="HEX", help="SHA-256 or SHA-1 that it must have."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show a server's certificate and copy it into the trusted folder if you agree.

    A running controller sees it at its next try to connect.

    Example: fermloop cert trust opc.tcp://10.0.0.13:4840 --into /etc/fermloop/pki/trusted
    """
    from fermloop.commands import cert as command

    command.trust(source, into, yes, thumbprint, as_json)
