"""``fermloop fit`` and ``excite``: the arguments."""

from pathlib import Path
from typing import Annotated

import typer

from fermloop.options import WITHOUT, Json, PlantFile, StoreFile

app = typer.Typer()


def listed(text: str) -> list[str]:
    """Return ``A,B,C`` as its parts."""
    found = [part.strip() for part in text.split(",") if part.strip()]
    if twice := sorted({part for part in found if found.count(part) > 1}):
        raise typer.BadParameter(f"{', '.join(twice)}: named twice")
    return found


Reactor = Annotated[
    str, typer.Option("--reactor", metavar="R1", help="Whose batches; the first if not given.")
]
Batches = Annotated[
    str,
    typer.Option("--batches", metavar="A,B,C", help="Ids in the store, or CSV or Parquet files."),
]
Mapping = Annotated[
    Path | None,
    typer.Option("--map", metavar="MAP.toml", help="With files: as fermloop import has it."),
]
Samples = Annotated[
    list[Path] | None,
    typer.Option(
        "--samples",
        metavar="FILE",
        help="The laboratory's results that are not in the store: CSV as its folder takes them, "
        "or a folder of such; may be repeated.",
    ),
]


@app.command(short_help="Fit the model to a plant's own batches.", rich_help_panel=WITHOUT)
def fit(
    plant: PlantFile,
    batches: Batches,
    hold_out: Annotated[
        str, typer.Option("--hold-out", metavar="D,E", help="Batches that are only foretold.")
    ] = "",
    parameters: Annotated[
        str,
        typer.Option(
            "--parameters", metavar="P,Q", help="Only these; else all that are usually not known."
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="PARAMS.toml", help="Write what was found there."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FIT.html", help="Write the report with its plots there."),
    ] = None,
    store: StoreFile = None,
    mapping: Mapping = None,
    samples: Samples = None,
    reactor: Reactor = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Intervals by curvature, not by profile likelihood.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Estimate what differs from plant to plant and strain to strain, from batches that were run.

    Robust to outliers, with priors from the literature; late results of the laboratory count where
    their broth was taken. Says for each parameter its 90 % interval and whether the batches
    determine it: what they do not stays at its prior. Batches held out are foretold. The file
    written is named in the plant file: [reactor.R1.model] parameters = "params.toml".

    Example: fermloop fit plant.toml --batches B1,B2,B3 --hold-out B4 --out params.toml
    """
    from fermloop.commands import fit as command
    from fermloop.failure import USAGE, FailureError

    named = listed(batches)
    if not named:
        raise FailureError("--batches: at least one is required", USAGE)
    wish = command.Wish(
        batches=named,
        held_out=listed(hold_out),
        parameters=listed(parameters),
        out=out,
        picture=page,
        store=store,
        mapping=mapping,
        samples=samples or [],
        reactor=reactor,
        quick=quick,
        as_json=as_json,
    )
    command.run(plant, wish)
