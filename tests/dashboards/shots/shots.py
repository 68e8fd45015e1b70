"""Pictures of every board by Grafana's own components, on real batches: ``make grafana-shots``."""

import argparse
import json
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from controller.plant import load_plant
from controller.texts.said import Language
from dashboards.grafana.build import Wanted
from fermloop.commands.closed_loop import EPOCH
from historian.events import Event, Kind
from tests.dashboards.grafana_asks import Reader
from tests.dashboards.shots.batches import forward, simulate
from tests.dashboards.shots.install import asked, build
from tests.dashboards.test_grafana_queries import happenings
from tests.system.influx_server import InfluxServer
from tests.system.pages import CHROMIUM, FLAGS

ROOT = Path(__file__).parents[3]
PLANT = load_plant(ROOT / "sim/plants/ecoli_5l.toml")
RECIPE = ROOT / "sim/recipes/ecoli.toml"
SEEDS = (1, 2, 3, 4)
CHOSEN = dict(Reader(0, 0).chosen) | {"focus": f"R1-202601{len(SEEDS):02d}-0000"}
SHIFT_S = 8 * 3600
# no server is asked: Grafana's components only want the storage of a real address
HERE = "http://127.0.0.1/"
PAGE = '<!doctype html><body style="margin:0"><div id="root"></div>'
_FILES = ("svg", "woff", "woff2", "ttf", "png")
_LOOK = ("--jsx=automatic", "--define:process.env.NODE_ENV='\"production\"'", "--platform=browser")
_LOADERS = tuple(f"--loader:.{kind}=dataurl" for kind in _FILES)
_PLAIN = ("--alias:react-custom-scrollbars-2=./scroll.tsx",)


def drawn(page: Page, board: dict[str, Any], server: InfluxServer, reader: Reader) -> list[str]:
    """Draw a board; return what went wrong in its panels."""
    there: list[dict[str, Any]] = []
    for panel in board["panels"]:
        own = reader.of(panel)
        one: dict[str, Any] = (
            {"panel": panel, "answers": []}
            if panel["type"] == "row"
            else asked(server, panel, reader)
        )
        there.append({**one, "from": 1000 * own.start, "to": 1000 * own.end})
    page.route(HERE, lambda route: route.fulfill(content_type="text/html", body=PAGE))
    page.goto(HERE)
    told = json.dumps(there).replace("$focus", reader.chosen["focus"])
    page.evaluate("asked => { window.ASKED = asked }", json.loads(told))
    bundle = build("page.tsx", *_LOOK, *_LOADERS, *_PLAIN)
    page.add_style_tag(content=bundle.with_suffix(".css").read_text(encoding="utf-8"))
    page.add_script_tag(content=bundle.read_text(encoding="utf-8"), type="module")
    page.wait_for_function("document.title === 'drawn'", timeout=120_000)
    return [text[:300] for text in page.locator(".broken").all_inner_texts()]


def unplanned(begun: float) -> list[Event]:
    """Return what happens to a batch ``begun`` s after its start; its plans are its own."""
    return [e for e in happenings(EPOCH + begun) if e.kind is not Kind.PLAN]


def stores(folder: Path, hours: float) -> Iterator[Path]:
    """Yield the stores of the batches; those that are there are used again."""
    for seed in SEEDS:
        store = folder / f"batch{seed}.{hours:g}h.sqlite"
        if not store.exists():
            aside = store.with_suffix(".new")
            last = seed == SEEDS[-1]
            simulate(aside, PLANT, RECIPE, hours, seed, unplanned(3e3 * hours) * last)
            aside.rename(store)
            for left in folder.glob(f"{aside.stem}.new.*"):
                left.unlink()  # lock and heads of a store that is written no more
        yield store


def main() -> int:
    """Write a picture of every board; return 1 if a panel broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.dashboards.shots.shots")
    parser.add_argument("--out", type=Path, default=ROOT / "data/grafana-shots")
    parser.add_argument("--hours", type=float, default=12.0, help="of each batch (%(default)s)")
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    chosen = parser.parse_args()
    language: Language = chosen.language
    chosen.out.mkdir(parents=True, exist_ok=True)
    end = round(EPOCH + (len(SEEDS) - 1) * 86_400 + chosen.hours * 3600)
    broken: list[str] = []
    made = list(stores(chosen.out, chosen.hours))  # before the browser: it has a loop of its own
    with (
        tempfile.TemporaryDirectory() as folder,
        InfluxServer(Path(folder)) as server,
        sync_playwright() as playwright,
    ):
        for day, store in enumerate(made):
            forward(store, server, day, Path(folder))
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS.split())
        page = browser.new_page(
            viewport={"width": 1600, "height": 1000},
            locale={"en": "en-GB", "zh": "zh-CN"}[language],
            timezone_id="UTC",
        )
        page.clock.set_fixed_time(datetime.fromtimestamp(end, UTC))  # "a few seconds ago"
        for name, board in Wanted(PLANT, (language,)).boards().items():
            start = round(EPOCH) if name.startswith("batch") else end - SHIFT_S
            wrong = drawn(page, board, server, Reader(start, end, CHOSEN))
            page.screenshot(path=chosen.out / f"{name}.png", full_page=True)
            print(f"{name}: {len(board['panels'])} panels, {len(wrong)} broken", *wrong, flush=True)
            broken += wrong
        browser.close()
    return int(bool(broken))


if __name__ == "__main__":
    raise SystemExit(main())
