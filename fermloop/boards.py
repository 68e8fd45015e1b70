"""``fermloop grafana build`` and ``push``: their arguments."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from fermloop.options import Json

app = typer.Typer(
    no_args_is_help=True,
    help=(
        "Boards and alert rules for Grafana 10 to 13, made from a plant file.\n\n"
        "Grafana watches and moves nothing; limits, units and loops are those of the plant file."
    ),
)


Plant = Annotated[
    Path | None,
    typer.Argument(metavar="PLANT.toml", help="The plant file; that of the demo if not given."),
]


OfLanguage = Annotated[
    Literal["zh", "en"] | None,
    typer.Option("--language", help="Only this one; both boards and English rules if not given."),
]
Site = Annotated[
    str, typer.Option("--site", help="Name of the site, if not that of the plant file.")
]
Contact = Annotated[
    list[str] | None,
    typer.Option(
        "--contact",
        metavar="KIND=ADDRESS",
        help="Who is told: email=, webhook=, dingtalk= or wecom=; may be given several times.",
    ),
]


@app.command("build", short_help="Write boards and provisioning files into a folder.")
def build(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to; made if missing.")],
    plant: Plant = None,
    language: OfLanguage = None,
    site: Site = "",
    contact: Contact = None,
    token_file: Annotated[
        Path,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="Where Grafana itself reads the token for InfluxDB; may read the bucket.",
        ),
    ] = Path("/etc/grafana/fermloop_token"),
) -> None:
    """Write classic board JSON and provisioning files: data source, boards, rules, contact points.

    Show Grafana the folder provisioning in it (GF_PATHS_PROVISIONING).

    Example: fermloop grafana build plant.toml --out /etc/fermloop/grafana --contact wecom=https://...
    """
    from fermloop.commands import grafana

    grafana.build(grafana.wanted(plant, language, site, contact), out, token_file)


@app.command("push", short_help="Put boards and rules into a running Grafana.")
def push(
    url: Annotated[str, typer.Option("--url", help="Of Grafana: http://HOST:3000")],
    token_file: Annotated[
        Path,
        typer.Option(
            "--token-file", metavar="FILE", help="0600 file with a service account's token."
        ),
    ],
    plant: Plant = None,
    language: OfLanguage = None,
    site: Site = "",
    contact: Contact = None,
    influx_token_file: Annotated[
        Path | None,
        typer.Option(
            "--influx-token-file",
            metavar="FILE",
            help="0600 file with a token that may read the bucket: makes the data source.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show every difference.")] = False,
    as_json: Json = False,
) -> None:
    """Write boards, rules and contact points by Grafana's HTTP API; what is the same is left alone.

    Boards stay editable there; the next push puts back what was changed.

    Example: fermloop grafana push plant.toml --url http://host:3000 --token-file token --dry-run
    """
    from fermloop.commands import grafana

    wanted = grafana.wanted(plant, language, site, contact)
    grafana.push(wanted, url, token_file, influx_token_file, dry_run, diff, as_json)
