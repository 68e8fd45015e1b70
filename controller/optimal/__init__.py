"""Optimal control of any model: what inputs, over time, give the most within limits."""

from controller.optimal.control import Solution, optimal_control

__all__ = ["Solution", "optimal_control"]
