"""From now to the end in stages, and the first guesses at what to set in them."""

from collections.abc import Sequence

import numpy as np

from controller.planning.economic.problem import Floats
from controller.planning.economic.rollout import Rollout
from controller.planning.plan import Plan

FIRST = (0.25, 0.25, 0.5, 0.75)  # of an even stage: fine where the plan will be followed
HALVINGS = 7  # of what is not known of a feed that rides a limit


def grid(hours: float, stages: int) -> Floats:
    """Return the lengths of the stages, short ones first, that add up to ``hours``."""
    parts = np.concatenate([FIRST, np.ones(stages - len(FIRST))])
    return hours * parts / parts.sum()


def sampled(
    profile: Sequence[tuple[float, float]], otherwise: float, now: float, hours: Floats
) -> Floats:
    """Return the mean of a profile in each stage; its pairs are s since 1970 UTC and value.

    It is exact, however short a dose is: one that falls between two looks would be no dose.
    """
    if not profile:
        return np.full(len(hours), otherwise)
    table: Floats = np.array(profile, dtype=float)
    times, values = table[:, 0], table[:, 1]
    edges = now + 3600.0 * nodes(hours)
    corners: Floats = np.union1d(times, edges)
    seen: Floats = np.interp(corners, times, values)
    pieces = 0.5 * (seen[1:] + seen[:-1]) * np.diff(corners)
    until: Floats = np.interp(edges, corners, np.concatenate([[0.0], np.cumsum(pieces)]))
    return np.diff(until) / np.diff(edges)


def nodes(hours: Floats) -> Floats:
    """Return the ends of the stages, h from now, the first of them 0."""
    return np.concatenate([[0.0], np.cumsum(hours)])


def pointed(
    profile: Sequence[tuple[float, float]], otherwise: float, now: float, hours: Floats
) -> Floats:
    """Return a profile at the nodes; arguments as ``sampled``."""
    if not profile:
        return np.full(len(hours) + 1, otherwise)
    table: Floats = np.array(profile, dtype=float)
    times, values = table[:, 0], table[:, 1]
    return np.asarray(np.interp(now + 3600.0 * nodes(hours), times, values))


def held(
    plan: Plan, now: float, hours: Floats, ranges: Floats, per: Floats, applied: Floats
) -> Floats:
    """Return an older plan at the nodes, as near to it as can be reached from what is applied.

    Guardrails and loops may have applied something else than was planned; from there the older plan
    is approached as fast as its inputs may move.

    Args:
        plan: the older one.
        now: s since 1970 UTC.
        hours: length of each stage, shape (N,).
        ranges: low, high and change per h of each input, shape (m, 3).
        per: what the plan's columns are multiples of, shape (m,).
        applied: at ``now``, shape (m,).
    """
    rows = [[plan.at(float(t), name) for name in plan.names] for t in now + 3600.0 * nodes(hours)]
    moved = np.clip(np.array(rows) / per, ranges[:, 0], ranges[:, 1])
    moved[0] = applied
    for k, length in enumerate(hours):
        farthest = ranges[:, 2] * length
        moved[k + 1] = np.clip(moved[k + 1], moved[k] - farthest, moved[k] + farthest)
    return moved


def ridden(
    rollout: Rollout,
    hours: Floats,
    given: Floats,
    recipe: Floats,
    starts: Floats,
    factors: Floats,
    applied: Floats,
) -> Floats:
    """Return the recipe with as much of the main feed as keeps every scenario within its limits.

    The main feed is the organism's first, if the plan moves it; what else it moves stays as in
    the recipe.
    """
    p = rollout.problem
    main = p.model.organism.feeds[0].name
    if main not in p.moved:
        return recipe
    place = p.moved.index(main)
    low, high, per_h = p.ranges[place]
    held = [k for k, name in enumerate(p.limits) if name != "flooding"]
    moved = recipe.copy()
    vessels = [list(map(float, x)) for x in starts]
    feed = float(applied[place])

    def worst(value: float, k: int, vessels: list[list[float]]) -> float:
        rows = moved[k : k + 2].copy()
        rows[1, place] = value
        ends = [
            rollout.stage(x, f, float(hours[k]), rows, given[k])
            for x, f in zip(vessels, factors, strict=True)
        ]
        shares = [float(share[held].max()) for _, share in ends]
        return max(share if np.isfinite(share) else 9.0 for share in shares)

    moved[0] = applied
    for k, length in enumerate(hours):
        steepest = per_h * float(length)
        least, most = max(low, feed - steepest), min(high, feed + steepest)
        if worst(most, k, vessels) <= 1.0:
            feed = most
        else:
            inside, outside = least, most
            for _ in range(HALVINGS):
                middle = 0.5 * (inside + outside)
                if worst(middle, k, vessels) <= 1.0:
                    inside = middle
                else:
                    outside = middle
            feed = inside
        moved[k + 1, place] = feed
        vessels = [
            rollout.stage(x, f, float(length), moved[k : k + 2], given[k])[0]
            for x, f in zip(vessels, factors, strict=True)
        ]
        if not all(np.isfinite(x).all() for x in vessels):
            return recipe
    return moved
