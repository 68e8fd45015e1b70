"""Alarms: the rules, how they stand, and what is wrong with the machinery itself."""
