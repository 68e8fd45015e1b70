"""Fitting: which numbers of a model explain batches that were run, and how sure that is."""

from models.fitting.beliefs import priors
from models.fitting.experiment import Experiment, Series
from models.fitting.fit import Fitted, fit
from models.fitting.problem import Found, Prior

__all__ = ["Experiment", "Fitted", "Found", "Prior", "Series", "fit", "priors"]
