"""Economic model-predictive control of any organism in any vessel, from the plant file."""
