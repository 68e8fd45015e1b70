"""Write the boards as JSON: ``python -m dashboards.grafana.build``."""

import json
from pathlib import Path

from dashboards.grafana.reactor import reactor
from dashboards.grafana.texts import TEXTS

BOARDS = Path(__file__).parent / "boards"


def boards() -> dict[str, str]:
    """Return the text of each board's file by its name."""
    return {
        f"reactor.{language}.json": json.dumps(reactor(language), ensure_ascii=False, indent=1)
        + "\n"
        for language in TEXTS
    }


def main() -> None:
    """Write every board and say where."""
    BOARDS.mkdir(exist_ok=True)
    for name, text in boards().items():
        (BOARDS / name).write_text(text, encoding="utf-8")
        print(BOARDS / name)


if __name__ == "__main__":
    main()
