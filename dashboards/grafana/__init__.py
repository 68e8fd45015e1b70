"""Grafana boards as Python, built to JSON."""
