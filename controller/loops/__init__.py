"""Loops: PID, stations, on-off; cascade, split range, gain, feed-forward; how well they hold."""
