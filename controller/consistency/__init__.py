"""What no table of a plant file sees alone: unknown names, ranges that do not fit."""
