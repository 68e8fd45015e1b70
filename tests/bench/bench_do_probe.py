"""How soon a drifting DO probe is told, and how often a healthy one is suspected.

``python tests/bench/bench_do_probe.py RESULTS.jsonl [--plants ecoli_5l …] [--seeds 601-604]``
goes on where it was stopped and prints a table. The whole controller runs each plant's recipe on
the organism's twin, whose equations the soft sensor does not know. Until the given hour the probe
is as healthy as its seed made it: what alarm ``do_probe`` says then is false. From then on it
drifts by 10 points an hour, and its loop believes it. Late is counted from the moment at which
drift alone has passed 10 points (RELIABILITY 2: 60 min at most, one false alarm in 1 000 h).
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script, from anywhere

from controller.plant import load_plant
from controller.recipes.recipe import load_recipe
from fermloop.campaign.results import Results, Row
from fermloop.commands.closed_loop import EPOCH, run_batch
from historian.events import Event, Kind
from historian.store import NullHistorian
from models.organisms import TWINS
from tests.bench.long_run import rows as completed
from tests.bench.watched_batches import CASES, ROOT

ALARM = "R1.do_probe.residual"
RATE = 10.0  # points an hour
PASSED_H = 1.0  # after which it has passed 10 points
WATCHED_H = 2.2  # how long the drift is let go on


class Trial(NamedTuple):
    """A batch; ``hour`` is when its probe begins to drift."""

    plant: str
    hour: float
    seed: int


HOURS = {  # fed, and oxygen held by its loop
    "ecoli_5l": (10.0, 14.0, 19.0),
    "yeast_300l": (8.0, 12.0, 16.0),
    "penicillin_100m3": (60.0, 120.0),
}


class Ears(NullHistorian):
    """Hears when the alarm came and went.

    Attributes:
        begun: h since inoculation, whenever it became active.
    """

    def __init__(self) -> None:
        self.begun: list[float] = []

    def record(self, event: Event) -> None:
        """Keep it if it is the alarm's beginning."""
        data = event.data
        if event.kind is Kind.ALARM and data["id"] == ALARM and data["active"] and not data["seen"]:
            self.begun.append((event.time - EPOCH) / 3600.0)


def run(trial: Trial) -> Row:
    """Run one batch; ``late_min`` is ``None`` if the drift was not told."""
    case = CASES[trial.plant]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / case.path.name
        faults = f'[[fault]]\nat_h = {trial.hour}\nfault = "do.drift"\nsize = {RATE}\n'
        (path.parent / "faults.toml").write_text(faults)
        path.write_text(on_twin(case.path.read_text()))
        plant, ears = load_plant(path), Ears()
        recipe = ROOT / f"sim/recipes/{case.recipe}.toml"
        outcome = run_batch(
            plant,
            load_recipe(recipe),
            recipe,
            hours=trial.hour + WATCHED_H,
            seed=trial.seed,
            store=ears,
        )
    told = [hour for hour in ears.begun if hour >= trial.hour]
    return {
        **trial._asdict(),
        "false": len(ears.begun) - len(told),
        "late_min": (told[0] - trial.hour - PASSED_H) * 60.0 if told else None,
        "product_g": outcome.truth["R1"]["product_g"],
    }


def on_twin(text: str) -> str:
    """Return a plant file with the twin of its organism in the vessel and the faults beside it."""
    head, table, tail = text.partition("[simulation.R1]")
    for name, twin in TWINS.items():
        tail = tail.replace(f'organism = "{name}"', f'organism = "{twin}"', 1)
    return f'{head}{table}\nfaults = "faults.toml"{tail}'


def show(rows: Sequence[Row]) -> None:
    """Print a line a plant."""
    print("| plant | drifts told | latest, min after 10 points | median | false in healthy hours |")
    print("| --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(row["plant"] for row in rows):
        mine = [row for row in rows if row["plant"] == name]
        late = sorted(row["late_min"] for row in mine if row["late_min"] is not None)
        healthy = f"{sum(row['hour'] for row in mine):.0f}"
        latest, middle = (f"{late[-1]:.0f}", f"{late[len(late) // 2]:.0f}") if late else ("", "")
        false = sum(row["false"] for row in mine)
        print(
            f"| {name} | {len(late)} of {len(mine)} | {latest} | {middle} | {false} in {healthy} |"
        )


def main() -> None:
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--plants", nargs="+", choices=HOURS, default=list(HOURS))
    parser.add_argument("--seeds", default="601-604")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    wanted = [Trial(p, hour, s) for p in given.plants for s in seeds for hour in HOURS[p]]

    def played(missing: Sequence[Trial]) -> Iterator[Row]:
        with ProcessPoolExecutor(given.workers) as processes:
            for done in as_completed([processes.submit(run, trial) for trial in missing]):
                yield done.result()

    with Results(given.results, lambda r: (r["plant"], r["hour"], r["seed"])) as results:
        show(completed(results, wanted, tuple, played))


if __name__ == "__main__":
    main()
