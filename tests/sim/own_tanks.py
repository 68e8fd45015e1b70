"""Plain models as somebody else writes them, in a package outside this repository."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "sim/README.md"

OTHERS = '''
import math

from acme.tank import HeatedTank
from fermloop import Variable
from models import culture, ecoli


class Plain:
    """One state that falls, and an input that fills it up."""

    time_unit = "h"
    states = (Variable("S", "g/L", 1.0, 0.0),)
    inputs = (Variable("feed", "g/(L.h)", 0.0),)
    parameters = (Variable("k", "1/h", 1.0, 0.0),)
    outputs = ()

    def rhs(self, t, x, u, p, fn):
        return (u[0] - p[0] * x[0],)


class Grown(culture.Culture):
    """Cells of this repository, without a vessel."""

    def __init__(self):
        super().__init__(ecoli.EColi())


class Stiff(Plain):
    """Robertson's three reactions: rate constants of 0.04 to 3e7."""

    time_unit = "s"
    states = tuple(Variable(n, "mol/L", v, 0.0) for n, v in (("a", 1.0), ("b", 0.0), ("c", 0.0)))
    inputs = parameters = ()

    def rhs(self, t, x, u, p, fn):
        a, b, c = x
        return (-0.04 * a + 1e4 * b * c, 0.04 * a - 1e4 * b * c - 3e7 * b * b, 3e7 * b * b)


class Tides(Plain):
    """It is told by the clock."""

    states = (Variable("S", "g/L", 2.0),)
    outputs = (Variable("moon", "1"),)

    def rhs(self, t, x, u, p, fn):
        return (fn.exp(-t),)

    def output(self, t, x, u, p, fn):
        return (t * t,)


class Zero(Plain):
    """Eaten at a rate that does not ask whether something is left."""

    states = (Variable("S", "g/L", 1.0, 0.0, 2.0),)
    outputs = (Variable("root", "1"),)

    def rhs(self, t, x, u, p, fn):
        return (u[0] - p[0],)

    def output(self, t, x, u, p, fn):
        return (fn.sqrt(x[0]),)


class Draining(Plain):
    """Torricelli: a tank with a hole."""

    time_unit = "s"
    states = (Variable("S", "m", 1.0, 0.0),)

    def rhs(self, t, x, u, p, fn):
        return (u[0] - 0.01 * fn.sqrt(fn.max(x[0], 0.0)),)


class Ending(Plain):
    """It has no numbers left after an hour."""

    def rhs(self, t, x, u, p, fn):
        return (-fn.sqrt(1.0 - t),)


class Spent(Plain):
    """It has no numbers left when a drawn store is spent, of the usual size after 18 min."""

    inputs = (Variable("feed", "%", 0.0),)

    def rhs(self, t, x, u, p, fn):
        return (-fn.sqrt(0.31 * p[0] - t),)


class Culture(Plain):
    """Monod growth, as in a textbook: it knows product and volume, but no energy."""

    states = (
        Variable("X", "g/L", 1.0, 0.0),
        Variable("P", "g/L", 0.0, 0.0),
        Variable("V", "L", 2.0, 0.1),
    )
    inputs = (Variable("F", "L/h", 0.0, 0.0, 1.0),)

    def rhs(self, t, x, u, p, fn):
        X, P, V = x
        D = u[0] / V
        return (0.1 * p[0] * X - D * X, 0.05 * p[0] * X - D * P, u[0])


class Litres(Plain):
    states = (Variable("S", "litres", 1.0),)


class Twice(Plain):
    states = (Variable("S", "g/L", 1.0), Variable("S", "g/L", 1.0))


class Two(Plain):
    def rhs(self, t, x, u, p, fn):
        return 1.0, 2.0


class Unnamed(Plain):
    def rhs(self, t, x, u, p, fn):
        k, more = p
        return (-k * x[0],)


class Nan(Plain):
    def rhs(self, t, x, u, p, fn):
        return (math.nan,)


class Exp(Plain):
    def rhs(self, t, x, u, p, fn):
        return (-math.exp(-x[0]),)


class Branching(Plain):
    def rhs(self, t, x, u, p, fn):
        return (-x[0] if x[0] > 0 else 0.0,)


class Minutes(Plain):
    time_unit = "min"


class Nothing:
    pass


class Silent(Plain):
    outputs = (Variable("level", "%"),)


class Still(Plain):
    states = ()

    def rhs(self, t, x, u, p, fn):
        return ()


class Text(Plain):
    states = "S"


class Picky(Plain):
    def __init__(self, size):
        self.size = size


def function():
    pass
'''


def block(language: str, first: str) -> str:
    """Return the block of "A model of your own" that holds ``first``."""
    text = README.read_text(encoding="utf-8").partition("## A model of your own\n")[2]
    found = re.findall(rf"```{language}\n(.*?)```", text.partition("\n## ")[0], re.DOTALL)
    return next(b for b in found if first in b)


PLANT = block("toml", "[simulation.R1]")
RECIPE = block("toml", "[[phase]]")


def write(folder: Path) -> Path:
    """Write the README's package, plant file and recipe to a folder; return the plant file."""
    (folder / "acme").mkdir()
    (folder / "acme/__init__.py").write_text("")
    (folder / "acme/tank.py").write_text(block("python", "class HeatedTank"))
    (folder / "acme/others.py").write_text(OTHERS)
    (folder / "recipe.toml").write_text(RECIPE)
    path = folder / "plant.toml"
    path.write_text(PLANT)
    return path


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write them, let ``acme`` be imported, and forget it in the end."""
    plant = write(folder)
    monkeypatch.syspath_prepend(str(folder))  # pyright: ignore[reportUnknownMemberType]
    monkeypatch.chdir(folder)
    yield plant
    from sim import bare_wiring, reactors

    for name in [n for n in sys.modules if n.partition(".")[0] == "acme"]:
        del sys.modules[name]
    reactors.own_model.cache_clear()
    bare_wiring.judged.cache_clear()
