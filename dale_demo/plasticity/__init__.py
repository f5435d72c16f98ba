"""Exponentiated gradient beside gradient descent: learning rules, tasks and experiments."""

from dale_demo.plasticity.experiment import Experiment, Snapshot
from dale_demo.plasticity.layers import DaleLinear, Split, SplitLinear, log_normal_
from dale_demo.plasticity.learner import Rule
from dale_demo.plasticity.observation import RuleState
from dale_demo.plasticity.rules import (
    ExponentiatedAdam,
    ExponentiatedGradient,
    SignConstrainedSGD,
)
from dale_demo.plasticity.search import Trial
from dale_demo.plasticity.sign_preserving import NonFiniteGradientError
from dale_demo.plasticity.tasks import (
    CorrelatedRegression,
    Digits,
    OnlineRegression,
    RelevantInputs,
    ScoreNetwork,
)

__all__ = [
    "CorrelatedRegression",
    "DaleLinear",
    "Digits",
    "Experiment",
    "ExponentiatedAdam",
    "ExponentiatedGradient",
    "NonFiniteGradientError",
    "OnlineRegression",
    "RelevantInputs",
    "Rule",
    "RuleState",
    "ScoreNetwork",
    "SignConstrainedSGD",
    "Snapshot",
    "Split",
    "SplitLinear",
    "Trial",
    "log_normal_",
]
