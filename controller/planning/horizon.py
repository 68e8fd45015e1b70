"""From now to harvest in stages, and the first guess at how to feed them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from controller.planning.cells import Node, Situated
from controller.planning.nlp import Floats, Problem, fill

FIRST_H = (5 / 60, 5 / 60, 10 / 60, 15 / 60, 15 / 60)  # fine where the plan will be followed
EVEN_BELOW_H = 3.0  # a shorter horizon is cut evenly


@dataclass(frozen=True, slots=True)
class Horizon:
    """The stages of one plan.

    Attributes:
        hours: of the nodes from the start, shape (N + 1,).
        nodes: what is given at each.
        situated: what is constant.
        start: least and greatest first feed, L/h.
    """

    hours: Floats
    nodes: tuple[Node, ...]
    situated: Situated
    start: tuple[float, float]


def grid(hours: float, stages: int, event: float = math.inf) -> Floats:
    """Return N + 1 node times from 0 to ``hours``, one of them on ``event`` if it lies between."""
    if hours <= EVEN_BELOW_H:
        nodes = np.linspace(0.0, hours, stages + 1)
    else:
        nodes = np.empty(stages + 1)
        first = len(FIRST_H)
        nodes[: first + 1] = np.cumsum((0.0, *FIRST_H))
        nodes[first:] = np.linspace(sum(FIRST_H), hours, stages - first + 1)
    if nodes[0] < event < nodes[-1]:
        nearest = 1 + int(np.argmin(np.abs(nodes[1:-1] - event)))
        nodes[nearest] = event
    return nodes


def acetate_left(hours: Floats, acetate: float, biomass: float, pace: float) -> Floats:
    """Return the acetate that is left if cells eat it as fast as they can, g/L.

    Args:
        hours: of the nodes.
        acetate: g/L at the start.
        biomass: g/L.
        pace: greatest specific uptake, g/(g.h).
    """
    return np.maximum(acetate - 0.8 * pace * biomass * hours, 0.0)


def ridden(problem: Problem, horizon: Horizon, feed_max: float) -> Floats:
    """Return the guess that feeds up to the first limit at every node: a good plan by itself.

    Returns:
        shape (N + 1, 5): biomass g, volume L, product g, feed L/h, oxygen %.
    """
    s, low, high = horizon.situated, *horizon.start
    y = [s.biomass_g, s.volume_l, s.product_g]
    do = float(s.do_floor)
    feed = min(max(_limit(problem, y, do, horizon.nodes[0], s), low), high)
    rows = [[*y, feed, do]]
    for node, following in zip(horizon.nodes, horizon.nodes[1:], strict=False):
        guess = _stage(problem, y, feed, 0.0, do, node, s)
        after = min(max(_limit(problem, guess, do, following, s), 0.0), feed_max)
        slope = (after - feed) / max(node.hours, 1e-6)
        y = _stage(problem, y, feed, slope, do, node, s)
        feed = after
        rows.append([*y, feed, do])
    return np.array(rows)


def followed(
    problem: Problem,
    horizon: Horizon,
    feed: Callable[[float], float],
    do: Callable[[float], float],
) -> Floats:
    """Return the guess that follows given trajectories; shape and units as ``ridden``."""
    s, low, high = horizon.situated, *horizon.start
    y = [s.biomass_g, s.volume_l, s.product_g]
    feeds = [feed(float(t)) for t in horizon.hours]
    feeds[0] = min(max(feeds[0], low), high)
    rows: list[list[float]] = []
    for k, node in enumerate(horizon.nodes):
        oxygen = do(float(horizon.hours[k]))
        rows.append([*y, feeds[k], oxygen])
        if k + 1 < len(feeds):
            slope = (feeds[k + 1] - feeds[k]) / max(node.hours, 1e-6)
            y = _stage(problem, y, feeds[k], slope, oxygen, node, s)
    return np.array(rows)


def _limit(problem: Problem, y: Sequence[float], do: float, node: Node, s: Situated) -> float:
    """Return the feed that reaches a limit; uptake is all but linear in the feed."""
    per = y[0] / s.feed_g_per_l
    few, many = 0.1 * per, 0.5 * per
    least, flat = math.inf, (*s[:8], *s.factors)
    a, b = (problem.shares_at(y, (feed, 0.0, do), node, flat) for feed in (few, many))
    for used, more, limit in zip(a, b, (node.oxygen_share, node.uptake_share, 1.0), strict=True):
        slope = (more - used) / (many - few)
        if slope > 0:
            least = min(least, few + (limit - used) / slope)
    return max(least, 0.0)


def _stage(
    problem: Problem,
    y: Sequence[float],
    feed: float,
    slope: float,
    do: float,
    node: Node,
    s: Situated,
) -> list[float]:
    call = problem.step
    fill(call.arguments, (y, (feed, slope, do), node, (*s[:8], *s.factors)))
    call()
    return list(call.results[0])
