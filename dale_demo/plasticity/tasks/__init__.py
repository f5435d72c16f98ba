"""Tasks on which learning rules are compared; each builds a problem from a seed.

A task is a frozen set of settings; `build(seed)` draws the data and the start that all rules
share. The same seed gives the same problem.
"""

from dale_demo.plasticity.tasks.digits import Digits
from dale_demo.plasticity.tasks.neuron import RelevantInputs
from dale_demo.plasticity.tasks.problem import (
    Examples,
    Problem,
    Task,
    relevant_share,
    weight_parameters,
)
from dale_demo.plasticity.tasks.regression import CorrelatedRegression, OnlineRegression
from dale_demo.plasticity.tasks.score_network import ScoreNetwork

__all__ = [
    "CorrelatedRegression",
    "Digits",
    "Examples",
    "OnlineRegression",
    "Problem",
    "RelevantInputs",
    "ScoreNetwork",
    "Task",
    "relevant_share",
    "weight_parameters",
]
