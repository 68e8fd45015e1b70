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
    region: Annotated[
        Path | None,
        typer.Option(
            "--region",
            metavar="REGION.toml",
            help="Write there how far the optimiser may go from what these batches tried.",
        ),
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
    written is named in the plant file: [reactor.R1.model] parameters = "params.toml". So is the
    region around what was tried, which grows with each batch held out that kept its promise:
    [reactor.R1.optimiser.guardrail] region = "region.toml".

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
        region=region,
        picture=page,
        store=store,
        mapping=mapping,
        samples=samples or [],
        reactor=reactor,
        quick=quick,
        as_json=as_json,
    )
    command.run(plant, wish)


@app.command(short_help="Design batches that tell the model more.", rich_help_panel=WITHOUT)
def excite(
    plant: PlantFile,
    recipe: Annotated[
        Path, typer.Option("--recipe", metavar="RECIPE.toml", help="The recipe to move around.")
    ],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where recipes go.")],
    batches: Annotated[int, typer.Option("--batches", min=1, max=6, help="To design.")] = 2,
    like: Annotated[
        str,
        typer.Option(
            "--like", metavar="BATCH", help="A batch of it; the newest complete one if not given."
        ),
    ] = "",
    size: Annotated[
        float, typer.Option("--size", min=1.0, max=30.0, help="How far a feed is moved, %.")
    ] = 10.0,
    blocks: Annotated[
        int, typer.Option("--blocks", min=2, max=12, help="In which each feed is moved.")
    ] = 4,
    feeds: Annotated[
        str, typer.Option("--feeds", metavar="F,G", help="Only these; else all of the recipe.")
    ] = "",
    store: StoreFile = None,
    reactor: Reactor = "",
    as_json: Json = False,
) -> None:
    """Write recipes whose feeds go up and down, block by block, by a bounded share.

    Agreement on batches of one recipe is no evidence for another. Around a batch of the recipe, the
    pattern is looked for after which product under other feeds would be foretold best, within the
    pumps, the vessel and the by-product; how well it is now, after as many plain batches, and after
    these is told. The recipes are checked against the plant like any other.

    Example: fermloop excite plant.toml --recipe recipe.toml --batches 2 --out excited
    """
    from fermloop.commands import excite as command

    wish = command.Wish(
        recipe=recipe,
        like=like,
        batches=batches,
        size=size / 100.0,
        blocks=blocks,
        feeds=listed(feeds),
        out=out,
        store=store,
        reactor=reactor,
        as_json=as_json,
    )
    command.run(plant, wish)
