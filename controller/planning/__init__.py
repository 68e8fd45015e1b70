"""The optimiser: asked for plans, judged, promoted, followed within guardrails."""
